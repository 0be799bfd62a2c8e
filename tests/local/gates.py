"""Points at which a test fails a step, loses its answer, or holds it."""

import asyncio
from collections.abc import Callable

from actors.model.errors import ComputeError


class ScriptedGate:
    """Implements ``ports.clock.Gate``: does at each point what the test has written down."""

    def __init__(self) -> None:
        #: Every point reached, in order.
        self.reached: list[str] = []
        self._errors: dict[str, list[Callable[[], ComputeError]]] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._arrivals: dict[str, asyncio.Event] = {}

    def fail(self, point: str, error: Callable[[], ComputeError], times: int = 1) -> None:
        """Raise this error the next ``times`` times the point is reached."""
        self._errors.setdefault(point, []).extend([error] * times)

    def mend(self, point: str) -> None:
        """Raise nothing more."""
        self._errors.pop(point, None)

    def hold(self, point: str) -> None:
        """Let nobody pass the point until ``release``."""
        self._held[point] = asyncio.Event()

    def release(self, point: str) -> None:
        """Let everybody pass the point again."""
        self._held.pop(point).set()

    async def arrival(self, point: str) -> None:
        """Wait until somebody reaches the point."""
        await asyncio.wait_for(self._arrivals.setdefault(point, asyncio.Event()).wait(), 30)

    async def reach(self, point: str) -> None:
        """Pass, fail or wait, as the test says."""
        self.reached.append(point)
        self._arrivals.setdefault(point, asyncio.Event()).set()
        if point in self._held:
            await self._held[point].wait()
        errors = self._errors.get(point)
        if errors:
            raise errors.pop(0)()
