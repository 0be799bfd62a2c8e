"""What is done to a guest that runs: the button, the plug, a pause, a suspend.

Most of it the guest's own QEMU has to answer, and that may hang. What hangs holds a thread, but not
the instance: a newer operation (a hard reboot, a delete) goes past it and pulls the plug, which
ends what hung.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from actors.drivers.acts import Act
from actors.drivers.lanes import Lane
from actors.model.errors import ComputeError
from actors.model.ids import InstanceId
from actors.model.instance import PowerState
from actors.ports.clock import Clock
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor

#: A guest that is still booting loses the ACPI button: it is pressed again, seconds apart.
_BUTTON_SECONDS: Final = 5.0
#: How often, and how long apart, a call is given to end after a newer operation has asked. An abort
#: that comes before a save has begun does nothing, so it comes again.
_TRIES: Final = 10
_TRY_SECONDS: Final = 0.2

_OFF: Final = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.NOSTATE})

Value = TypeVar("Value")


class PowerWork:
    """The power steps of one job at a time and instance."""

    def __init__(self, hypervisor: Hypervisor, threads: Executor, clock: Clock) -> None:
        self._hypervisor = hypervisor
        self._threads = threads
        self._clock = clock

    def acts(self) -> dict[HostStep, Act]:
        """The steps."""
        hypervisor = self._hypervisor
        return {
            HostStep.ENSURE_STOPPED: self.stop,
            HostStep.ENSURE_PAUSED: self._talk(lambda job: hypervisor.pause(job.instance.id)),
            HostStep.ENSURE_UNPAUSED: self._talk(lambda job: hypervisor.unpause(job.instance.id)),
            # A large memory takes minutes to save.
            HostStep.ENSURE_SUSPENDED: self._talk(
                lambda job: hypervisor.suspend(job.instance.id),
                lambda job: hypervisor.abort_suspend(job.instance.id),
            ),
        }

    async def stop(self, job: HostJob, lane: Lane) -> PowerState:
        """ACPI first, force after the grace time (Nova: ``_clean_shutdown``).

        A guest that stands still hears no button.

        Raises:
            Cancelled: A newer operation has asked.
        """
        instance = job.instance.id
        until = self._clock.monotonic() + job.grace_seconds
        pressing: asyncio.Future[None] | None = None
        state = await self._power(instance)
        while state is PowerState.RUNNING and (left := until - self._clock.monotonic()) > 0:
            lane.bell.clear()
            lane.check(instance, job.sequence)  # it may have been for a newer operation
            if pressing is None or pressing.done():
                pressing = self._begin(lambda: self._hypervisor.shut_down(instance))
            pause = min(left, _BUTTON_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(lane.rings_or(pressing), pause)
            if pressing.done():
                await pressing
            state = await self._off_within(job, lane, pause)
        if state in _OFF:
            return state
        return await self._begin(lambda: self._hypervisor.force_off(instance))

    async def _off_within(self, job: HostJob, lane: Lane, seconds: float) -> PowerState:
        """What the guest is after it was told to shut down: woken by libvirt's event."""
        instance = job.instance.id
        state = await self._power(instance)
        if state in _OFF:
            return state
        with suppress(TimeoutError):
            await asyncio.wait_for(lane.bell.wait(), seconds)
        lane.check(instance, job.sequence)
        return await self._power(instance)

    def _talk(
        self,
        call: Callable[[HostJob], PowerState],
        give_up: Callable[[HostJob], None] | None = None,
    ) -> Act:
        """A step that the guest's QEMU has to answer."""

        async def act(job: HostJob, lane: Lane) -> PowerState:
            instance = job.instance.id
            calling = self._begin(lambda: call(job))
            while not calling.done() and job.sequence >= lane.newest:
                await lane.rings_or(calling)
            if not calling.done():
                await self._end(calling, None if give_up is None else lambda: give_up(job))
                lane.check(instance, job.sequence)
            try:
                return await calling
            except ComputeError:
                lane.check(instance, job.sequence)
                raise

        return act

    async def _end(
        self, calling: "asyncio.Future[PowerState]", give_up: Callable[[], None] | None
    ) -> None:
        """Let a call end, for a moment; what hangs is left to whoever pulls the plug."""
        aborting: asyncio.Future[None] | None = None
        for _ in range(_TRIES):
            if give_up is not None and (aborting is None or aborting.done()):
                aborting = self._begin(give_up)
            await asyncio.wait({calling}, timeout=_TRY_SECONDS)
            if calling.done():
                return

    async def _power(self, instance: InstanceId) -> PowerState:
        # libvirt knows; QEMU is not asked.
        return await self._begin(lambda: self._hypervisor.power_state(instance))

    def _begin(self, call: Callable[[], Value]) -> "asyncio.Future[Value]":
        begun = asyncio.get_running_loop().run_in_executor(self._threads, call)
        # Nobody may be there any more to hear how it ended.
        begun.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return begun
