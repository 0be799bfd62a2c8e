"""Those who listen to the feed: watchers of a project, and those who wait for one operation."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Final

from actors.model.errors import ComputeError, Exhausted
from actors.model.ids import ProjectId
from actors.model.instance import InstanceRecord
from actors.model.operation import OperationRecord
from actors.model.query import Event, EventBatch, EventKind

#: What an unfinished operation's JSON ends with. Only spares the decoding: should it be something
#: else one day, each event of an operation that is waited for is decoded.
_UNFINISHED: Final = '"finished":null}'


class Change:
    """One event. Its record is decoded when the first listener asks, and once for all of them."""

    def __init__(self, event: Event) -> None:
        self.event = event

    @cached_property
    def record(self) -> InstanceRecord | OperationRecord:
        """The instance or operation as it became."""
        if self.event.kind is EventKind.INSTANCE:
            return self.event.instance()
        return self.event.operation()


class Subscription:
    """The events of one project (None: of all) for one watcher, in order and without a gap.

    A watcher that resumes first reads old events for itself, at its own pace; it listens to the
    feed from the moment it has reached it. From then on it may be ``limit`` events behind.
    """

    def __init__(
        self,
        project: ProjectId | None,
        limit: int,
        position: int,
        history: Callable[[int], Awaitable[tuple[EventBatch, bool]]] | None,
    ) -> None:
        """Make one.

        Args:
            project: Whose events.
            limit: How many may lie here untaken.
            position: Events up to this one are known to the watcher.
            history: Reads the events behind a position and says whether that reached the feed. None
                for a watcher that is where the feed is.
        """
        self.project = project
        #: The last event that the watcher took.
        self.taken = position
        #: Set when the watcher must be let go, for one who is busy sending.
        self.failed = asyncio.Event()
        self._limit = limit
        self._history = history
        #: Events up to this one are taken, queued here, or not of this project.
        self._seen = position
        self._queue: deque[Change] = deque()
        self._news = asyncio.Event()
        #: Why it has ended.
        self.failure: ComputeError | None = None

    @property
    def room(self) -> int:
        """How many more events fit."""
        return self._limit - len(self._queue)

    def position(self, handed_out: int) -> int:
        """How far the watcher is: with nothing queued, as far as the feed has handed out."""
        if self._queue or self._history is not None:
            return self.taken
        return max(self._seen, handed_out)

    def offer(self, change: Change) -> None:
        """Queue an event of the project, or give up on a watcher that is too far behind."""
        if self.failure is not None or self._history is not None:
            return
        if change.event.sequence <= self._seen:
            return
        if len(self._queue) >= self._limit:
            self.fail(
                Exhausted(
                    f"This watcher is more than {self._limit} changes behind and was let go. Watch "
                    "again with the last resume token, and read faster.",
                    "WATCHER_TOO_SLOW",
                )
            )
            return
        self._seen = change.event.sequence
        self._queue.append(change)
        self._news.set()

    def fail(self, error: ComputeError) -> None:
        """End it: what is queued is dropped, the watcher gets this error."""
        self.failure = error
        self._queue.clear()
        self._news.set()
        self.failed.set()

    async def next(self, seconds: float) -> Change | None:
        """The next event; None when none came in so many seconds.

        Raises:
            ComputeError: The subscription has ended.
        """
        while self.failure is None and not self._queue:
            if self._history is not None:
                await self._read_history(self._history)
                continue
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return None
        if self.failure is not None:
            raise self.failure
        change = self._queue.popleft()
        self.taken = change.event.sequence
        return change

    async def _read_history(
        self, history: Callable[[int], Awaitable[tuple[EventBatch, bool]]]
    ) -> None:
        batch, reached = await history(self._seen)
        # No await from here on: the feed hands out what follows this batch, and nothing before it
        # is missed.
        self._seen = max(self._seen, batch.next_sequence)
        self._queue.extend(
            Change(event) for event in batch.events if self.project in (None, event.project)
        )
        if reached:
            self._history = None


class Waiter:
    """Waits for the end of one operation."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._latest: Change | None = None
        self._failure: ComputeError | None = None

    def offer(self, change: Change) -> None:
        """An event of the operation."""
        if not change.event.body.endswith(_UNFINISHED):
            self._latest = change
            self._news.set()

    def wake(self, failure: ComputeError | None = None) -> None:
        """Events may have been missed, or (failure) no more will come."""
        self._latest = None
        self._failure = failure
        self._news.set()

    async def ended(self, seconds: float) -> OperationRecord | None:
        """The operation at its end; None when that is not known after so many seconds.

        Raises:
            ComputeError: It cannot be waited for any longer.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return None
        self._news.clear()
        if self._failure is not None:
            raise self._failure
        if self._latest is None:
            return None
        record = self._latest.record
        assert isinstance(record, OperationRecord)
        return record
