"""Other disks for an instance that is there: of a rebuild, and of a rescue."""

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Final

from actors.drivers.acts import Act, Worker
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Lane
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor


class DiskWork(Worker):
    """Does these steps. Each may be cut off and done again."""

    def __init__(
        self, hypervisor: Hypervisor, cache: ImageCache, threads: Executor, ensure_disk: Act
    ) -> None:
        super().__init__(threads)
        self._hypervisor: Final = hypervisor
        self._cache = cache
        self._ensure_disk = ensure_disk

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        hypervisor = self._hypervisor
        return {
            HostStep.ENSURE_DISK_ANEW: self._anew,
            HostStep.ENSURE_DISK_BACK: self._quick(
                lambda job: hypervisor.put_disks_back(job.instance.id, job.sequence)
            ),
            HostStep.REMOVE_OLD_DISK: self._quick(
                lambda job: hypervisor.forget_old_disks(job.instance.id, job.sequence)
            ),
            HostStep.ENSURE_RESCUE_DISK: self._rescue,
            HostStep.REMOVE_RESCUE_DISK: self._quick(
                lambda job: hypervisor.remove_rescue_disk(job.instance.id)
            ),
        }

    async def _anew(self, job: HostJob, lane: Lane) -> None:
        instance, sequence = job.instance.id, job.sequence
        await self._blocking(lambda: self._hypervisor.put_disks_aside(instance, sequence))
        await self._ensure_disk(job, lane)

    async def _rescue(self, job: HostJob, _: Lane) -> None:
        record = job.instance
        if record.rescue is not None:
            files = await self._cache.ensure(record.rescue.source)
            await self._blocking(lambda: self._hypervisor.ensure_rescue_disk(record, files.disk))
