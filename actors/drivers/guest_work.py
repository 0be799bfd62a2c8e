"""The steps a host does for one instance: each converges, each may be cut off and done again."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Lane
from actors.model.errors import Cancelled, ComputeError, Internal, Unavailable
from actors.model.instance import PowerState
from actors.ports.clock import Clock, Gate
from actors.ports.host import HostJob, HostStep, StepResult
from actors.ports.hypervisor import BootFiles, HostNetwork, Hypervisor

_log: Final = logging.getLogger(__name__)

#: A guest that is still booting loses the ACPI button: it is pressed again, seconds apart.
_BUTTON_SECONDS: Final = 5.0

_OFF: Final = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE})

Value = TypeVar("Value")


class GuestWork:
    """Does one job's steps."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        network: HostNetwork,
        cache: ImageCache,
        threads: Executor,
        clock: Clock,
        gate: Gate,
    ) -> None:
        self._hypervisor = hypervisor
        self._network = network
        self._cache = cache
        self._threads = threads
        self._clock = clock
        self._gate = gate

    async def step(self, step: HostStep, job: HostJob, lane: Lane) -> StepResult:
        """Do one step; its failure is an answer.

        Also returns what the domain became, in ``StepResult.power_state``.
        """
        started = self._clock.now()
        power: PowerState | None = None
        error: ComputeError | None = None
        try:
            lane.check(job.instance.id, job.sequence)
            await self._gate.reach(f"{job.saga}.{step.value}.before")
            power = await self._act(step, job, lane)
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
        return StepResult(step, started, self._clock.now(), error, power)

    async def _act(self, step: HostStep, job: HostJob, lane: Lane) -> PowerState | None:
        record = job.instance
        match step:
            case HostStep.ENSURE_IMAGE:
                await self._fetch(job, lane)
            case HostStep.ENSURE_NETWORK:
                await self._blocking(lambda: self._network.ensure(record))
            case HostStep.ENSURE_DISK:
                files = await self._cache.ensure(record.source)
                await self._blocking(lambda: self._hypervisor.ensure_disk(record, files.disk))
            case HostStep.ENSURE_RUNNING:
                files = await self._cache.ensure(record.source)
                return await self._blocking(lambda: self._run(job, files))
            case HostStep.ENSURE_STOPPED:
                return await self._stop(job, lane)
            case HostStep.ENSURE_ABSENT:
                await self._blocking(lambda: self._hypervisor.ensure_absent(record.id))
                return PowerState.NOSTATE
            case HostStep.REMOVE_DISK:
                await self._blocking(lambda: self._hypervisor.remove_disk(record.id))
            case HostStep.REMOVE_NETWORK:
                await self._blocking(lambda: self._network.remove(record))
        return None

    async def _fetch(self, job: HostJob, lane: Lane) -> None:
        """Wait for the image; not after a newer operation has asked, for it may take minutes.

        Raises:
            Cancelled: A newer operation has asked. Others may still want the image: it comes.
        """
        fetching = asyncio.ensure_future(self._cache.ensure(job.instance.source))
        try:
            while not fetching.done():
                lane.check(job.instance.id, job.sequence)
                await lane.rings_or(fetching)
            await fetching
        finally:
            fetching.cancel()

    def _run(self, job: HostJob, files: BootFiles) -> PowerState:
        bridges = self._network.ensure(job.instance)
        return self._hypervisor.ensure_running(job.instance, job.sequence, files, bridges)

    async def _stop(self, job: HostJob, lane: Lane) -> PowerState:
        """ACPI first, force after the grace time (Nova: ``_clean_shutdown``)."""
        instance = job.instance.id
        until = self._clock.monotonic() + job.grace_seconds
        state = await self._blocking(lambda: self._hypervisor.power_state(instance))
        while state not in _OFF and (left := until - self._clock.monotonic()) > 0:
            lane.bell.clear()
            lane.check(instance, job.sequence)  # it may have been for a newer operation
            await self._blocking(lambda: self._hypervisor.shut_down(instance))
            state = await self._off_within(job, lane, min(left, _BUTTON_SECONDS))
        if state in _OFF:
            return state
        return await self._blocking(lambda: self._hypervisor.force_off(instance))

    async def _off_within(self, job: HostJob, lane: Lane, seconds: float) -> PowerState:
        """What the guest is after it was told to shut down: woken by libvirt's event."""
        instance = job.instance.id
        state = await self._blocking(lambda: self._hypervisor.power_state(instance))
        if state in _OFF:
            return state
        with suppress(TimeoutError):
            await asyncio.wait_for(lane.bell.wait(), seconds)
        lane.check(instance, job.sequence)
        return await self._blocking(lambda: self._hypervisor.power_state(instance))

    async def _blocking(self, call: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
