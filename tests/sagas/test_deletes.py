"""Soft delete, restore and reclaim over the real shells: what is kept, how long, and who wins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.lifecycle.due import Policy
from actors.model.edits import LockInstance
from actors.model.errors import AlreadyExists, ComputeError, Conflict, Invalid, NotFound
from actors.model.ids import due_request_id
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import EventKind, InstanceQuery
from gateway.app.instances import request_id_of
from tests.fakes.clock import ShiftedClock
from tests.local.cluster import KEEPING, LocalCluster

HOUR = KEEPING.reclaim_seconds


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """Deleted instances are kept for an hour, and the test says when it is over."""
    made = LocalCluster(tmp_path, clock=ShiftedClock())
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def ahead(cluster: LocalCluster, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(cluster.clock, ShiftedClock)
    cluster.clock.advance(seconds)


async def nothing_begins(cluster: LocalCluster, seconds: float) -> None:
    """Let time pass, and the actor look at what is due."""
    ahead(cluster, seconds)
    await asyncio.sleep(0.05)


async def booted(cluster: LocalCluster) -> InstanceRecord:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    return made.instance


async def done(cluster: LocalCluster, record: InstanceRecord, action: Action) -> OperationRecord:
    accepted = await cluster.act(record.id, action)
    ended = await cluster.ended(accepted.operation)
    assert ended.state is OperationState.SUCCEEDED
    return ended


async def reclaimed(cluster: LocalCluster, record: InstanceRecord) -> OperationRecord:
    """The delete that the cluster began by itself, at its end."""
    async with asyncio.timeout(30):
        position = 0
        while True:
            batch = await cluster.store.events_after(position, 1000, 0.5)
            position = batch.next_sequence
            for event in batch.events:
                if event.kind is EventKind.OPERATION and event.id.startswith(record.id):
                    operation: OperationRecord = event.operation()
                    if operation.action is Action.DELETE and operation.done:
                        return operation


async def nothing_is_left(cluster: LocalCluster) -> None:
    assert cluster.domains() == {}
    assert cluster.disks() == set()
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)


async def shown(cluster: LocalCluster) -> list[str]:
    bodies, _ = await cluster.instances.list(InstanceQuery(project=None))
    return [InstanceRecord.model_validate_json(body).id for body in bodies]


async def test_what_is_deleted_can_be_restored(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    deleted = await done(cluster, record, Action.SOFT_DELETE)
    assert deleted.action is Action.SOFT_DELETE
    kept = await cluster.instances.get(record.id)
    assert kept.vm_state is VmState.SOFT_DELETED
    assert cluster.domains() == {record.id: "shutdown"}
    assert (await cluster.claims(), await cluster.ports()) == (1, 1)
    assert cluster.disks() == {record.id}
    assert await shown(cluster) == []

    await done(cluster, record, Action.RESTORE)
    back = await cluster.instances.get(record.id)
    assert (back.vm_state, back.nics) == (VmState.ACTIVE, kept.nics)
    assert cluster.domains() == {record.id: "running"}
    assert await shown(cluster) == [record.id]

    await nothing_begins(cluster, 2 * HOUR)
    assert (await cluster.instances.get(record.id)).vm_state is VmState.ACTIVE


async def test_what_is_not_restored_is_reclaimed(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    await nothing_begins(cluster, HOUR - 60)
    assert (await cluster.instances.get(record.id)).task_state is None
    ahead(cluster, 61)
    operation = await reclaimed(cluster, record)
    assert (operation.state, operation.user) == (OperationState.SUCCEEDED, "novaray")
    assert cluster.domains() == {}
    assert cluster.disks() == set()
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)
    with pytest.raises(NotFound):
        await cluster.instances.get(record.id)


async def test_a_crash_forgets_no_reclaim(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    await cluster.kill("instances")
    ahead(cluster, HOUR + 1)
    cluster.spawn("instances")
    ahead(cluster, 2)
    assert (await reclaimed(cluster, record)).state is OperationState.SUCCEEDED


async def test_a_lock_keeps_nobody_from_reclaiming(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    who = {"instance": record.id, "project": record.project, "user": record.user}
    await cluster.instances.edit(LockInstance(**who))
    with pytest.raises(Conflict) as refusal:
        await cluster.act(record.id, Action.RESTORE)
    assert refusal.value.reason == "INSTANCE_LOCKED"
    ahead(cluster, HOUR + 1)
    await reclaimed(cluster, record)


async def test_no_request_of_a_tenant_s_stands_in_for_a_reclaim(cluster: LocalCluster) -> None:
    """Clients name their requests by UUIDs: none of them is the name of what is due."""
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    kept = await cluster.instances.get(record.id)
    with pytest.raises(Invalid) as refusal:
        request_id_of(due_request_id(kept.id, kept.sequence))
    assert refusal.value.reason == "REQUEST_ID_INVALID"
    ahead(cluster, HOUR + 1)
    await reclaimed(cluster, record)


async def test_a_restore_at_the_last_moment_wins(cluster: LocalCluster) -> None:
    """The reclaim was decided on a record that a restore has changed since."""
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    cluster.gate.hold("restore.ensure_running.before")
    restore = (await cluster.act(record.id, Action.RESTORE)).operation
    await nothing_begins(cluster, HOUR + 1)
    cluster.gate.release("restore.ensure_running.before")
    assert (await cluster.ended(restore)).state is OperationState.SUCCEEDED
    assert (await cluster.instances.get(record.id)).vm_state is VmState.ACTIVE


async def test_the_same_delete_is_done_once(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    first = await cluster.act(record.id, Action.SOFT_DELETE, "one")
    again = await cluster.act(record.id, Action.SOFT_DELETE, "one")
    other = await cluster.act(record.id, Action.SOFT_DELETE, "other")
    assert first.operation.id == again.operation.id == other.operation.id
    await cluster.ended(first.operation)
    await cluster.crash("instances")
    after = await cluster.act(record.id, Action.SOFT_DELETE, "one")
    assert after.operation.id == first.operation.id
    await done(cluster, record, Action.RESTORE)
    late = await cluster.act(record.id, Action.SOFT_DELETE, "one")
    assert late.operation.id == first.operation.id
    assert (await cluster.instances.get(record.id)).vm_state is VmState.ACTIVE
    with pytest.raises(AlreadyExists):
        await cluster.act(record.id, Action.STOP, "one")


async def test_another_delete_does_not_put_off_the_reclaim(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    await done(cluster, record, Action.SOFT_DELETE)
    kept = await cluster.instances.get(record.id)
    ahead(cluster, HOUR / 2)
    again = await cluster.act(record.id, Action.SOFT_DELETE, "again")
    await cluster.ended(again.operation)
    after = await cluster.instances.get(record.id)
    assert (after.vm_state, after.since) == (VmState.SOFT_DELETED, kept.since)
    ahead(cluster, HOUR / 2 + 1)
    await reclaimed(cluster, record)


@pytest.mark.parametrize(
    ("before", "state", "after"),
    [
        (Action.RESCUE, VmState.RESCUED, Action.UNRESCUE),
        (Action.RESIZE, VmState.ACTIVE, Action.STOP),
        (Action.SUSPEND, VmState.ACTIVE, Action.PAUSE),
        (Action.PAUSE, VmState.ACTIVE, Action.STOP),
    ],
)
async def test_what_a_restored_instance_is(
    cluster: LocalCluster, before: Action, state: VmState, after: Action
) -> None:
    """A rescue goes on; a resize was confirmed by the delete, as Nova does; else it runs."""
    record = await booted(cluster)
    for action in (before, Action.SOFT_DELETE, Action.RESTORE):
        await done(cluster, record, action)
    assert (await cluster.instances.get(record.id)).vm_state is state
    assert cluster.domains() == {record.id: "running"}
    await done(cluster, record, after)
    await done(cluster, record, Action.DELETE)
    await nothing_is_left(cluster)


@pytest.mark.parametrize("before", [Action.RESCUE, Action.RESIZE])
async def test_what_is_reclaimed_leaves_nothing(cluster: LocalCluster, before: Action) -> None:
    record = await booted(cluster)
    for action in (before, Action.SOFT_DELETE):
        await done(cluster, record, action)
    ahead(cluster, HOUR + 1)
    await reclaimed(cluster, record)
    await nothing_is_left(cluster)


async def test_by_force_it_is_gone_at_once(cluster: LocalCluster) -> None:
    kept = await booted(cluster)
    await done(cluster, kept, Action.SOFT_DELETE)
    await done(cluster, kept, Action.DELETE)
    assert cluster.domains() == {}
    with pytest.raises(NotFound):
        await cluster.act(kept.id, Action.RESTORE)


async def test_what_was_not_deleted_is_not_restored(cluster: LocalCluster) -> None:
    record = await booted(cluster)
    before = await cluster.instances.get(record.id)
    with pytest.raises(Conflict) as refusal:
        await cluster.act(record.id, Action.RESTORE)
    assert refusal.value.reason == "INVALID_STATE"
    assert "Cannot restore instance" in refusal.value.message
    assert await cluster.instances.get(record.id) == before


async def test_where_nothing_is_kept_a_delete_deletes(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, policy=Policy())
    await cluster.start()
    try:
        record = await booted(cluster)
        first = await cluster.act(record.id, Action.SOFT_DELETE)
        assert first.operation.action is Action.DELETE
        assert (await cluster.ended(first.operation)).state is OperationState.SUCCEEDED
        again = await cluster.act(record.id, Action.SOFT_DELETE)
        assert again.operation.id == first.operation.id
        assert cluster.domains() == {}
    finally:
        await cluster.stop()


async def test_fifty_at_once_end_in_the_delete(cluster: LocalCluster) -> None:
    """Delete wins over all, whether or not something is kept."""
    record = await booted(cluster)
    actions = [Action.STOP, Action.SOFT_DELETE, Action.PAUSE, Action.RESTORE, Action.REBOOT] * 10
    asked = [
        cluster.act(record.id, action, f"{action.value}-{number}")
        for number, action in enumerate([*actions[:49], Action.DELETE])
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    accepted = [one for one in answers if not isinstance(one, BaseException)]
    assert all(isinstance(one, ComputeError) for one in answers if one not in accepted)
    last = accepted[-1].operation
    assert last.action is Action.DELETE
    assert (await cluster.ended(last)).state is OperationState.SUCCEEDED
    for one in {item.operation.id: item.operation for item in accepted}.values():
        assert (await cluster.ended(one)).done
    assert cluster.domains() == {}
