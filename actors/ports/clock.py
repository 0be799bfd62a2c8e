"""Time and chance, handed in: the core reads no clock."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an unknown start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        ...


class Gate(Protocol):
    """A named point that failure tests can hold a process at. Open, and free, in production."""

    async def reach(self, point: str) -> None:
        """Pass the point, or wait there while a test holds it (``boot.claim.before``)."""
        ...
