"""The newest events, in memory: watchers that keep up cost the database nothing."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from actors.model.errors import Expired
from actors.model.query import Event

#: How many events are kept here. Watchers further behind are served from the database.
RECENT: Final = 4096

_sequence_of = attrgetter("sequence")


class EventLog:
    """What was committed last, and a bell for those who wait for more."""

    def __init__(self, recent: Sequence[Event], last: int, pruned: int) -> None:
        self._recent = list(recent)
        self._last = last
        self._pruned = pruned
        self._bell = asyncio.Event()

    @property
    def last(self) -> int:
        """The newest position."""
        return self._last

    def publish(self, events: Sequence[Event], pruned: int) -> None:
        """Take in what a group has committed, and wake all who wait."""
        self._pruned = pruned
        if not events:
            return
        self._last = events[-1].sequence
        self._recent.extend(events)
        if len(self._recent) >= 2 * RECENT:
            del self._recent[:-RECENT]
        # A bell rings once; who comes next waits for a new one.
        self._bell.set()
        self._bell = asyncio.Event()

    def check(self, sequence: int) -> None:
        """See that a watcher can go on from here.

        Raises:
            Expired: Events behind this position are gone, or the position was never given out
                (the database was put back to an older state).
        """
        if not self._pruned <= sequence <= self._last:
            raise Expired(
                "This position in the event stream is no longer known. List again and watch from"
                " there.",
                "POSITION_EXPIRED",
                f"position {sequence}, kept are {self._pruned} to {self._last}",
            )

    async def wait(self, sequence: int, seconds: float) -> None:
        """Return when there are events behind the position, or when the time is up."""
        if self._last > sequence or seconds <= 0:
            return
        bell = self._bell
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return

    def after(self, sequence: int, limit: int) -> tuple[Event, ...] | None:
        """The first events behind a position, or None where they must be read from the database."""
        if sequence == self._last:
            return ()
        if not self._recent or sequence + 1 < self._recent[0].sequence:
            return None
        start = bisect_right(self._recent, sequence, key=_sequence_of)
        return tuple(self._recent[start : start + limit])
