"""The one reader of the cluster's events at this gateway.

It reads ``Instances.events_after`` in a loop while anybody watches or waits, and not otherwise, and
hands each event to those it concerns: a hundred watchers cost the cluster one. No ``await`` stands
between taking a batch and having handed it out, so "everything up to the position has been handed
out" always holds, and who joins misses nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from actors.model.errors import ComputeError, Exhausted, Expired, Unavailable
from actors.model.ids import OperationId, ProjectId
from actors.model.query import Event, EventBatch, EventKind
from actors.ports.compute import Instances
from gateway.app.subscription import Change, Subscription, Waiter

_LOG = logging.getLogger(__name__)

Key = TypeVar("Key")
Listener = TypeVar("Listener")

#: How long one question for news may wait at the store, seconds.
WAIT_SECONDS: Final = 10.0
#: Events a watcher may be behind.
QUEUE_LIMIT: Final = 1000
MAX_WATCHERS: Final = 500

_BATCH: Final = 500
#: A watcher that has no room for another batch may hold up the others so often, each time so long:
#: it may be quick, and only the batches quicker. Who has none after that is slow.
_PAUSES: Final = 50
_PAUSE_SECONDS: Final = 0.005
#: Before the next question after one that failed, seconds.
_RETRY_SECONDS: Final = 0.5
#: Asks for the present position only.
_PRESENT: Final = -1


class Feed:
    """Reads the events once, for all who listen here."""

    def __init__(
        self,
        instances: Instances,
        wait_seconds: float = WAIT_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        self._instances = instances
        self._wait_seconds = wait_seconds
        self._retry_seconds = retry_seconds
        self._queue_limit = queue_limit
        self._batch = min(_BATCH, max(1, queue_limit // 2))
        self._watchers: defaultdict[ProjectId | None, set[Subscription]] = defaultdict(set)
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        #: Who is about to listen, and must not find the loop ended.
        self._joining = 0
        #: Everything up to here has been handed out; None while the loop does not run.
        self._position: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed: Unavailable | None = None

    @property
    def running(self) -> bool:
        """Whether events are being read."""
        return self._position is not None

    @property
    def listeners(self) -> int:
        """How many watch or wait, or are about to."""
        return self._joining + self.watchers + sum(map(len, self._waiters.values()))

    @property
    def watchers(self) -> int:
        """How many watch."""
        return sum(map(len, self._watchers.values()))

    def position_of(self, subscription: Subscription) -> int:
        """How far a watcher is."""
        return subscription.position(self._position or 0)

    @asynccontextmanager
    async def waiting(self, operation: OperationId) -> AsyncIterator[Waiter]:
        """Listen for the end of one operation, from now on."""
        waiter = Waiter()
        await self._join()
        self._waiters[operation].add(waiter)
        try:
            yield waiter
        finally:
            _discard(self._waiters, operation, waiter)

    @asynccontextmanager
    async def watching(
        self, project: ProjectId | None, position: int | None
    ) -> AsyncIterator[Subscription]:
        """Listen to a project (None: to all) from a position on, or from now.

        Raises:
            Expired: The position lies in the future: the cluster's record was restored from an
                older one.
            Exhausted: Too many watch already.
        """
        if self.watchers >= MAX_WATCHERS:
            raise Exhausted(
                f"This gateway has {MAX_WATCHERS} watchers already. Try again later.",
                "TOO_MANY_WATCHERS",
            )
        present = await self._join()
        if position is not None and position > present:
            # Another gateway may simply have read further than this one.
            present = (await self._instances.events_after(_PRESENT, 1, 0.0)).next_sequence
            if position > present:
                raise Expired("This position was never reached.")
        history = None if position is None else self._history
        start = present if position is None else position
        subscription = Subscription(project, self._queue_limit, start, history)
        self._watchers[project].add(subscription)
        try:
            yield subscription
        finally:
            _discard(self._watchers, project, subscription)

    async def close(self) -> None:
        """Stop reading. Who listens is told, and may go on at another gateway."""
        self._closed = Unavailable(
            "This gateway is going away. Try again, with the last resume token where there is one.",
            "GATEWAY_STOPPING",
        )
        self._drop(self._closed)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _history(self, position: int) -> tuple[EventBatch, bool]:
        """Events behind a position, and whether the loop has handed out nothing newer than those.

        Read apart from the loop, so that one late watcher holds up nobody.
        """
        batch = await self._instances.events_after(position, self._batch, 0.0)
        # An empty batch proves nothing: the loop may have handed out more while this answer was on
        # its way.
        return batch, self._position is None or batch.next_sequence >= self._position

    async def _join(self) -> int:
        """Have the loop run, and say how far it is.

        Who calls must begin to listen without an ``await`` in between.
        """
        if self._closed is not None:
            raise self._closed
        self._joining += 1
        try:
            while self._position is None:
                present = (await self._instances.events_after(_PRESENT, 1, 0.0)).next_sequence
                # Somebody else may have been quicker; one loop is enough.
                if self._position is None:
                    self._position = present
                    self._task = asyncio.create_task(self._run(), name="gateway-feed")
            return self._position
        finally:
            self._joining -= 1

    async def _run(self) -> None:
        try:
            while self.listeners and self._position is not None:
                batch = await self._ask(self._position)
                for event in batch.events:
                    self._hand_out(event)
                self._position = batch.next_sequence
                await self._let_watchers_take()
        finally:
            self._position = self._task = None

    async def _ask(self, position: int) -> EventBatch:
        try:
            return await self._instances.events_after(position, self._batch, self._wait_seconds)
        except Expired as error:
            # So far behind that events are gone. Nobody may go on as if nothing were missing.
            _LOG.warning("the feed lost its place at %d and begins anew", position)
            self._drop(error)
            return await self._present(position)
        except ComputeError as error:
            _LOG.warning("no events for now: %s", error)
        except Exception:  # noqa: BLE001 - the loop serves everybody, and must not end
            _LOG.exception("reading events failed")
        # The store's writer is being replaced, most likely. Listeners need not know: their events
        # wait.
        await asyncio.sleep(self._retry_seconds)
        return EventBatch((), position)

    async def _present(self, position: int) -> EventBatch:
        try:
            return await self._instances.events_after(_PRESENT, 1, 0.0)
        except ComputeError:
            return EventBatch((), position)

    async def _let_watchers_take(self) -> None:
        for _ in range(_PAUSES):
            if all(s.room >= self._batch for group in self._watchers.values() for s in group):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _hand_out(self, event: Event) -> None:
        change = Change(event)
        for key in (event.project, None):
            for subscription in self._watchers.get(key, ()):
                subscription.offer(change)
        if event.kind is EventKind.OPERATION:
            for waiter in self._waiters.get(event.id, ()):
                waiter.offer(change)

    def _drop(self, error: ComputeError) -> None:
        for subscriptions in self._watchers.values():
            for subscription in subscriptions:
                subscription.fail(error)
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake(self._closed)


def _discard(listeners: defaultdict[Key, set[Listener]], key: Key, one: Listener) -> None:
    listeners[key].discard(one)
    if not listeners[key]:
        del listeners[key]
