"""For every saga and every step: it fails, its answer is lost, its undo is repeated, it is cut off.

Real actors, SQLite and libvirt's test driver, in one process. What a real ``kill -9`` does is in
``tests/ray``.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from actors.model.errors import HypervisorRefused, Unavailable
from actors.model.flavor import Size
from actors.model.ids import InstanceId, RequestId
from actors.model.instance import VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.volume import CreateVolume, VolumeStatus
from tests.local.cluster import MICRO, PROJECT, USER, LocalCluster, local_cluster
from tests.sagas.points import (
    BEFORE,
    FORWARD,
    LEAVES,
    POWER,
    STEPS,
    UNDOS,
    VOLUME,
    action_of,
    last_step,
)

WHEN = ("before", "after")
NEW_VOLUME = CreateVolume(
    id=VOLUME, project=PROJECT, user=USER, request_id=RequestId("volume"), size_gb=1
)
ACTORS = ("instances", "host1", "scheduler", "network", "conductor", "images", "volumes")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


def refused() -> HypervisorRefused:
    return HypervisorRefused("The hypervisor refused, as the test says.", "TEST_REFUSAL")


def lost() -> Unavailable:
    return Unavailable("The answer was lost, as the test says.", "TEST_LOST")


async def begin(cluster: LocalCluster, action: Action) -> OperationRecord:
    """Ask for the action, on an instance that is in the state for it."""
    made = await cluster.boot()
    await cluster.volume_owner.create(NEW_VOLUME)
    if action is Action.CREATE:
        return made.operation
    await cluster.ended(made.operation)
    for before in BEFORE.get(action, ()):
        await cluster.ended((await cluster.act(made.instance.id, before)).operation)
    return (await cluster.act(made.instance.id, action)).operation


async def assert_as_asked(cluster: LocalCluster, done: OperationRecord) -> None:
    """The operation did what it says, and nothing else is left."""
    assert done.state is OperationState.SUCCEEDED, done
    gone = done.action in LEAVES
    power = POWER.get(done.action, "running")
    assert cluster.domains() == ({} if gone else {done.instance: power})
    assert cluster.disks() == (set() if gone else {done.instance})
    assert await cluster.claims() == (0 if gone else 1)
    assert await cluster.ports() == (0 if done.action is Action.DELETE else 1)
    # An unshelve makes the disk from the image that the shelve made.
    if not gone and done.action is not Action.UNSHELVE:
        assert cluster.volumes() == volumes(cluster, done.action, done.sequence)
    assert await volume_status(cluster) == (
        VolumeStatus.IN_USE if done.action is Action.ATTACH_VOLUME else VolumeStatus.AVAILABLE
    )
    if done.action in {Action.TAKE_SNAPSHOT, Action.RESTORE_SNAPSHOT, Action.DELETE_SNAPSHOT}:
        record = await cluster.instances.get(done.instance)
        kept = [] if done.action is Action.DELETE_SNAPSHOT else ["monday"]
        assert [one.name for one in record.snapshots] == kept
    if done.action is Action.CHANGE_SIZE:
        await assert_size(cluster, done.instance, Size(vcpus=2, memory_mb=256))
    assert await cluster.told() == (
        0 if done.action is Action.DELETE else 2 if done.action is Action.RESCUE else 1
    )


async def assert_size(cluster: LocalCluster, instance: InstanceId, size: Size) -> None:
    """Record, claim and guest are of this size."""
    record = await cluster.instances.get(instance)
    assert (record.size_now, record.flavor) == (size, MICRO)
    claimed = [usage.claimed for usage in await cluster.usages() if usage.instances]
    assert [(one.vcpus, one.memory_mb) for one in claimed] == [(size.vcpus, size.memory_mb)]
    assert set(cluster.vcpus(instance)) == {size.vcpus}


def volumes(cluster: LocalCluster, last: Action | None, sequence: int = 2) -> dict[str, str]:
    """The disks of an instance after this action, and what lies below each."""
    assert cluster.source is not None
    assert cluster.other is not None
    first, other = cluster.source.disk.sha256, cluster.other.disk.sha256
    if last is Action.REBUILD:
        return {".qcow2": other}
    if last is Action.RESIZE:
        return {".qcow2": first, f".old-{sequence}.qcow2": first}
    if last is Action.RESCUE:
        return {".qcow2": first, ".rescue.qcow2": other}
    return {".qcow2": first}


async def assert_as_before(cluster: LocalCluster, failed: OperationRecord) -> None:
    """The operation was undone: what there was before it is there again."""
    if failed.action is Action.CREATE:
        await assert_clean(cluster)
        return
    record = await cluster.instances.get(failed.instance)
    assert (record.vm_state, record.task_state) == (failed.was, None)
    before = BEFORE.get(failed.action, ())
    power = POWER.get(before[-1], "running") if before else "running"
    gone = bool(before) and before[-1] in LEAVES
    assert cluster.domains() == ({} if gone else {failed.instance: power})
    assert cluster.disks() == (set() if gone else {failed.instance})
    assert await cluster.claims() == (0 if gone else 1)
    assert await cluster.ports() == 1
    if not gone:
        assert cluster.volumes() == volumes(cluster, before[-1] if before else None)
    attached = before == (Action.ATTACH_VOLUME,)
    assert bool(record.volumes) is attached
    assert await volume_status(cluster) == (
        VolumeStatus.IN_USE if attached else VolumeStatus.AVAILABLE
    )
    if failed.action is Action.CHANGE_SIZE:
        await assert_size(cluster, failed.instance, MICRO.size)
    assert await cluster.told() == (2 if Action.RESCUE in before else 1)
    assert record.name == "vm"
    assert [one.name for one in record.snapshots] == (
        ["monday"] if Action.TAKE_SNAPSHOT in before else []
    )


async def volume_status(cluster: LocalCluster) -> VolumeStatus:
    """Of the one volume that there is."""
    (volume,) = await cluster.volume_owner.volumes(None)
    status: VolumeStatus = volume.status
    return status


async def assert_clean(cluster: LocalCluster) -> None:
    """Nothing of any instance is left."""
    assert cluster.domains() == {}
    assert cluster.disks() == set()
    assert cluster.volumes() == {}
    assert await cluster.claims() == 0
    assert await cluster.ports() == 0


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", STEPS)
async def test_a_step_fails(cluster: LocalCluster, point: str, when: str) -> None:
    action = action_of(point)
    cluster.gate.fail(f"{point}.{when}", refused)
    operation = await begin(cluster, action)
    done = await cluster.ended(operation)
    assert f"{point}.{when}" in cluster.gate.reached
    if point in FORWARD:
        await assert_as_asked(cluster, done)
        return
    assert done.state is OperationState.FAILED
    assert done.fault is not None
    record = await cluster.instances.get(operation.instance)
    assert record.task_state is None
    if action is Action.CREATE:
        assert record.vm_state is VmState.ERROR
        assert record.fault is not None
        await assert_clean(cluster)
    else:
        assert record.vm_state is not VmState.ERROR
        again = await cluster.act(operation.instance, action, "again")
        await assert_as_asked(cluster, await cluster.ended(again.operation))
    deleted = await cluster.act(operation.instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    await assert_clean(cluster)
    assert await cluster.told() == 0


@pytest.mark.parametrize("point", STEPS)
async def test_a_step_is_repeated(cluster: LocalCluster, point: str) -> None:
    """It acts, its answer is lost, it acts again."""
    cluster.gate.fail(f"{point}.after", lost)
    operation = await begin(cluster, action_of(point))
    await assert_as_asked(cluster, await cluster.ended(operation))
    assert cluster.gate.reached.count(f"{point}.before") == 2


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", UNDOS)
async def test_an_undo_is_repeated(cluster: LocalCluster, point: str, when: str) -> None:
    """The last step fails, and each undo is cut off, then fails, then works."""
    action = action_of(point)
    cluster.gate.fail(f"{last_step(action)}.after", refused)
    cluster.gate.fail(f"{point}.{when}", lost)
    cluster.gate.fail(f"{point}.{when}", refused)
    operation = await begin(cluster, action)
    done = await cluster.ended(operation)
    assert done.state is OperationState.FAILED
    # A boot's second attempt finds no other host; what was made beside its claim is undone too.
    expected = 4 if point in {"create.undo_claim", "create.undo_ports"} else 3
    assert cluster.gate.reached.count(f"{point}.before") == expected
    await assert_as_before(cluster, done)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", STEPS)
async def test_an_actor_is_lost_in_a_step(
    cluster: LocalCluster, point: str, when: str, actor: str
) -> None:
    cluster.gate.hold(f"{point}.{when}")
    operation = await begin(cluster, action_of(point))
    await cluster.gate.arrival(f"{point}.{when}")
    await cluster.crash(actor)
    cluster.gate.release(f"{point}.{when}")
    await assert_as_asked(cluster, await cluster.ended(operation))


@pytest.mark.parametrize("actor", ["instances", "host1"])
@pytest.mark.parametrize("point", UNDOS)
async def test_an_actor_is_lost_in_an_undo(cluster: LocalCluster, point: str, actor: str) -> None:
    action = action_of(point)
    cluster.gate.fail(f"{last_step(action)}.after", refused)
    cluster.gate.hold(f"{point}.after")
    operation = await begin(cluster, action)
    await cluster.gate.arrival(f"{point}.after")
    await cluster.crash(actor)
    cluster.gate.release(f"{point}.after")
    done = await cluster.ended(operation)
    assert done.state is OperationState.FAILED
    await assert_as_before(cluster, done)


@pytest.mark.parametrize("point", [point for point in STEPS if point.startswith("create.")])
async def test_a_delete_interrupts_a_boot(cluster: LocalCluster, point: str) -> None:
    cluster.gate.hold(f"{point}.after")
    boot = await begin(cluster, Action.CREATE)
    await cluster.gate.arrival(f"{point}.after")
    deleted = await cluster.act(boot.instance, Action.DELETE)
    cluster.gate.release(f"{point}.after")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert (await cluster.ended(boot)).state is OperationState.CANCELLED
    await assert_clean(cluster)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", [point for point in STEPS if "tach_volume." in point])
async def test_a_delete_leaves_no_volume_behind(
    cluster: LocalCluster, point: str, when: str
) -> None:
    """It interrupts an attach, or a detach."""
    cluster.gate.hold(f"{point}.{when}")
    operation = await begin(cluster, action_of(point))
    await cluster.gate.arrival(f"{point}.{when}")
    deleted = await cluster.act(operation.instance, Action.DELETE)
    cluster.gate.release(f"{point}.{when}")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    await assert_clean(cluster)
    assert await volume_status(cluster) is VolumeStatus.AVAILABLE


@pytest.mark.parametrize("point", [point for point in STEPS if point.startswith("create.")])
async def test_a_boot_is_cancelled(cluster: LocalCluster, point: str) -> None:
    cluster.gate.hold(f"{point}.after")
    boot = await begin(cluster, Action.CREATE)
    await cluster.gate.arrival(f"{point}.after")
    asked: OperationRecord = await cluster.instances.call("cancel", boot.id)
    assert asked.cancel_requested
    cluster.gate.release(f"{point}.after")
    done = await cluster.ended(boot)
    last = point == "create.ensure_running"
    # A cancel that comes when the last step has acted comes in time all the same: nothing is kept.
    assert done.state is OperationState.CANCELLED, (last, done)
    await assert_clean(cluster)


async def test_a_cancel_reaches_a_step_that_is_under_way(cluster: LocalCluster) -> None:
    """A host that fetches an image for minutes gives up at once."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def read(*_: object) -> bytes:
        asked.set()
        await never.wait()
        return b""

    cluster.actors["images"].read = read
    boot = await begin(cluster, Action.CREATE)
    await asked.wait()
    await cluster.instances.call("cancel", boot.id)
    assert (await cluster.ended(boot)).state is OperationState.CANCELLED
    await assert_clean(cluster)


async def test_the_log_has_each_step_s_own_time(cluster: LocalCluster) -> None:
    """Steps that travel to the host in one call are timed there."""
    boot = await begin(cluster, Action.CREATE)
    done = await cluster.ended(boot)
    host = [entry for entry in done.steps if entry.name not in {"claim", "ports"}]
    ends = [entry.finished for entry in host]
    assert len(host) == 4
    assert None not in ends
    for one, following in pairwise(host):
        assert one.finished is not None
        assert one.started < one.finished <= following.started
