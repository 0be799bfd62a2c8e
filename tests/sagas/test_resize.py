"""Resizes between two hosts: what is on which, whatever fails, and nothing left of it at the end.

On one host they go through ``test_every_saga`` with all others.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.lifecycle.due import Policy
from actors.model.details import Resize
from actors.model.errors import Conflict, HypervisorRefused, Invalid, Unavailable
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.ids import HostId, InstanceId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.ports.host import HostStep
from actors.ports.store import Table
from actors.sagas.plans import SAGAS
from tests.local.cluster import MICRO, LocalCluster, local_cluster
from tests.sagas.points import TINY, VOLUME, steps_of
from tests.sagas.test_every_saga import NEW_VOLUME

SETTLING = (Action.CONFIRM_RESIZE, Action.REVERT_RESIZE, Action.DELETE, Action.SOFT_DELETE)
ACTIONS = (Action.RESIZE, *SETTLING)
WHEN = ("before", "after")
ELSEWHERE = HostId("99999999-9999-4999-8999-999999999999")


def points(*actions: Action) -> list[str]:
    """Where something can go wrong between two hosts; each name once."""
    found = {
        f"{action.value}.{step.do.value if isinstance(step.do, HostStep) else step.name}"
        for action in actions
        for step in steps_of(SAGAS[action], former_host=ELSEWHERE)
    }
    return sorted(found)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path, hosts=2, resize_to_same_host=False) as made:
        yield made


def refused() -> HypervisorRefused:
    return HypervisorRefused("The hypervisor refused, as the test says.", "TEST_REFUSAL")


def lost() -> Unavailable:
    return Unavailable("The answer was lost, as the test says.", "TEST_LOST")


async def booted(cluster: LocalCluster) -> InstanceRecord:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    record: InstanceRecord = await cluster.instances.get(made.instance.id)
    return record


async def asked(
    cluster: LocalCluster, record: InstanceRecord, action: Action, request: str | None = None
) -> OperationRecord:
    operation: OperationRecord = (await cluster.act(record.id, action, request)).operation
    return operation


async def done(
    cluster: LocalCluster, record: InstanceRecord, action: Action, request: str | None = None
) -> OperationRecord:
    ended = await cluster.ended(await asked(cluster, record, action, request))
    assert ended.state is OperationState.SUCCEEDED, ended
    return ended


@pytest.mark.parametrize("when", ["before", "after"])
async def test_volumes_that_all_hosts_have_come_along(tmp_path: Path, when: str) -> None:
    async with local_cluster(
        tmp_path, hosts=2, resize_to_same_host=False, volumes_shared=True
    ) as cluster:
        first = await booted(cluster)
        await cluster.volume_owner.create(NEW_VOLUME)
        await done(cluster, first, Action.ATTACH_VOLUME)

        async def hosts() -> tuple[str | None, str | None]:
            record = await cluster.instances.get(first.id)
            return record.host, (await cluster.volume_owner.volume(VOLUME)).host

        assert await hosts() == (first.host, first.host)
        cluster.gate.fail(f"resize.ensure_running.{when}", refused)
        failed = await cluster.ended(await asked(cluster, first, Action.RESIZE, "one"))
        assert failed.state is OperationState.FAILED
        assert await hosts() == (first.host, first.host)
        await done(cluster, first, Action.RESIZE, "two")
        record, volume = await hosts()
        assert record == volume != first.host
        await done(cluster, first, Action.REVERT_RESIZE)
        assert await hosts() == (first.host, first.host)


async def begin(cluster: LocalCluster, action: Action) -> tuple[InstanceRecord, OperationRecord]:
    """The instance as it was booted, and the action under way."""
    first = await booted(cluster)
    if action is not Action.RESIZE:
        await done(cluster, first, Action.RESIZE)
    return first, await asked(cluster, first, action)


def there(cluster: LocalCluster) -> dict[str, str]:
    """What each host has of the one instance: its domain's power, or its disk alone."""
    found = {}
    for name, hypervisor in cluster.hypervisors.items():
        for path in (cluster.folder / name / "instances").glob("*-*"):
            guests = {guest.instance: guest.power_state.value for guest in hypervisor.guests()}
            found[name] = guests.get(InstanceId(path.name), "disk")
    return found


async def held(cluster: LocalCluster) -> dict[str, tuple[int, int]]:
    """Instances and MiB, by host."""
    return {
        usage.record.name: (usage.instances, usage.claimed.memory_mb)
        for usage in await cluster.usages()
        if usage.claimed.memory_mb
    }


async def assert_resized(cluster: LocalCluster, first: InstanceRecord) -> str:
    """It lives on the other host, and what it was waits on its own. The other host's name."""
    record = await cluster.instances.get(first.id)
    assert first.host is not None
    (other,) = {"host1", "host2"} - {first.host}
    assert record.former is not None
    assert (record.host, record.former.host) == (other, first.host)
    assert (record.flavor, record.former.flavor) == (TINY, MICRO)
    assert record.vm_state is VmState.RESIZED
    assert there(cluster) == {other: "running", first.host: "disk"}
    assert await held(cluster) == {other: (1, TINY.memory_mb), first.host: (0, MICRO.memory_mb)}
    return other


async def assert_as_it_was(cluster: LocalCluster, first: InstanceRecord) -> None:
    record = await cluster.instances.get(first.id)
    assert first.host is not None
    assert (record.host, record.flavor, record.former) == (first.host, MICRO, None)
    assert (record.vm_state, record.task_state) == (VmState.ACTIVE, None)
    assert there(cluster) == {first.host: "running"}
    assert await held(cluster) == {first.host: (1, MICRO.memory_mb)}


async def assert_asked(
    cluster: LocalCluster, first: InstanceRecord, action: Action, ended: OperationRecord
) -> None:
    assert ended.state is OperationState.SUCCEEDED, ended
    (other,) = {"host1", "host2"} - {first.host}
    match action:
        case Action.RESIZE:
            await assert_resized(cluster, first)
        case Action.REVERT_RESIZE:
            await assert_as_it_was(cluster, first)
        case Action.DELETE:
            assert there(cluster) == {}
            assert await held(cluster) == {}
            assert await cluster.ports() == 0
        case _:
            record = await cluster.instances.get(first.id)
            soft = action is Action.SOFT_DELETE
            assert record.vm_state is (VmState.SOFT_DELETED if soft else VmState.ACTIVE)
            assert (record.host, record.flavor, record.former) == (other, TINY, None)
            assert there(cluster) == {other: "shutdown" if soft else "running"}
            assert await held(cluster) == {other: (1, TINY.memory_mb)}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", points(*ACTIONS))
async def test_a_step_fails(cluster: LocalCluster, point: str, when: str) -> None:
    action = Action(point.partition(".")[0])
    cluster.gate.fail(f"{point}.{when}", refused)
    first, operation = await begin(cluster, action)
    ended = await cluster.ended(operation)
    assert f"{point}.{when}" in cluster.gate.reached
    if ended.state is OperationState.FAILED and action is Action.RESIZE:
        await assert_as_it_was(cluster, first)
        ended = await done(cluster, first, action, "again")
    elif ended.state is OperationState.FAILED:
        assert point == "softDelete.ensure_stopped", "the others only go forward"
        ended = await done(cluster, first, action, "again")
    await assert_asked(cluster, first, action, ended)


@pytest.mark.parametrize("point", points(*ACTIONS))
async def test_a_step_is_repeated(cluster: LocalCluster, point: str) -> None:
    action = Action(point.partition(".")[0])
    cluster.gate.fail(f"{point}.after", lost)
    first, operation = await begin(cluster, action)
    await assert_asked(cluster, first, action, await cluster.ended(operation))


@pytest.mark.parametrize("undo", ["ensure_absent", "revert_disk", "remove_network",
                                  "undo_mark", "ensure_running", "undo_claim"])  # fmt: skip
async def test_an_undo_is_repeated(cluster: LocalCluster, undo: str) -> None:
    cluster.gate.fail("resize.ensure_resized_disk.after", refused)
    cluster.gate.fail(f"resize.{undo}.after", lost)
    first, operation = await begin(cluster, Action.RESIZE)
    assert (await cluster.ended(operation)).state is OperationState.FAILED
    await assert_as_it_was(cluster, first)


@pytest.mark.parametrize("actor", ["instances", "host1", "host2", "scheduler"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("point", points(*ACTIONS[:-1]))
async def test_an_actor_is_lost_in_a_step(
    cluster: LocalCluster, point: str, when: str, actor: str
) -> None:
    action = Action(point.partition(".")[0])
    cluster.gate.hold(f"{point}.{when}")
    first, operation = await begin(cluster, action)
    await cluster.gate.arrival(f"{point}.{when}")
    await cluster.crash(actor)
    cluster.gate.release(f"{point}.{when}")
    await assert_asked(cluster, first, action, await cluster.ended(operation))


@pytest.mark.parametrize(
    "point", points(Action.RESIZE, Action.CONFIRM_RESIZE, Action.REVERT_RESIZE)
)
async def test_a_delete_interrupts_it(cluster: LocalCluster, point: str) -> None:
    cluster.gate.hold(f"{point}.after")
    first, operation = await begin(cluster, Action(point.partition(".")[0]))
    await cluster.gate.arrival(f"{point}.after")
    deleted = await asked(cluster, first, Action.DELETE)
    cluster.gate.release(f"{point}.after")
    await assert_asked(cluster, first, Action.DELETE, await cluster.ended(deleted))
    assert (await cluster.ended(operation)).state is OperationState.CANCELLED


@pytest.mark.parametrize("point", points(Action.RESIZE))
async def test_it_is_cancelled(cluster: LocalCluster, point: str) -> None:
    cluster.gate.hold(f"{point}.after")
    first, operation = await begin(cluster, Action.RESIZE)
    await cluster.gate.arrival(f"{point}.after")
    await cluster.instances.call("cancel", operation.id)
    cluster.gate.release(f"{point}.after")
    assert (await cluster.ended(operation)).state is OperationState.CANCELLED
    await assert_as_it_was(cluster, first)


@pytest.mark.parametrize("action", [Action.CONFIRM_RESIZE, Action.DELETE])
async def test_the_former_host_is_away(cluster: LocalCluster, action: Action) -> None:
    """It is left to that host; when it is back nothing of the instance is there."""
    first = await booted(cluster)
    await done(cluster, first, Action.RESIZE)
    other = await assert_resized(cluster, first)
    assert first.host is not None
    await cluster.kill(first.host)
    cluster.lose_patience()
    await done(cluster, first, action)
    assert there(cluster)[first.host] == "disk"
    assert len(await cluster.store.load(Table.EVICTIONS)) == 1
    cluster.spawn(first.host)
    await cluster.until(lambda: first.host not in there(cluster))
    stays = action is Action.CONFIRM_RESIZE
    assert there(cluster) == ({other: "running"} if stays else {})


async def test_a_revert_waits_for_the_former_host(cluster: LocalCluster) -> None:
    first = await booted(cluster)
    await done(cluster, first, Action.RESIZE)
    assert first.host is not None
    await cluster.kill(first.host)
    operation = await asked(cluster, first, Action.REVERT_RESIZE)
    async with asyncio.timeout(30):
        while not (await cluster.instances.operation(operation.id)).waiting_for:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await cluster.store.load(Table.EVICTIONS) == ()
    cluster.spawn(first.host)
    await cluster.ended(operation)
    await assert_as_it_was(cluster, first)


async def test_what_comes_back_to_a_host_is_not_evicted(cluster: LocalCluster) -> None:
    """The host was away when it was to clean up, and has the instance again before it did."""
    first = await booted(cluster)
    await done(cluster, first, Action.RESIZE)
    assert first.host is not None
    await cluster.kill(first.host)
    cluster.lose_patience()
    await done(cluster, first, Action.CONFIRM_RESIZE)
    cluster.gate.hold("evict.ensure_absent.before")
    cluster.spawn(first.host)
    await cluster.gate.arrival("evict.ensure_absent.before")
    back = await cluster.act(first.id, Action.RESIZE, "back", Resize(flavor=DEFAULT_FLAVORS[1]))
    cluster.gate.release("evict.ensure_absent.before")
    assert (await cluster.ended(back.operation)).state is OperationState.SUCCEEDED
    await done(cluster, first, Action.CONFIRM_RESIZE, "again")
    await cluster.until_none(Table.EVICTIONS)
    assert there(cluster) == {first.host: "running"}


@pytest.mark.parametrize("hosts", [1, 2])
@pytest.mark.parametrize("end", [Action.CONFIRM_RESIZE, Action.REVERT_RESIZE])
async def test_what_was_stopped_stays_so(tmp_path: Path, hosts: int, end: Action) -> None:
    async with local_cluster(tmp_path, hosts, resize_to_same_host=hosts == 1) as cluster:
        first = await booted(cluster)
        await done(cluster, first, Action.STOP)
        await done(cluster, first, Action.RESIZE)
        assert "running" not in there(cluster).values()
        await done(cluster, first, end)
        record = await cluster.instances.get(first.id)
        assert record.vm_state is VmState.STOPPED
        await done(cluster, first, Action.START)
        assert set(there(cluster).values()) == {"running"}


async def test_it_stays_where_both_sizes_have_room(tmp_path: Path) -> None:
    async with local_cluster(tmp_path, hosts=2) as cluster:
        first = await booted(cluster)
        await done(cluster, first, Action.RESIZE)
        record = await cluster.instances.get(first.id)
        assert record.host == first.host
        assert await held(cluster) == {first.host: (1, TINY.memory_mb + MICRO.memory_mb)}
        assert sizes(cluster, first) == {"": 1 << 30, ".old-2": MICRO_DISK}
        await done(cluster, first, Action.REVERT_RESIZE)
        assert sizes(cluster, first) == {"": MICRO_DISK}
        await done(cluster, first, Action.RESIZE, "again")
        await done(cluster, first, Action.CONFIRM_RESIZE)
        assert sizes(cluster, first) == {"": 1 << 30}
        assert await held(cluster) == {first.host: (1, TINY.memory_mb)}


#: A flavor without a disk size gives as much as the image has.
MICRO_DISK = 4096


def sizes(cluster: LocalCluster, record: InstanceRecord) -> dict[str, int]:
    """Bytes of the instance's disks on its host, by what their names add to its id."""
    assert record.host is not None
    return {
        name.removeprefix(record.id).removesuffix(".qcow2"): size
        for name, size in cluster.disk_sizes(record.host).items()
    }


@pytest.mark.parametrize(
    ("flavor", "reason"),
    [
        (MICRO, "RESIZE_SAME_FLAVOR"),
        (TINY.evolve(id="x", disk_gb=0), "RESIZE_DISK_SHRINKS"),
        (DEFAULT_FLAVORS[1].evolve(id="x", ephemeral_gb=0), "RESIZE_DISK_SHRINKS"),
    ],
)
async def test_what_cannot_be_is_refused(
    cluster: LocalCluster, flavor: Flavor, reason: str
) -> None:
    cluster.flavor = MICRO if reason == "RESIZE_SAME_FLAVOR" else TINY.evolve(ephemeral_gb=1)
    first = await booted(cluster)
    with pytest.raises(Invalid) as refusal:
        await cluster.act(first.id, Action.RESIZE, details=Resize(flavor=flavor))
    assert refusal.value.reason == reason
    assert set(refusal.value.metadata) == {"flavor"}
    assert (await cluster.instances.get(first.id)).sequence == first.sequence


async def test_there_is_one_resize_at_a_time(cluster: LocalCluster) -> None:
    first = await booted(cluster)
    for action in (Action.CONFIRM_RESIZE, Action.REVERT_RESIZE):
        with pytest.raises(Conflict, match="the resize of instance"):
            await asked(cluster, first, action)
    await done(cluster, first, Action.RESIZE)
    larger = Resize(flavor=DEFAULT_FLAVORS[1])
    with pytest.raises(Conflict) as refusal:
        await cluster.act(first.id, Action.RESIZE, "another", larger)
    assert refusal.value.reason == "INVALID_STATE"


async def test_a_soft_delete_waits_for_it(cluster: LocalCluster) -> None:
    """Half of two disks could not be restored. A delete for good does not wait."""
    cluster.gate.hold("resize.ensure_resized_disk.before")
    first, operation = await begin(cluster, Action.RESIZE)
    await cluster.gate.arrival("resize.ensure_resized_disk.before")
    with pytest.raises(Conflict) as refusal:
        await asked(cluster, first, Action.SOFT_DELETE)
    assert refusal.value.reason == "INSTANCE_BUSY"
    cluster.gate.release("resize.ensure_resized_disk.before")
    await assert_asked(cluster, first, Action.RESIZE, await cluster.ended(operation))


async def test_it_confirms_itself(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, policy=Policy(confirm_seconds=0.05))
    try:
        await cluster.start()
        first = await booted(cluster)
        await done(cluster, first, Action.RESIZE)
        async with asyncio.timeout(30):
            while (await cluster.instances.get(first.id)).former is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        record = await cluster.instances.get(first.id)
        assert (record.vm_state, record.flavor) == (VmState.ACTIVE, TINY)
        assert await held(cluster) == {"host1": (1, TINY.memory_mb)}
    finally:
        await cluster.stop()
