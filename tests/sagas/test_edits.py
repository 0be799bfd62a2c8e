"""Edits over the real shells: durable, in order with everything else, seen by watchers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.edits import LockInstance, ResetState, UnlockInstance, UpdateInstance
from actors.model.errors import Conflict, HypervisorRefused, NotFound, Stale
from actors.model.ids import InstanceId, ProjectId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationState
from actors.model.query import EventKind, InstanceQuery
from tests.local.cluster import LocalCluster, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def booted(cluster: LocalCluster) -> dict[str, str]:
    """What every edit of the instance says."""
    made = await cluster.boot()
    await cluster.ended(made.operation)
    record = made.instance
    return {"instance": record.id, "project": record.project, "user": record.user}


def id_of(who: dict[str, str]) -> InstanceId:
    return InstanceId(who["instance"])


async def named(cluster: LocalCluster, name: str) -> list[InstanceRecord]:
    query = InstanceQuery(project=ProjectId("3c6e7f0aa1b24c0d9e8f7a6b5c4d3e2f"), name=name)
    bodies, _ = await cluster.instances.list(query)
    return [InstanceRecord.model_validate_json(body) for body in bodies]


async def test_an_edit_is_durable_and_watched(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    wanted = UpdateInstance(
        **who, name="web", description="d", hostname="h", metadata={"k": "v"}, tags=("a",)
    )
    after = await cluster.instances.edit(wanted)
    assert (after.name, after.metadata, after.tags) == ("web", {"k": "v"}, ("a",))
    assert [one.id for one in await named(cluster, "web")] == [after.id]
    assert await named(cluster, "vm") == []
    batch = await cluster.store.events_after(0, 1000, 0.0)
    assert batch.events[-1].kind is EventKind.INSTANCE
    assert batch.events[-1].instance() == after

    await cluster.crash("instances")
    assert await cluster.instances.get(after.id) == after
    assert await cluster.instances.edit(wanted) == after
    assert (await cluster.store.events_after(0, 1000, 0.0)).events == batch.events


async def test_edits_and_operations_take_turns(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    stop = asyncio.create_task(cluster.act(id_of(who), Action.STOP))
    edits = [cluster.instances.edit(UpdateInstance(**who, name=f"vm{n}")) for n in range(10)]
    await asyncio.gather(stop, *edits)
    await cluster.ended(stop.result().operation)
    record = await cluster.instances.get(id_of(who))
    assert (record.name, record.vm_state) == ("vm9", VmState.STOPPED)


async def test_an_edit_on_what_was_seen_only(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    seen = await cluster.instances.get(id_of(who))
    first = UpdateInstance(**who, metadata={"a": "1"}, generation=seen.generation)
    await cluster.instances.edit(first)
    with pytest.raises(Stale):
        await cluster.instances.edit(first.evolve(metadata={"b": "2"}))
    # The first again, whose answer was lost.
    assert (await cluster.instances.edit(first)).metadata == {"a": "1"}


async def test_a_lock_holds_over_a_crash(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    await cluster.instances.edit(LockInstance(**who, reason="audit"))
    await cluster.crash("instances")
    for action in (Action.STOP, Action.SOFT_DELETE, Action.DELETE):
        with pytest.raises(Conflict) as refusal:
            await cluster.act(id_of(who), action)
        assert refusal.value.reason == "INSTANCE_LOCKED"
        assert "(audit)" in refusal.value.message
    await cluster.instances.edit(UnlockInstance(**who))
    deleted = await cluster.act(id_of(who), Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED


async def test_a_reset_ends_what_is_under_way(cluster: LocalCluster) -> None:
    """And nothing of it acts on the record any more; the next operation works."""
    who = await booted(cluster)
    cluster.gate.hold("pause.ensure_paused.before")
    paused = await cluster.act(id_of(who), Action.PAUSE)
    await cluster.gate.arrival("pause.ensure_paused.before")
    reset = await cluster.instances.edit(ResetState(**who, vm_state=VmState.ERROR, admin=True))
    assert (reset.vm_state, reset.task_state) == (VmState.ERROR, None)
    ended = await cluster.instances.operation(paused.operation.id)
    assert ended.state is OperationState.CANCELLED
    stopped = await cluster.act(id_of(who), Action.STOP)
    cluster.gate.release("pause.ensure_paused.before")
    assert (await cluster.ended(stopped.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {id_of(who): "shutdown"}
    assert (await cluster.instances.operation(paused.operation.id)) == ended
    deleted = await cluster.act(id_of(who), Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED


async def test_a_reset_holds_over_a_crash(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    cluster.gate.hold("stop.ensure_stopped.before")
    stop = await cluster.act(id_of(who), Action.STOP)
    await cluster.gate.arrival("stop.ensure_stopped.before")
    await cluster.instances.edit(ResetState(**who, vm_state=VmState.ACTIVE, admin=True))
    await cluster.crash("instances")
    await cluster.crash("host1")
    cluster.gate.release("stop.ensure_stopped.before")
    record = await cluster.instances.get(id_of(who))
    assert (record.vm_state, record.task_state) == (VmState.ACTIVE, None)
    ended = await cluster.instances.operation(stop.operation.id)
    assert ended.state is OperationState.CANCELLED
    assert cluster.domains() == {record.id: "running"}


async def test_a_boot_that_was_reset_is_deleted_wholly(cluster: LocalCluster) -> None:
    cluster.gate.hold("create.ensure_running.after")
    made = await cluster.boot()
    record = made.instance
    await cluster.gate.arrival("create.ensure_running.after")
    who = {"instance": record.id, "project": record.project, "user": record.user}
    await cluster.instances.edit(ResetState(**who, vm_state=VmState.ERROR, admin=True))
    cluster.gate.release("create.ensure_running.after")
    deleted = await cluster.act(record.id, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {}
    assert cluster.disks() == set()
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)


async def test_what_is_gone_is_not_edited(cluster: LocalCluster) -> None:
    who = await booted(cluster)
    deleted = await cluster.act(id_of(who), Action.DELETE)
    await cluster.ended(deleted.operation)
    with pytest.raises(NotFound):
        await cluster.instances.edit(UpdateInstance(**who, name="x"))
    other = await cluster.boot("other")
    foreign = UpdateInstance(**{**who, "instance": other.instance.id, "project": "p2"}, name="x")
    with pytest.raises(NotFound):
        await cluster.instances.edit(foreign)


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("point", ["rebuild.ensure_image.after", "rebuild.ensure_disk_anew.before"])
async def test_an_edit_during_a_rebuild_is_the_later_word(
    cluster: LocalCluster, point: str, fails: bool
) -> None:
    who = await booted(cluster)
    cluster.gate.hold(point)
    if fails:
        cluster.gate.fail(
            "rebuild.ensure_disk_anew.after", lambda: HypervisorRefused("No.", "TEST_REFUSAL")
        )
    rebuild = (await cluster.act(id_of(who), Action.REBUILD)).operation
    await cluster.gate.arrival(point)
    await cluster.instances.edit(UpdateInstance(**who, name="edited"))
    cluster.gate.release(point)
    ended = await cluster.ended(rebuild)
    assert ended.state is (OperationState.FAILED if fails else OperationState.SUCCEEDED)
    assert (await cluster.instances.get(id_of(who))).name == "edited"
