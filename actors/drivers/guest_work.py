"""The steps a host does for one instance: each converges, each may be cut off and done again."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final

from actors.drivers.acts import Act, Worker
from actors.drivers.disk_work import DiskWork
from actors.drivers.guest_shelf import GuestShelf
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Lane
from actors.drivers.power_work import PowerWork
from actors.drivers.volume_work import VolumeWork
from actors.model.details import Rebuild, RescueBoot
from actors.model.errors import Cancelled, ComputeError, Internal, Unavailable
from actors.model.flavor import Size
from actors.model.image import BootSource
from actors.model.instance import PowerState
from actors.ports.clock import Clock, Gate
from actors.ports.host import HostJob, HostStep, StepResult
from actors.ports.hypervisor import HostNetwork, Hypervisor

_log: Final = logging.getLogger(__name__)


class GuestWork(Worker):
    """Does one job's steps."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        network: HostNetwork,
        cache: ImageCache,
        shelf: GuestShelf,
        threads: Executor,
        clock: Clock,
        gate: Gate,
        volumes: VolumeWork,
        others: Mapping[HostStep, Act],
    ) -> None:
        super().__init__(threads)
        self._hypervisor = hypervisor
        self._network = network
        self._cache = cache
        self._shelf = shelf
        self._clock = clock
        self._gate = gate
        self._power = PowerWork(hypervisor, threads, clock)
        self._volumes = volumes
        self._acts: Final[Mapping[HostStep, Act]] = {
            HostStep.ENSURE_IMAGE: self._fetch,
            HostStep.ENSURE_NETWORK: self._quick(self._wire),
            HostStep.ENSURE_DISK: self._disk,
            HostStep.ENSURE_RUNNING: self._start,
            HostStep.ENSURE_REBOOTED: self._reboot,
            HostStep.ENSURE_ABSENT: self._quick(self._remove),
            HostStep.REMOVE_DISK: self._quick(lambda job: hypervisor.remove_disk(job.instance.id)),
            HostStep.REMOVE_NETWORK: self._quick(lambda job: network.remove(job.instance)),
            **self._power.acts(),
            **DiskWork(hypervisor, cache, threads, self._disk).acts(),
            **volumes.acts(),
            **others,
        }

    async def step(self, step: HostStep, job: HostJob, lane: Lane) -> StepResult:
        """Do one step; its failure is an answer.

        Also returns what the domain became, or has, in the ``StepResult``.
        """
        started = self._clock.now()
        found: PowerState | Size | None = None
        error: ComputeError | None = None
        try:
            lane.check(job.instance.id, job.sequence)
            await self._gate.reach(f"{job.saga}.{step.value}.before")
            found = await self._acts[step](job, lane)
            await self._gate.reach(f"{job.saga}.{step.value}.after")
        except (Unavailable, Cancelled) as failure:
            error = failure
        except ComputeError as failure:
            # The fault has the sentence for its project; what libvirt or QEMU said is told here.
            _log.warning("step %s of instance %s: %s", step.value, job.instance.id, failure)
            error = failure
        except Exception as failure:  # noqa: BLE001 - the journal must learn of a bug too
            _log.exception("step %s of instance %s met a bug", step.value, job.instance.id)
            error = Internal(
                f"The host met an internal error in step {step.value}.", "INTERNAL", repr(failure)
            )
        power = found if isinstance(found, PowerState) else None
        size = found if isinstance(found, Size) else None
        return StepResult(step, started, self._clock.now(), error, power, size)

    async def _disk(self, job: HostJob, _: Lane) -> None:
        files = await self._cache.ensure(job.instance.source)
        await self._blocking(lambda: self._hypervisor.ensure_disk(job.instance, files.disk))

    async def _start(self, job: HostJob, _: Lane) -> PowerState:
        return await self._run(job)

    def _wire(self, job: HostJob) -> None:
        self._network.ensure(job.instance)

    def _remove(self, job: HostJob) -> PowerState:
        self._hypervisor.ensure_absent(job.instance.id)
        return PowerState.NOSTATE

    async def _fetch(self, job: HostJob, lane: Lane) -> None:
        """Wait for the image; not after a newer operation has asked, for it may take minutes.

        Raises:
            Cancelled: A newer operation has asked. Others may still want the image: it comes.
        """
        fetching = asyncio.ensure_future(self._cache.ensure(_wanted(job)))
        try:
            while not fetching.done():
                lane.check(job.instance.id, job.sequence)
                await lane.rings_or(fetching)
            await fetching
        finally:
            fetching.cancel()

    async def _run(self, job: HostJob) -> PowerState:
        record = job.instance
        files = await self._cache.ensure(record.source)
        if record.rescue is not None:
            files = replace(files, rescue=await self._cache.ensure(record.rescue.source))
        await self._volumes.ensure(record)
        data = await self._shelf.of(record) if self._hypervisor.has_drive(record) else None

        def run() -> PowerState:
            bridges = self._network.ensure(record)
            return self._hypervisor.ensure_running(record, job.sequence, files, bridges, data)

        return await self._blocking(run)

    async def _reboot(self, job: HostJob, lane: Lane) -> PowerState:
        """Stop and start (Nova: ``_soft_reboot``, ``_hard_reboot``).

        Asked again, it leaves a guest that it has started already as it is.
        """
        instance = job.instance.id
        if not await self._blocking(lambda: self._hypervisor.runs_since(instance, job.sequence)):
            await self._power.stop(job, lane)
        return await self._run(job)


def _wanted(job: HostJob) -> BootSource:
    """What the instance is to boot from once the job's operation is done."""
    match job.details:
        case Rebuild(to=to):
            return to.source
        case RescueBoot(source=source):
            return source
        case _:
            return job.instance.source
