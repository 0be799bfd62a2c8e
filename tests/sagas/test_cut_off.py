"""A cancel, a delete and a soft delete come at every step of every saga: what is left then.

Real actors, SQLite and libvirt's test driver, in one process, as in ``test_every_saga``.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.edits import ResetState
from actors.model.errors import Conflict
from actors.model.image import ImageStatus
from actors.model.instance import VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.sagas.plans import SAGAS
from tests.local.cluster import LocalCluster, local_cluster
from tests.sagas.points import FORWARD, STEPS, action_of
from tests.sagas.test_every_saga import assert_as_asked, assert_as_before, assert_clean, begin

#: A delete is not interrupted by another, and some end what a soft delete must wait for.
DELETES = (Action.DELETE, Action.SOFT_DELETE)
CANCELLED = [
    point for point in STEPS if not SAGAS[action_of(point)].only_forward and point not in FORWARD
]
INTERRUPTED = [point for point in STEPS if action_of(point) not in DELETES]
#: A soft delete waits for the end of these.
NOT_CUT_OFF = {
    Action.REBUILD,
    Action.RESCUE,
    Action.UNRESCUE,
    Action.RESIZE,
    Action.CONFIRM_RESIZE,
    Action.REVERT_RESIZE,
    Action.TAKE_SNAPSHOT,
    Action.RESTORE_SNAPSHOT,
    Action.DELETE_SNAPSHOT,
    Action.CHANGE_SIZE,
    Action.ATTACH_VOLUME,
    Action.DETACH_VOLUME,
}
KEPT = [point for point in INTERRUPTED if action_of(point) not in NOT_CUT_OFF]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def images(cluster: LocalCluster) -> list[ImageStatus]:
    """The states of the images that instances were made into."""
    found = await cluster.images.images()
    return [image.status for image in found if "instance_uuid" in image.properties]


async def held(cluster: LocalCluster, point: str) -> OperationRecord:
    """The point's operation, held behind it."""
    cluster.gate.hold(f"{point}.after")
    operation = await begin(cluster, action_of(point))
    await cluster.gate.arrival(f"{point}.after")
    return operation


@pytest.mark.parametrize("point", CANCELLED)
async def test_a_cancel(cluster: LocalCluster, point: str) -> None:
    operation = await held(cluster, point)
    before = await images(cluster)
    await cluster.instances.call("cancel", operation.id)
    cluster.gate.release(f"{point}.after")
    done = await cluster.ended(operation)
    record = await cluster.instances.get(operation.instance)
    if done.state is OperationState.SUCCEEDED:
        # Nothing of it can be undone.
        await assert_as_asked(cluster, done)
        return
    assert done.state is OperationState.CANCELLED
    if any(step.undo for step in SAGAS[done.action].steps):
        await assert_as_before(cluster, done)
    if done.action not in {Action.UNSHELVE, Action.SHELVE_OFFLOAD}:
        assert (await images(cluster), record.shelved) == ([], None), before


@pytest.mark.parametrize("point", INTERRUPTED)
async def test_a_delete(cluster: LocalCluster, point: str) -> None:
    operation = await held(cluster, point)
    deleted = await cluster.act(operation.instance, Action.DELETE)
    cluster.gate.release(f"{point}.after")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    await assert_clean(cluster)
    assert await cluster.told() == 0
    assert set(await images(cluster)) <= {ImageStatus.ACTIVE}
    assert list((cluster.folder / "host1" / "instances").glob("*-*")) == []


@pytest.mark.parametrize("point", KEPT)
async def test_a_soft_delete(cluster: LocalCluster, point: str) -> None:
    """Either nothing is left, or what can be restored, and no more than that."""
    operation = await held(cluster, point)
    deleted = await cluster.act(operation.instance, Action.SOFT_DELETE)
    cluster.gate.release(f"{point}.after")
    done = await cluster.ended(deleted.operation)
    assert done.state is OperationState.SUCCEEDED
    assert set(await images(cluster)) <= {ImageStatus.ACTIVE}
    if done.action is Action.SOFT_DELETE:
        record = await cluster.instances.get(operation.instance)
        (usage,) = await cluster.usages()
        assert usage.claimed.memory_mb == record.flavor.memory_mb
        restored = await cluster.act(operation.instance, Action.RESTORE)
        done = await cluster.ended(restored.operation)
        assert done.state is OperationState.SUCCEEDED
        assert cluster.domains() == {operation.instance: "running"}
        forced = await cluster.act(operation.instance, Action.DELETE)
        assert (await cluster.ended(forced.operation)).state is OperationState.SUCCEEDED
    await assert_clean(cluster)
    assert await cluster.told() == 0


async def test_a_cancel_costs_no_backup(cluster: LocalCluster) -> None:
    """Once an old one is gone, the new one is there to stay."""
    first = await begin(cluster, Action.CREATE_BACKUP)
    await cluster.ended(first)
    cluster.gate.hold("createBackup.rotate.after")
    second = (await cluster.act(first.instance, Action.CREATE_BACKUP, "second")).operation
    await cluster.until(lambda: cluster.gate.reached.count("createBackup.rotate.after") == 2)
    with pytest.raises(Conflict) as refusal:
        await cluster.instances.call("cancel", second.id)
    assert refusal.value.reason == "OPERATION_NOT_CANCELLABLE"
    cluster.gate.release("createBackup.rotate.after")
    assert (await cluster.ended(second)).state is OperationState.SUCCEEDED
    assert await images(cluster) == [ImageStatus.ACTIVE]


@pytest.mark.parametrize("point", INTERRUPTED)
async def test_a_reset_and_a_delete(cluster: LocalCluster, point: str) -> None:
    """Nothing of what was cut off is undone; but all of it goes with the instance."""
    operation = await held(cluster, point)
    record = await cluster.instances.get(operation.instance)
    await cluster.instances.edit(
        ResetState(
            instance=record.id,
            project=record.project,
            user=record.user,
            admin=True,
            vm_state=VmState.ERROR,
        )
    )
    cluster.gate.release(f"{point}.after")
    assert (await cluster.ended(operation)).state is OperationState.CANCELLED
    deleted = await cluster.act(operation.instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    await assert_clean(cluster)
    assert await cluster.told() == 0
    assert list((cluster.folder / "host1" / "instances").glob("*-*")) == []
