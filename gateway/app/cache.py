"""Small caches in front of the actors, so that a burst of calls does not cost a hop each."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Monotonic = Callable[[], float]


class Flight(Generic[Value]):
    """One load at a time: who comes while it is under way gets the same answer.

    The load belongs to nobody in particular: a caller that is cancelled does not end it for the
    others.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Value] | None = None

    async def run(self, load: Callable[[], Awaitable[Value]]) -> Value:
        """Join the load under way, or begin one."""
        if self._task is None:
            self._task = asyncio.ensure_future(_await(load))
            self._task.add_done_callback(self._landed)
        return await asyncio.shield(self._task)

    def _landed(self, task: asyncio.Task[Value]) -> None:
        self._task = None
        # Looked at here, so that a failure everybody stopped waiting for is not reported as lost.
        if not task.cancelled():
            task.exception()


async def _await(load: Callable[[], Awaitable[Value]]) -> Value:
    return await load()


class Fresh(Generic[Value]):
    """One value, loaded again when it is older than ``max_age`` seconds. Failures are not kept."""

    def __init__(
        self,
        load: Callable[[], Awaitable[Value]],
        max_age: float,
        now: Monotonic = time.monotonic,
    ) -> None:
        self._load = load
        self._max_age = max_age
        self._now = now
        self._flight = Flight[Value]()
        self._held: tuple[float, Value] | None = None
        self._forgotten = 0

    def forget(self) -> None:
        """The value has just been changed: what was loaded before now will not do any more."""
        self._held = None
        self._flight = Flight()
        self._forgotten += 1

    async def get(self, max_age: float | None = None) -> Value:
        """The value, at most so old (counted from when its load began)."""
        limit = self._max_age if max_age is None else max_age
        if self._held is not None and self._now() - self._held[0] <= limit:
            return self._held[1]
        return await self._flight.run(self._loaded)

    async def _loaded(self) -> Value:
        began, forgotten = self._now(), self._forgotten
        value = await self._load()
        if forgotten == self._forgotten:
            # Kept before the flight ends: who comes after it finds the value.
            self._held = (began, value)
        return value


class Remembered(Generic[Key, Value]):
    """The latest values by key, each for ``max_age`` seconds. None is not remembered."""

    def __init__(
        self,
        load: Callable[[Key], Awaitable[Value | None]],
        max_age: float,
        capacity: int,
        now: Monotonic = time.monotonic,
    ) -> None:
        self._load = load
        self._max_age = max_age
        self._capacity = capacity
        self._now = now
        self._held: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._flights: dict[Key, Flight[Value | None]] = {}

    def peek(self, key: Key) -> Value | None:
        """The value if it is here and young enough; never waits."""
        held = self._held.get(key)
        if held is None or self._now() - held[0] > self._max_age:
            return None
        return held[1]

    async def get(self, key: Key) -> Value | None:
        """The value, loaded where it is not here."""
        held = self.peek(key)
        if held is not None:
            return held
        return await self._flights.setdefault(key, Flight()).run(lambda: self._loaded(key))

    async def _loaded(self, key: Key) -> Value | None:
        began = self._now()
        try:
            value = await self._load(key)
        finally:
            del self._flights[key]
        self._held.pop(key, None)
        if value is not None:
            self._held[key] = (began, value)
        if len(self._held) > self._capacity:
            self._held.popitem(last=False)
        return value
