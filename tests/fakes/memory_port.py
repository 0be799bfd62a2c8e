"""What all ports in memory can: count calls, and fail or hold them where the test says."""

import asyncio
from collections import Counter
from typing import Literal, Protocol


class Gate(asyncio.Event):
    """Calls wait before it until it is set."""

    def __init__(self) -> None:
        super().__init__()
        #: So many calls have come here.
        self.came = 0
        self._waiting = 0

    async def wait(self) -> Literal[True]:
        """Stand before the gate."""
        self.came += 1
        self._waiting += 1
        try:
            return await super().wait()
        finally:
            self._waiting -= 1

    async def deserted(self) -> None:
        """Wait until each call that came has gone on, or has been given up."""
        while self._waiting:  # noqa: ASYNC110 - as a fake that tests wait for
            await asyncio.sleep(0.005)


class Switches(Protocol):
    """What a test sets."""

    calls: Counter[str]
    failures: dict[str, Exception]
    gates: dict[str, Gate]
    settle: bool


class MemoryPort:
    """One port."""

    def __init__(self, compute: Switches) -> None:
        self._compute = compute

    async def _called(self, name: str) -> None:
        self._compute.calls[name] += 1
        await asyncio.sleep(0)
        await self._compute.gates.setdefault(name, open_gate()).wait()
        if name in self._compute.failures:
            raise self._compute.failures[name]


def open_gate() -> Gate:
    """A gate that holds nobody."""
    gate = Gate()
    gate.set()
    return gate
