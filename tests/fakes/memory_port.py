"""What all ports in memory can: count calls, and fail or hold them where the test says."""

import asyncio
from collections import Counter
from typing import Literal, Protocol


class Gate(asyncio.Event):
    """Calls wait before it until it is set."""

    def __init__(self) -> None:
        super().__init__()
        #: Set when the last call that waited has gone on, or has been given up.
        self.deserted = asyncio.Event()
        self._waiting = 0

    async def wait(self) -> Literal[True]:
        """Stand before the gate."""
        self._waiting += 1
        try:
            return await super().wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.deserted.set()


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
