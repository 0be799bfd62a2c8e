"""``ports.clock.Clock`` that moves only when a test, or a sleep, moves it."""

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at noon of a day in 2026. A sleep lets others run once, then time has passed."""

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
