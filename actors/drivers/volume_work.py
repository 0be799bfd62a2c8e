"""Volumes on a host: their files, and what guests that run have of them."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from actors.drivers.acts import Act, Worker
from actors.drivers.consent import agrees
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Beside, Lane
from actors.model.errors import ComputeError, Conflict, Unavailable
from actors.model.ids import InstanceId, SnapshotId, VolumeId
from actors.model.instance import AttachedVolume, InstanceRecord, PowerState
from actors.model.volume import Volume
from actors.ports.clock import Clock
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor

if TYPE_CHECKING:
    from pathlib import Path

#: Between two looks at a copy, at first, and at whether a newer job waits for the lane.
_LOOK_SECONDS: Final = 0.1
#: Between two looks at a copy that a guest's QEMU makes, at most.
_LONGEST_LOOK_SECONDS: Final = 1.0

Value = TypeVar("Value")


class VolumeWork(Worker):
    """Does the steps of volumes, and what their owner asks of this host."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        cache: ImageCache,
        threads: Executor,
        clock: Clock,
        beside: Beside,
    ) -> None:
        super().__init__(threads)
        self._hypervisor = hypervisor
        self._cache = cache
        self._clock = clock
        self._beside = beside
        #: What is done to one volume is done one after another. Gone when nobody holds it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        return {HostStep.ENSURE_VOLUMES: self._agree, HostStep.PLUG_VOLUMES: self._agree}

    async def ensure(self, record: InstanceRecord) -> None:
        """Make the files of an instance's volumes that are missing, or too small."""
        for volume in record.volumes:
            async with self._turn(volume.volume):
                await self._ensure(volume)

    async def remove(self, volume: VolumeId) -> None:
        """As ``ports.volumes.VolumeHost.remove_volume``."""
        async with self._turn(volume):
            await self._blocking(lambda: self._hypervisor.remove_volume(volume))

    async def grow(self, volume: Volume) -> None:
        """As ``ports.volumes.VolumeHost.grow_volume``."""
        has = volume.attachment
        if has is None:
            return  # it grows when it is attached again
        async with self._beside(has.instance) as lane, self._turn(volume.id):
            await self._unless_wanted(
                lane,
                has.instance,
                lambda: self._hypervisor.grow_volume(has.instance, volume.id, volume.size_gb),
            )

    async def copy(self, volume: Volume, snapshot: SnapshotId) -> None:
        """As ``ports.volumes.VolumeHost.copy_volume``."""
        if volume.attachment is not None:
            async with self._turn(snapshot):
                await self._copy_in_use(volume.attachment.instance, volume.id, snapshot)
            return
        async with self._turn(volume.id), self._turn(snapshot):
            # One that was bound to this host, and then not attached after all, has no bytes yet.
            await self._ensure(
                AttachedVolume(
                    volume=volume.id,
                    target="",
                    size_gb=volume.size_gb,
                    source=volume.source,
                    snapshot=volume.snapshot,
                )
            )
            await self._blocking(lambda: self._hypervisor.copy_volume(volume.id, snapshot))

    async def remove_snapshot(self, snapshot: SnapshotId) -> None:
        """As ``ports.volumes.VolumeHost.remove_volume_snapshot``."""
        # Behind a copy whose asker has died meanwhile: else it would leave its file.
        async with self._turn(snapshot):
            await self._blocking(lambda: self._hypervisor.remove_volume_snapshot(snapshot))

    async def _copy_in_use(
        self, instance: InstanceId, volume: VolumeId, snapshot: SnapshotId
    ) -> None:
        """Copy what an instance has: by its QEMU while it runs, else while nothing starts it.

        Not in the volume's turn: a start takes that to look whether its volumes are there.
        """
        hypervisor = self._hypervisor

        async def done() -> bool:
            return await self._blocking(
                lambda: hypervisor.volume_copy_done(instance, volume, snapshot)
            )

        async def end() -> None:
            # What cannot be told now, the next try ends.
            with suppress(ComputeError):
                await self._blocking(lambda: hypervisor.end_volume_copy(instance, snapshot))

        try:
            async with self._beside(instance) as lane:
                try:
                    by_guest = await self._unless_wanted(
                        lane,
                        instance,
                        lambda: hypervisor.begin_volume_copy(instance, volume, snapshot),
                    )
                    while not by_guest and not await done():
                        _check_wanted(lane, instance)
                        await self._clock.sleep(_LOOK_SECONDS)
                except ComputeError:
                    await end()  # before the guest may start
                    raise
            pause = _LOOK_SECONDS
            while not await done():
                await self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_LOOK_SECONDS)
        finally:
            await end()

    async def _unless_wanted(
        self, lane: Lane, instance: InstanceId, call: Callable[[], Value]
    ) -> Value:
        """Have a guest's QEMU do something; what hangs is left alone once a job wants the lane.

        Raises:
            Unavailable: ``LANE_BUSY``: it was left.
        """
        power = await self._blocking(lambda: self._hypervisor.power_state(instance))
        # libvirt knows; QEMU is not asked. With none there is nothing that could hang.
        by_guest = power in {PowerState.RUNNING, PowerState.PAUSED}
        calling = asyncio.get_running_loop().run_in_executor(self._threads, call)
        # Nobody may be there any more to hear how it ended.
        calling.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        while not calling.done():
            if by_guest:
                _check_wanted(lane, instance)
            await asyncio.wait({calling}, timeout=_LOOK_SECONDS)
        return await calling

    async def _agree(self, job: HostJob, lane: Lane) -> None:
        """Have a guest that runs give back what its record has not, and take what it has.

        Raises:
            Conflict: The guest keeps a disk.
        """
        record = job.instance
        await self.ensure(record)

        async def look(ask: bool) -> bool:
            return await self._blocking(lambda: self._hypervisor.plug(record, ask))

        if not await agrees(look, lambda: lane.check(record.id, job.sequence), self._clock):
            raise Conflict(
                f"The guest of instance {record.id} does not give the volume back. Unmount it "
                "there, or stop the instance, and try again.",
                "VOLUME_KEPT_BY_GUEST",
            )

    async def _ensure(self, volume: AttachedVolume) -> None:
        base: Path | None = None
        if volume.source is not None and not self._hypervisor.has_volume(volume.volume):
            base = await self._cache.disk(volume.source)
        await self._blocking(lambda: self._hypervisor.ensure_volume(volume, base))

    def _turn(self, which: VolumeId | SnapshotId) -> asyncio.Lock:
        return self._turns.setdefault(which, asyncio.Lock())


def _check_wanted(lane: Lane, instance: InstanceId) -> None:
    if lane.wanted:
        raise Unavailable(
            f"Instance {instance} is asked for something else; its volume waits.", "LANE_BUSY"
        )
