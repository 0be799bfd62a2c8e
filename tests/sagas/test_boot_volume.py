"""Instances that boot from a volume: whatever fails, the volume is theirs, or free again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.details import DetachVolume, Resize, Unshelve
from actors.model.errors import Conflict, HypervisorRefused, Unavailable
from actors.model.host import Claim
from actors.model.ids import RequestId, VolumeId
from actors.model.instance import VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.volume import CreateVolume, VolumeStatus
from actors.ports.host import HostStep
from actors.ports.store import Table
from actors.sagas.boot import BOOT
from actors.sagas.plans import SAGAS
from tests.local.cluster import MICRO, PROJECT, USER, LocalCluster, local_cluster
from tests.local.records import instance, operation
from tests.sagas.points import BEFORE, action_of, details_of

ROOT = VolumeId("55555555-5555-4555-8555-555555555555")
POINTS = [
    f"create.{step.do.value if isinstance(step.do, HostStep) else step.name}"
    for step in BOOT.steps
    # No clone boots from a volume.
    if step.do is not HostStep.ENSURE_CLONED_DISK
]
ACTORS = ("instances", "host1", "volumes", "conductor")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        await new_volume(made, ROOT)
        yield made


async def new_volume(cluster: LocalCluster, volume: VolumeId) -> None:
    await cluster.volume_owner.create(
        CreateVolume(
            id=volume,
            project=PROJECT,
            user=USER,
            request_id=RequestId(volume),
            size_gb=1,
            source=cluster.source,
        )
    )


def refused() -> HypervisorRefused:
    return HypervisorRefused("The hypervisor refused, as the test says.", "TEST_REFUSAL")


def lost() -> Unavailable:
    return Unavailable("The answer was lost, as the test says.", "TEST_LOST")


async def status(cluster: LocalCluster) -> VolumeStatus:
    found: VolumeStatus = (await cluster.volume_owner.volume(ROOT)).status
    return found


async def assert_runs(cluster: LocalCluster, done: OperationRecord) -> None:
    """From the volume, without a disk of its own."""
    assert done.state is OperationState.SUCCEEDED, done
    record = await cluster.instances.get(done.instance)
    assert record.vm_state is VmState.ACTIVE
    assert [(one.volume, one.target) for one in record.volumes] == [(ROOT, "vda")]
    assert await status(cluster) is VolumeStatus.IN_USE
    assert cluster.domains() == {done.instance: "running"}
    assert cluster.volumes() == {}


async def test_the_root_takes_nothing_of_the_hosts_disk(cluster: LocalCluster) -> None:
    cluster.flavor = MICRO.evolve(disk_gb=5, ephemeral_gb=2)
    done = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    own = await cluster.ended((await cluster.boot("own")).operation)
    assert await claimed_gb(cluster) == {done.instance: 2, own.instance: 7}
    larger = Resize(flavor=MICRO.evolve(id="larger", disk_gb=9, ephemeral_gb=3))
    await cluster.ended((await cluster.act(done.instance, Action.RESIZE, details=larger)).operation)
    assert await claimed_gb(cluster) == {done.instance: 3, own.instance: 7}


async def claimed_gb(cluster: LocalCluster) -> dict[str, int]:
    claims = map(Claim.model_validate_json, await cluster.store.load(Table.CLAIMS))
    return {claim.instance: claim.resources.disk_gb for claim in claims}


async def delete(cluster: LocalCluster, instance: str) -> None:
    done = await cluster.ended((await cluster.act(instance, Action.DELETE)).operation)  # type: ignore[arg-type]
    assert done.state is OperationState.SUCCEEDED, done
    assert (cluster.domains(), cluster.disks()) == ({}, set())
    assert await cluster.claims() == 0


async def test_the_volume_outlives_the_instance(cluster: LocalCluster) -> None:
    done = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    await assert_runs(cluster, done)
    for action in (Action.STOP, Action.START):
        await cluster.ended((await cluster.act(done.instance, action)).operation)
    assert cluster.domains() == {done.instance: "running"}
    await delete(cluster, done.instance)
    assert await status(cluster) is VolumeStatus.AVAILABLE
    again = await cluster.ended((await cluster.boot("again", volume=ROOT)).operation)
    await assert_runs(cluster, again)


async def test_a_volume_may_go_with_its_instance(cluster: LocalCluster) -> None:
    made = await cluster.boot(volume=ROOT, delete_volume=True)
    done = await cluster.ended(made.operation)
    await delete(cluster, done.instance)
    await cluster.until_none(Table.VOLUMES)


async def test_two_instances_want_one_volume(cluster: LocalCluster) -> None:
    first, second = await cluster.boot(volume=ROOT), await cluster.boot("late", volume=ROOT)
    ended = [await cluster.ended(one.operation) for one in (first, second)]
    assert {one.state for one in ended} == {OperationState.SUCCEEDED, OperationState.FAILED}
    (failed,) = (one for one in ended if one.state is OperationState.FAILED)
    assert failed.fault is not None
    assert failed.fault.reason == "VOLUME_BUSY"
    await delete_both(cluster, ended)
    assert await status(cluster) is VolumeStatus.AVAILABLE


async def delete_both(cluster: LocalCluster, ended: list[OperationRecord]) -> None:
    for one in ended:
        await cluster.ended((await cluster.act(one.instance, Action.DELETE)).operation)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_step_fails(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", refused, times=9)
    done = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    assert f"{point}.{when}" in cluster.gate.reached
    assert done.state is OperationState.FAILED
    record = await cluster.instances.get(done.instance)
    assert (record.vm_state, record.volumes) == (VmState.ERROR, ())
    assert await status(cluster) is VolumeStatus.AVAILABLE
    assert cluster.domains() == {}
    await delete(cluster, done.instance)
    assert await status(cluster) is VolumeStatus.AVAILABLE


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_an_answer_is_lost(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", lost)
    await assert_runs(cluster, await cluster.ended((await cluster.boot(volume=ROOT)).operation))


@pytest.mark.parametrize("crashed", ACTORS)
@pytest.mark.parametrize("point", POINTS)
async def test_an_actor_dies(cluster: LocalCluster, point: str, crashed: str) -> None:
    cluster.gate.hold(f"{point}.after")
    made = await cluster.boot(volume=ROOT)
    await cluster.gate.arrival(f"{point}.after")
    await cluster.crash(crashed)
    cluster.gate.release(f"{point}.after")
    await assert_runs(cluster, await cluster.ended(made.operation))


@pytest.mark.parametrize("action", [Action.REBUILD, Action.CREATE_IMAGE, Action.CREATE_BACKUP])
async def test_what_is_about_a_disk_of_its_own(cluster: LocalCluster, action: Action) -> None:
    done = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    with pytest.raises(Conflict) as caught:
        await cluster.act(done.instance, action, details=details_of(action))
    assert caught.value.reason == "INSTANCE_BOOTS_FROM_VOLUME"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_delete_in_the_middle_frees_the_volume(
    cluster: LocalCluster, point: str, when: str
) -> None:
    cluster.gate.hold(f"{point}.{when}")
    made = await cluster.boot(volume=ROOT)
    await cluster.gate.arrival(f"{point}.{when}")
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    cluster.gate.release(f"{point}.{when}")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert (cluster.domains(), cluster.disks()) == ({}, set())
    assert await status(cluster) is VolumeStatus.AVAILABLE


async def test_a_rescue_leaves_the_volume_as_it_is(cluster: LocalCluster) -> None:
    made = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    rescued = await cluster.ended((await cluster.act(made.instance, Action.RESCUE)).operation)
    assert rescued.state is OperationState.SUCCEEDED, rescued
    assert (await cluster.instances.get(made.instance)).vm_state is VmState.RESCUED
    assert list(cluster.volumes()) == [".rescue.qcow2"]
    back = await cluster.ended((await cluster.act(made.instance, Action.UNRESCUE)).operation)
    await assert_runs(cluster, back)
    await delete(cluster, made.instance)
    assert await status(cluster) is VolumeStatus.AVAILABLE


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["mark", "ensure_rescue_disk", "ensure_rebooted"])
async def test_a_rescue_that_fails_leaves_all_as_it_was(
    cluster: LocalCluster, step: str, when: str
) -> None:
    made = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    cluster.gate.fail(f"rescue.{step}.{when}", refused)
    failed = await cluster.ended((await cluster.act(made.instance, Action.RESCUE)).operation)
    assert failed.state is OperationState.FAILED
    await assert_runs(cluster, made)


async def test_its_root_is_not_detached(cluster: LocalCluster) -> None:
    done = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    with pytest.raises(Conflict) as caught:
        await cluster.act(done.instance, Action.DETACH_VOLUME, details=DetachVolume(volume=ROOT))
    assert caught.value.reason == "VOLUME_IS_ROOT"


SHELVING = {
    Action.SHELVE: (VmState.ACTIVE, None),
    Action.SHELVE_OFFLOAD: (VmState.SHELVED, None),
    Action.UNSHELVE: (VmState.SHELVED_OFFLOADED, Unshelve()),
}
SHELVING_POINTS = [
    f"{action.value}.{step.do.value if isinstance(step.do, HostStep) else step.name}"
    for action, (was, details) in SHELVING.items()
    for step in SAGAS[action].steps_of(operation(instance(), action, was=was, details=details))
]


async def shelving(cluster: LocalCluster, point: str) -> OperationRecord:
    """The action of the point, under way."""
    action = action_of(point)
    made = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    for before in BEFORE.get(action, ()):
        await cluster.ended((await cluster.act(made.instance, before)).operation)
    under_way: OperationRecord = (await cluster.act(made.instance, action)).operation
    return under_way


async def assert_shelved(cluster: LocalCluster, done: OperationRecord) -> None:
    """As it was asked to be, with its volume, and with no image."""
    assert done.state is OperationState.SUCCEEDED, done
    assert len(await cluster.images.images()) == 2
    if done.action is Action.UNSHELVE:
        await assert_runs(cluster, done)
        assert await cluster.claims() == 1
        return
    record = await cluster.instances.get(done.instance)
    assert record.shelved is None
    assert [(one.volume, one.target) for one in record.volumes] == [(ROOT, "vda")]
    assert await status(cluster) is VolumeStatus.IN_USE
    if done.action is Action.SHELVE:
        assert record.vm_state is VmState.SHELVED
        assert cluster.domains() == {done.instance: "shutdown"}
    else:
        assert (record.vm_state, record.host) == (VmState.SHELVED_OFFLOADED, None)
        assert (cluster.domains(), cluster.disks()) == ({}, set())
        assert await cluster.claims() == 0


async def test_a_shelve_needs_no_image(cluster: LocalCluster) -> None:
    """All of it: from the volume away, and back to it; also from what stands, and stands still."""
    made = await cluster.ended((await cluster.boot(volume=ROOT)).operation)
    away = (Action.SHELVE, Action.SHELVE_OFFLOAD)
    ways = [(first, *away) for first in (Action.STOP, Action.PAUSE, Action.SUSPEND)]
    # While its host has it still, it comes back as well.
    for number, way in enumerate((*ways, away, (Action.SHELVE,))):
        for action in way:
            await cluster.ended(
                (await cluster.act(made.instance, action, f"{action}-{number}")).operation
            )
        back = await cluster.act(made.instance, Action.UNSHELVE, f"back-{number}")
        await assert_runs(cluster, await cluster.ended(back.operation))
    assert len(await cluster.images.images()) == 2
    await delete(cluster, made.instance)


async def test_what_left_its_host_is_deleted_without_its_volume(cluster: LocalCluster) -> None:
    offloaded = await cluster.ended(await shelving(cluster, "shelveOffload.claim"))
    await delete(cluster, offloaded.instance)
    assert await status(cluster) is VolumeStatus.AVAILABLE


async def test_it_comes_back_where_its_volume_is(tmp_path: Path) -> None:
    async with local_cluster(tmp_path, hosts=2) as cluster:
        await new_volume(cluster, ROOT)
        offloaded = await cluster.ended(await shelving(cluster, "shelveOffload.claim"))
        home = (await cluster.volume_owner.volume(ROOT)).host
        other = {"host1": "host2", "host2": "host1"}[home]
        elsewhere = await cluster.act(
            offloaded.instance, Action.UNSHELVE, "elsewhere", Unshelve(host=other)
        )
        failed = await cluster.ended(elsewhere.operation)
        assert failed.fault is not None
        assert failed.fault.reason == "VOLUME_ELSEWHERE"
        back = await cluster.act(offloaded.instance, Action.UNSHELVE)
        await assert_runs(cluster, await cluster.ended(back.operation))
        assert (await cluster.instances.get(offloaded.instance)).host == home


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", SHELVING_POINTS)
async def test_a_step_of_a_shelve_fails(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", refused)
    under_way = await shelving(cluster, point)
    done = await cluster.ended(under_way)
    assert f"{point}.{when}" in cluster.gate.reached
    if not SAGAS[done.action].only_forward and done.state is not OperationState.SUCCEEDED:
        record = await cluster.instances.get(done.instance)
        assert (record.vm_state, record.task_state) == (done.was, None)
        assert await status(cluster) is VolumeStatus.IN_USE
        done = await cluster.ended(
            (await cluster.act(done.instance, done.action, "again")).operation
        )
    await assert_shelved(cluster, done)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", SHELVING_POINTS)
async def test_an_answer_of_a_shelve_is_lost(cluster: LocalCluster, point: str, when: str) -> None:
    cluster.gate.fail(f"{point}.{when}", lost)
    await assert_shelved(cluster, await cluster.ended(await shelving(cluster, point)))


@pytest.mark.parametrize("crashed", ACTORS)
@pytest.mark.parametrize("point", SHELVING_POINTS)
async def test_an_actor_dies_in_a_shelve(cluster: LocalCluster, point: str, crashed: str) -> None:
    cluster.gate.hold(f"{point}.after")
    under_way = await shelving(cluster, point)
    await cluster.gate.arrival(f"{point}.after")
    await cluster.crash(crashed)
    cluster.gate.release(f"{point}.after")
    await assert_shelved(cluster, await cluster.ended(under_way))
