"""The size of a guest that runs: given at once, taken with the guest's consent."""

from collections.abc import Mapping
from concurrent.futures import Executor

from actors.drivers.acts import Act, Worker
from actors.drivers.consent import agrees
from actors.drivers.lanes import Lane
from actors.lifecycle.live_size import asked_size
from actors.model.details import ChangeSize
from actors.model.errors import Conflict, Internal
from actors.model.flavor import Size
from actors.ports.clock import Clock
from actors.ports.host import HostJob, HostStep
from actors.ports.hypervisor import Hypervisor


class SizeWork(Worker):
    """Does these steps. Each may be cut off and done again."""

    def __init__(self, hypervisor: Hypervisor, threads: Executor, clock: Clock) -> None:
        super().__init__(threads)
        self._hypervisor = hypervisor
        self._clock = clock

    def acts(self) -> Mapping[HostStep, Act]:
        """Its steps."""
        return {
            HostStep.CHECK_SIZE: self._check,
            HostStep.ENSURE_SIZE: self._change,
            HostStep.SETTLE_SIZE: self._settle,
        }

    async def _check(self, job: HostJob, _: Lane) -> None:
        details = job.details
        if not isinstance(details, ChangeSize):
            raise Internal("The job does not say which size.", "INTERNAL", job.saga)
        size = asked_size(job.instance, details)
        await self._blocking(lambda: self._hypervisor.check_size(job.instance, size))

    async def _change(self, job: HostJob, lane: Lane) -> None:
        """Have the guest and its record agree.

        Raises:
            Conflict: The guest keeps what it is asked for.
        """
        if not await self._agrees(job, lane):
            raise Conflict(
                f"The guest of instance {job.instance.id} does not give back what it is asked for. "
                "Free memory there, or see that it is online as movable, and try again.",
                "SIZE_KEPT_BY_GUEST",
            )

    async def _settle(self, job: HostJob, lane: Lane) -> Size | None:
        """The same, but what a guest keeps it has: the record is to say so, and not to wait."""
        await self._agrees(job, lane)
        return await self._blocking(lambda: self._hypervisor.guest_size(job.instance))

    async def _agrees(self, job: HostJob, lane: Lane) -> bool:
        """Whether they agree, at most some time after the guest was asked first.

        Raises:
            Cancelled: A newer operation has asked, or somebody has cancelled this one.
        """

        async def look(ask: bool) -> bool:
            return await self._blocking(lambda: self._hypervisor.change_size(job.instance, ask))

        return await agrees(look, lambda: lane.check(job.instance.id, job.sequence), self._clock)
