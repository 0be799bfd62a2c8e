"""Sizes that change while a guest runs: record, claim and guest never say different things."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.drivers import consent
from actors.lifecycle.live_size import range_of
from actors.model.details import ChangeSize, Resize
from actors.model.edits import ResetState
from actors.model.flavor import Size
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from tests.local.cluster import MICRO, PROJECT, USER, LocalCluster, local_cluster
from tests.sagas.points import TINY
from tests.sagas.test_every_saga import assert_size

GROWN = Size(vcpus=2, memory_mb=384)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def booted(cluster: LocalCluster) -> InstanceId:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    return made.instance.id


async def done(
    cluster: LocalCluster, instance: InstanceId, action: Action, times: str = "once"
) -> None:
    ended = await cluster.ended(
        (await cluster.act(instance, action, f"{action.value} {times}")).operation
    )
    assert ended.state is OperationState.SUCCEEDED, ended


async def changed(cluster: LocalCluster, instance: InstanceId, size: Size) -> OperationRecord:
    """What became of a change to this size."""
    details = ChangeSize(vcpus=size.vcpus, memory_mb=size.memory_mb)
    asked = await cluster.act(instance, Action.CHANGE_SIZE, f"to {size}", details)
    ended: OperationRecord = await cluster.ended(asked.operation)
    return ended


async def grown(cluster: LocalCluster) -> InstanceId:
    instance = await booted(cluster)
    assert (await changed(cluster, instance, GROWN)).state is OperationState.SUCCEEDED
    await assert_size(cluster, instance, GROWN)
    return instance


async def held(cluster: LocalCluster) -> tuple[int, int]:
    """vCPUs and MiB of all claims."""
    (usage,) = await cluster.usages()
    return usage.claimed.vcpus, usage.claimed.memory_mb


async def record_of(cluster: LocalCluster, instance: InstanceId) -> InstanceRecord:
    record: InstanceRecord = await cluster.instances.get(instance)
    return record


def keeps(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, size: Size) -> None:
    """From now on a guest has this, whatever it is asked."""
    driver = cluster.hypervisors["host1"].hypervisor
    monkeypatch.setattr(consent, "_GIVE_UP_SECONDS", -1.0)
    monkeypatch.setattr(
        driver, "change_size", lambda record, ask: record.size_now.memory_mb == size.memory_mb
    )
    monkeypatch.setattr(driver, "guest_size", lambda record: size)


async def test_up_and_down(cluster: LocalCluster) -> None:
    instance = await grown(cluster)
    # Some of it grows while the other shrinks: neither is ever without its claim.
    cluster.gate.hold("changeSize.ensure_size.before")
    details = ChangeSize(vcpus=1, memory_mb=512)
    asked = await cluster.act(instance, Action.CHANGE_SIZE, "both", details)
    await cluster.gate.arrival("changeSize.ensure_size.before")
    assert await held(cluster) == (2, 512)
    cluster.gate.release("changeSize.ensure_size.before")
    await cluster.ended(asked.operation)
    await assert_size(cluster, instance, Size(vcpus=1, memory_mb=512))
    assert (await changed(cluster, instance, MICRO.size)).state is OperationState.SUCCEEDED
    await assert_size(cluster, instance, MICRO.size)
    assert (await record_of(cluster, instance)).size is None


async def test_without_room_nothing_changes(cluster: LocalCluster) -> None:
    cluster.flavor = MICRO.evolve(extra_specs={"novaray:max_memory_mb": str(1 << 22)})
    instance = await booted(cluster)
    before = await held(cluster)
    ended = await changed(cluster, instance, range_of(cluster.flavor).most)
    assert ended.state is OperationState.FAILED
    assert ended.fault is not None
    assert ended.fault.reason == "HOST_HAS_NO_ROOM"
    record = await record_of(cluster, instance)
    assert (record.size, record.vm_state, record.task_state) == (None, VmState.ACTIVE, None)
    assert await held(cluster) == before
    assert "changeSize.check_size.before" not in cluster.gate.reached


async def test_a_guest_that_keeps_its_memory_keeps_its_claim(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await grown(cluster)
    keeps(cluster, monkeypatch, GROWN)
    ended = await changed(cluster, instance, Size(vcpus=2, memory_mb=128))
    assert ended.state is OperationState.FAILED
    assert ended.fault is not None
    assert ended.fault.reason == "SIZE_KEPT_BY_GUEST"
    await assert_size(cluster, instance, GROWN)
    record = await record_of(cluster, instance)
    assert (record.vm_state, record.task_state, record.fault) == (
        VmState.ACTIVE,
        None,
        ended.fault,
    )


async def test_what_a_guest_does_not_return_it_has(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given one module of two, and does not give that back: the record says so."""
    instance = await booted(cluster)
    half = Size(vcpus=1, memory_mb=256)
    keeps(cluster, monkeypatch, half)
    ended = await changed(cluster, instance, Size(vcpus=1, memory_mb=384))
    assert ended.state is OperationState.FAILED
    record = await record_of(cluster, instance)
    assert (record.size, record.vm_state, record.task_state) == (half, VmState.ACTIVE, None)
    assert await held(cluster) == (1, 256)


async def test_a_size_outlives_what_starts_the_guest_anew(cluster: LocalCluster) -> None:
    instance = await grown(cluster)
    for actions in (
        (Action.STOP, Action.START),
        (Action.REBOOT,),
        (Action.SUSPEND, Action.RESUME),
        (Action.RESCUE, Action.UNRESCUE),
        (Action.REBUILD,),
        (Action.SHELVE, Action.SHELVE_OFFLOAD, Action.UNSHELVE),
    ):
        for action in actions:
            await done(cluster, instance, action)
        await assert_size(cluster, instance, GROWN)
    await cluster.crash("instances")
    await cluster.crash("scheduler")
    await cluster.crash("host1")
    await assert_size(cluster, instance, GROWN)
    await done(cluster, instance, Action.DELETE)
    assert await held(cluster) == (0, 0)


async def test_a_resize_gives_the_new_flavor_s_and_a_revert_what_there_was(
    cluster: LocalCluster,
) -> None:
    instance = await grown(cluster)
    await done(cluster, instance, Action.RESIZE)
    record = await record_of(cluster, instance)
    assert (record.flavor, record.size, record.size_now) == (TINY, None, TINY.size)
    assert await held(cluster) == (2 + 1, 384 + TINY.memory_mb)
    await done(cluster, instance, Action.REVERT_RESIZE)
    await assert_size(cluster, instance, GROWN)

    details = Resize(flavor=TINY)
    again = await cluster.act(instance, Action.RESIZE, "again", details)
    await cluster.ended(again.operation)
    await done(cluster, instance, Action.CONFIRM_RESIZE)
    assert await held(cluster) == (TINY.vcpus, TINY.memory_mb)
    assert (await record_of(cluster, instance)).size is None


async def test_after_a_reset_the_same_size_is_asked_for_again(cluster: LocalCluster) -> None:
    instance = await booted(cluster)
    cluster.gate.hold("changeSize.ensure_size.before")
    details = ChangeSize(vcpus=2, memory_mb=384)
    asked = await cluster.act(instance, Action.CHANGE_SIZE, "cut off", details)
    await cluster.gate.arrival("changeSize.ensure_size.before")
    await cluster.instances.edit(
        ResetState(
            instance=instance, project=PROJECT, user=USER, vm_state=VmState.ACTIVE, admin=True
        )
    )
    cluster.gate.release("changeSize.ensure_size.before")
    assert (await cluster.ended(asked.operation)).state is OperationState.CANCELLED
    assert await held(cluster) == (2, 384), "the larger of the two"
    assert (await changed(cluster, instance, GROWN)).state is OperationState.SUCCEEDED
    await assert_size(cluster, instance, GROWN)
