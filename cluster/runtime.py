"""Time, and the gates of failure tests: what actors get of the outside."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_GATE_SECONDS = 0.005


class SystemClock:
    """The machine's clock (``ports.clock.Clock``)."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        await asyncio.sleep(seconds)


class OpenGate:
    """No gate at all (``ports.clock.Gate``): production's."""

    async def reach(self, point: str) -> None:
        """Pass."""


@dataclass(frozen=True, slots=True)
class FileGate:
    """Holds whoever reaches a point for which a test has put a file (``ports.clock.Gate``).

    ``<folder>/<point>`` closes the point. Who reaches it adds ``<point>.reached`` and waits until
    the file is gone.
    """

    folder: Path

    async def reach(self, point: str) -> None:
        """Pass, or wait while the point is closed."""
        closed = self.folder / point
        if not closed.exists():
            return
        self.folder.joinpath(f"{point}.reached").touch()
        while closed.exists():  # noqa: ASYNC110 - the test is another process
            await asyncio.sleep(_GATE_SECONDS)


def gate_for(folder: Path | None) -> OpenGate | FileGate:
    """The gate for this setting."""
    return FileGate(folder) if folder is not None else OpenGate()
