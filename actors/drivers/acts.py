"""What a host step is to those who do it, and what they have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

from actors.drivers.lanes import Lane
from actors.model.flavor import Size
from actors.model.instance import PowerState
from actors.ports.host import HostJob

#: Does a step of a job; what the domain has become, or has, where the step touched it.
Act = Callable[[HostJob, Lane], Awaitable[PowerState | Size | None]]

Value = TypeVar("Value")


class Worker:
    """Does steps by calls that block, each in a thread."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def _blocking(self, call: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _quick(self, call: Callable[[HostJob], PowerState | None]) -> Act:
        """A step that is one such call."""

        async def act(job: HostJob, _: Lane) -> PowerState | None:
            return await self._blocking(lambda: call(job))

        return act
