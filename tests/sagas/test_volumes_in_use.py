"""Volumes that grow, and are copied, while an instance has them: whatever is lost on the way.

Real actors, SQLite and libvirt's test driver, in one process; what the host is asked for is no saga
here, but an errand of the volumes' owner.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors import volume as volume_actor
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.model.details import Reboot
from actors.model.errors import Unavailable
from actors.model.ids import InstanceId, SnapshotId
from actors.model.operation import Action, OperationState
from actors.model.volume import (
    CreateVolumeSnapshot,
    SnapshotStatus,
    Volume,
    VolumeChanges,
    VolumeStatus,
)
from tests.local.cluster import PROJECT, LocalCluster, local_cluster
from tests.sagas.points import VOLUME
from tests.sagas.test_every_saga import NEW_VOLUME

SNAPSHOT = SnapshotId("44444444-4444-4444-8444-444444444444")
GIB = 1024**3
CALLS = ("grow_volume", "begin_volume_copy", "volume_copy_done")
ACTORS = ("volumes", "host1", "conductor", "instances")


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalCluster]:
    monkeypatch.setattr(volume_actor, "_AGAIN_SECONDS", 0.02)
    async with local_cluster(tmp_path) as made:
        yield made


async def attached(cluster: LocalCluster) -> InstanceId:
    """An instance that has the volume."""
    booted = await cluster.ended((await cluster.boot()).operation)
    await cluster.volume_owner.create(NEW_VOLUME)
    await act(cluster, booted.instance, Action.ATTACH_VOLUME)
    return booted.instance


async def act(cluster: LocalCluster, instance: InstanceId, action: Action, **more: Any) -> None:
    done = await cluster.ended((await cluster.act(instance, action, **more)).operation)
    assert done.state is OperationState.SUCCEEDED, done


async def grow(cluster: LocalCluster, size_gb: int = 2) -> None:
    await cluster.volume_owner.change(VOLUME, VolumeChanges(size_gb=size_gb), None)


async def keep(cluster: LocalCluster) -> None:
    await cluster.volume_owner.take_snapshot(
        CreateVolumeSnapshot(id=SNAPSHOT, volume=VOLUME, project=PROJECT)
    )


async def ask(cluster: LocalCluster, call: str) -> None:
    """For what has the host make this call."""
    await (grow(cluster) if call == "grow_volume" else keep(cluster))


def bytes_of(cluster: LocalCluster, name: str) -> int:
    """How large a file is, as a guest sees it."""
    return Qcow2Header.read(cluster.folder / "host1" / "volumes" / f"{name}.qcow2").virtual_size


async def assert_done(
    cluster: LocalCluster, call: str, status: VolumeStatus = VolumeStatus.IN_USE
) -> None:
    """It is as it was asked to be, once that has ended."""
    async with asyncio.timeout(20):
        while True:
            volume: Volume = await cluster.volume_owner.volume(VOLUME)
            snapshots = await cluster.volume_owner.snapshots(None)
            waits = any(one.status is not SnapshotStatus.AVAILABLE for one in snapshots)
            if not (volume.growing or waits):
                break
            await asyncio.sleep(0.01)
    assert volume.status is status
    if call == "grow_volume":
        assert (volume.size_gb, bytes_of(cluster, VOLUME)) == (2, 2 * GIB)
    else:
        assert bytes_of(cluster, f"snapshots/{SNAPSHOT}") == GIB


class Patched:
    """Replaces a call of the host's hypervisor."""

    def __init__(self, cluster: LocalCluster, name: str) -> None:
        self._hypervisor: Any = cluster.hypervisors["host1"].hypervisor
        self._name = name
        self.real: Callable[..., Any] = getattr(self._hypervisor, name)
        self.arrived = threading.Event()

    def by(self, call: Callable[..., Any]) -> None:
        setattr(self._hypervisor, self._name, call)

    def lose_first(self, *, acts: bool) -> None:
        """The first call's answer is lost, after it has acted or before."""

        def lost(*arguments: object) -> Any:
            if self.arrived.is_set():
                return self.real(*arguments)
            if acts:
                self.real(*arguments)
            self.arrived.set()
            raise Unavailable("The answer was lost, as the test says.", "TEST_LOST")

        self.by(lost)


@pytest.mark.parametrize("acts", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("call", CALLS)
async def test_what_a_host_is_asked_is_repeated(
    cluster: LocalCluster, call: str, acts: bool
) -> None:
    await attached(cluster)
    patched = Patched(cluster, call)
    patched.lose_first(acts=acts)
    await ask(cluster, call)
    await assert_done(cluster, call)
    assert patched.arrived.is_set()


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("acts", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("call", CALLS)
async def test_an_actor_is_lost(cluster: LocalCluster, call: str, acts: bool, actor: str) -> None:
    await attached(cluster)
    patched = Patched(cluster, call)
    patched.lose_first(acts=acts)
    await ask(cluster, call)
    await cluster.until(patched.arrived.is_set)
    await cluster.crash(actor)
    await assert_done(cluster, call)


async def test_a_guest_that_is_off_is_no_hindrance(cluster: LocalCluster) -> None:
    instance = await attached(cluster)
    await act(cluster, instance, Action.STOP)
    await keep(cluster)
    await assert_done(cluster, "begin_volume_copy")
    await grow(cluster)
    await assert_done(cluster, "grow_volume")
    await act(cluster, instance, Action.START)
    await act(cluster, instance, Action.DETACH_VOLUME)
    await act(cluster, instance, Action.DELETE)


@pytest.mark.parametrize("call", ["grow_volume", "begin_volume_copy"])
async def test_it_waits_for_what_the_instance_is_asked(cluster: LocalCluster, call: str) -> None:
    instance = await attached(cluster)
    cluster.gate.hold("stop.ensure_stopped.before")
    stopping = await cluster.act(instance, Action.STOP)
    await cluster.gate.arrival("stop.ensure_stopped.before")
    patched = Patched(cluster, call)
    patched.lose_first(acts=False)
    await ask(cluster, call)
    # Something that passes the owner, and the host, twice: none of it has touched the volume.
    for _ in range(2):
        await cluster.volume_owner.change(VOLUME, VolumeChanges(description="words"), None)
        await asyncio.sleep(0.05)
    assert not patched.arrived.is_set()
    cluster.gate.release("stop.ensure_stopped.before")
    assert (await cluster.ended(stopping.operation)).state is OperationState.SUCCEEDED
    await assert_done(cluster, call)


async def test_a_start_does_not_wait_for_a_copy(cluster: LocalCluster) -> None:
    instance = await attached(cluster)
    await act(cluster, instance, Action.STOP)
    patched, started = Patched(cluster, "volume_copy_done"), threading.Event()
    ended = Patched(cluster, "end_volume_copy")

    def slow(*arguments: object) -> Any:
        patched.arrived.set()
        return started.is_set() and patched.real(*arguments)

    def end(*arguments: object) -> Any:
        ended.arrived.set()
        return ended.real(*arguments)

    patched.by(slow)
    ended.by(end)
    await keep(cluster)
    await cluster.until(patched.arrived.is_set)
    await act(cluster, instance, Action.START)
    assert ended.arrived.is_set()
    started.set()
    await assert_done(cluster, "begin_volume_copy")


async def test_a_guest_that_hangs_can_be_rebooted(cluster: LocalCluster) -> None:
    """Its QEMU does not answer: what waits for it keeps nobody from pulling the plug."""
    instance = await attached(cluster)
    patched, answer = Patched(cluster, "grow_volume"), threading.Event()

    def hangs(*arguments: object) -> Any:
        patched.arrived.set()
        answer.wait()
        return patched.real(*arguments)

    patched.by(hangs)
    await grow(cluster)
    await cluster.until(patched.arrived.is_set)
    try:
        await act(cluster, instance, Action.REBOOT, details=Reboot(hard=True))
    finally:
        answer.set()
    await assert_done(cluster, "grow_volume")


async def test_an_instance_that_goes_leaves_what_is_copied(cluster: LocalCluster) -> None:
    instance = await attached(cluster)
    patched, gone = Patched(cluster, "volume_copy_done"), threading.Event()

    def slow(*arguments: object) -> Any:
        patched.arrived.set()
        if gone.is_set():
            raise Unavailable("Nobody copies it any more.", "COPY_INTERRUPTED")
        return False

    patched.by(slow)
    begun = Patched(cluster, "begin_volume_copy")
    begun.by(lambda *_: True)  # by QEMU
    await keep(cluster)
    await cluster.until(patched.arrived.is_set)
    await act(cluster, instance, Action.DELETE)
    gone.set()
    await assert_done(cluster, "begin_volume_copy", VolumeStatus.AVAILABLE)
