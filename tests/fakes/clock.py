"""``ports.clock.Clock`` as tests need it: one that stands still, and one that can be moved."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cluster.runtime import SystemClock


class FakeClock:
    """Moves only when a test, or a sleep, moves it; begins at noon of a day in 2026.

    A sleep lets others run once, then time has passed.
    """

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)
        self._monotonic = 1000.0

    def __repr__(self) -> str:
        return f"FakeClock({self._now.isoformat()})"

    def now(self) -> datetime:
        """The instant."""
        return self._now

    def monotonic(self) -> float:
        """Seconds."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    async def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        await asyncio.sleep(0)
        self.advance(seconds)


class ShiftedClock(SystemClock):
    """Real time, that a test can move ahead: who sleeps wakes up when its time has come."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """The instant."""
        return super().now() + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        """Seconds."""
        return super().monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for so long, or for a test to say that it has passed."""
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)
