"""The disks of a resize, on the host that the instance comes to and on the one it was on."""

from collections.abc import Mapping
from concurrent.futures import Executor

from actors.drivers.acts import Act, Worker
from actors.drivers.disk_pull import pull
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Lane
from actors.drivers.libvirt.errors import from_os
from actors.model.errors import Internal
from actors.model.ids import HostId
from actors.model.instance import Former
from actors.ports.host import HostJob, Hosts, HostStep
from actors.ports.hypervisor import Hypervisor


class ResizeWork(Worker):
    """Does these steps. Each may be cut off and done again. The record says what there was."""

    def __init__(
        self,
        host_id: HostId,
        hosts: Hosts,
        hypervisor: Hypervisor,
        cache: ImageCache,
        threads: Executor,
    ) -> None:
        super().__init__(threads)
        self._host_id = host_id
        self._hosts = hosts
        self._hypervisor = hypervisor
        self._cache = cache

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        return {
            HostStep.ENSURE_RESIZED_DISK: self._resize,
            HostStep.REVERT_DISK: self._revert,
            HostStep.REMOVE_FORMER_DISK: self._settle,
        }

    async def _resize(self, job: HostJob, lane: Lane) -> None:
        record, former = job.instance, _former(job)
        if await self._blocking(lambda: self._hypervisor.has_resized_disks(record)):
            return  # and a guest may run on them by now
        files = await self._cache.ensure(record.source)
        incoming = None
        if former.host_id != self._host_id:
            incoming = self._hypervisor.incoming_path(record.id, former.sequence)
            host = self._hosts.host(former.host_id)
            try:
                await pull(host, record.id, incoming, lambda: lane.check(record.id, job.sequence))
            except OSError as error:
                raise from_os(error, f"take in the disk of instance {record.id}") from error
        await self._blocking(lambda: self._hypervisor.resize_disks(record, files.disk, incoming))

    async def _revert(self, job: HostJob, _: Lane) -> None:
        instance, former = job.instance.id, _former(job)
        if former.host_id == self._host_id:
            await self._blocking(lambda: self._hypervisor.put_disks_back(instance, former.sequence))
        else:
            await self._blocking(lambda: self._hypervisor.remove_disk(instance))

    async def _settle(self, job: HostJob, _: Lane) -> None:
        instance, former = job.instance.id, _former(job)
        await self._blocking(lambda: self._hypervisor.forget_old_disks(instance, former.sequence))


def _former(job: HostJob) -> Former:
    if job.instance.former is None:
        raise Internal(
            "The record does not say what there was before the resize.", "INTERNAL", job.saga
        )
    return job.instance.former
