"""What all ports in memory can: count calls, and fail or hold them where the test says."""

import asyncio
from collections import Counter
from typing import Protocol


class Switches(Protocol):
    """What a test sets."""

    calls: Counter[str]
    failures: dict[str, Exception]
    gates: dict[str, asyncio.Event]
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


def open_gate() -> asyncio.Event:
    """A gate that holds nobody."""
    gate = asyncio.Event()
    gate.set()
    return gate
