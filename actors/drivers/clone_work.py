"""Disks that share what is the same: made on each other, and taken apart again."""

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Final

from actors.drivers.acts import Act, Worker
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Beside, Lane
from actors.model.details import Clone, OfSnapshot
from actors.model.errors import Internal
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor


class CloneWork(Worker):
    """Does these steps. Each may be cut off and done again."""

    def __init__(
        self, hypervisor: Hypervisor, cache: ImageCache, threads: Executor, beside: Beside
    ) -> None:
        super().__init__(threads)
        self._hypervisor: Final = hypervisor
        self._cache = cache
        self._beside = beside

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        return {
            HostStep.ENSURE_CLONED_DISK: self._clone,
            HostStep.ENSURE_FLAT_DISK: self._flatten,
            HostStep.ENSURE_SNAPSHOT: self._snapshot,
            HostStep.REMOVE_SNAPSHOT: self._forget_snapshot,
            HostStep.ENSURE_RESTORED_DISK: self._restore,
        }

    async def _clone(self, job: HostJob, _: Lane) -> None:
        """Freeze the other's disk between two jobs of its own: nothing it is asked for changes."""
        record, details = job.instance, job.details
        if not isinstance(details, Clone):
            raise Internal("The operation does not say what it clones.", "INTERNAL", job.saga)
        origin = details.origin
        files = await self._cache.ensure(record.source)
        async with self._beside(origin):
            await self._blocking(lambda: self._hypervisor.clone_disk(record, origin, files.disk))

    async def _flatten(self, job: HostJob, _: Lane) -> None:
        files = await self._cache.ensure(job.instance.source)
        await self._blocking(lambda: self._hypervisor.flatten_disk(job.instance, files.disk))

    async def _snapshot(self, job: HostJob, _: Lane) -> None:
        layer = _layer(job)
        await self._blocking(lambda: self._hypervisor.keep_disk(job.instance.id, layer))

    async def _forget_snapshot(self, job: HostJob, _: Lane) -> None:
        layer = _layer(job)
        await self._blocking(lambda: self._hypervisor.forget_kept_disk(job.instance.id, layer))

    async def _restore(self, job: HostJob, _: Lane) -> None:
        layer = _layer(job)
        files = await self._cache.ensure(job.instance.source)
        await self._blocking(
            lambda: self._hypervisor.restore_disk(job.instance, layer, files.disk, job.sequence)
        )


def _layer(job: HostJob) -> str:
    if not isinstance(job.details, OfSnapshot) or not job.details.layer:
        raise Internal("The operation does not say which snapshot.", "INTERNAL", job.saga)
    return job.details.layer
