"""One lane for each instance on a host: jobs pass one at a time, and an old one never after a new.

The lane is also the fence: a job carries its operation's sequence number, and once a newer
operation has asked, an older one's job is refused and the one in the lane ends after its step.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from actors.model.errors import Abandoned, Cancelled, Unavailable
from actors.model.ids import InstanceId

#: Fences of instances that left are kept for so many others: a late job of theirs is long gone
#: then.
_FENCES: Final = 10_000


class Lane:
    """One instance's."""

    def __init__(self) -> None:
        self.newest = 0
        #: How many have come so far: who finds it as it was has missed none.
        self.turns = 0
        self._turn = asyncio.Lock()
        self._jobs = 0
        #: The operation whose job in the lane is to end after its step; 0 for none.
        self._abandoned = 0
        self._inside = 0
        #: Rings when a newer operation asks, or when the power state changed.
        self.bell = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether a job is in the lane, or about to be."""
        return self._jobs > 0

    @property
    def wanted(self) -> bool:
        """Whether a job waits for what is in the lane."""
        return self._jobs > 1

    def abandon(self, sequence: int) -> None:
        """The job of this operation that is in the lane now is wanted no more; its undo may be."""
        if self._inside == sequence:
            self._abandoned = sequence
            self.bell.set()

    def check(self, instance: InstanceId, sequence: int) -> None:
        """Let a job go on.

        Raises:
            Cancelled: A newer operation has asked since, or somebody has cancelled this one
                (``Abandoned``).
        """
        if sequence == self._abandoned:
            raise Abandoned(f"The operation on instance {instance} was cancelled.")
        if sequence < self.newest:
            raise Cancelled(
                f"A newer operation on instance {instance} has taken over.",
                "SUPERSEDED",
                f"sequence {sequence}, newest {self.newest}",
            )

    async def rings_or(self, other: asyncio.Future[Any]) -> None:
        """Wait until the bell rings or something else is done."""
        ringing: asyncio.Future[Any] = asyncio.ensure_future(self.bell.wait())
        try:
            await asyncio.wait((ringing, other), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ringing.cancel()
        self.bell.clear()

    @asynccontextmanager
    async def between_jobs(self, instance: InstanceId) -> AsyncIterator[None]:
        """Pass the empty lane with what is no operation on the instance: jobs wait meanwhile.

        Raises:
            Unavailable: ``LANE_BUSY``: it is not empty.
        """
        if self.busy:
            raise Unavailable(
                f"Something is being done to instance {instance}; this waits for it.", "LANE_BUSY"
            )
        self.turns += 1
        self._jobs += 1
        try:
            async with self._turn:
                yield
        finally:
            self._jobs -= 1

    @asynccontextmanager
    async def turn(self, instance: InstanceId, sequence: int) -> AsyncIterator[None]:
        """Pass the lane.

        Raises:
            Cancelled: A newer operation was here first.
        """
        self.check(instance, sequence)
        if sequence > self.newest:
            self.newest = sequence
            self.bell.set()
        # Not the lock's own state: it is free for a moment when one job hands it to the next.
        self.turns += 1
        self._jobs += 1
        try:
            async with self._turn:
                self.check(instance, sequence)
                self.bell.clear()
                self._inside = sequence
                try:
                    yield
                finally:
                    self._inside = self._abandoned = 0
        finally:
            self._jobs -= 1


#: Keeps the jobs of a guest waiting, where none is under way; its lane tells when one does.
Beside = Callable[[InstanceId], AbstractAsyncContextManager[Lane]]


class Lanes:
    """All instances' lanes, the most recently used kept."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[InstanceId, Lane] = OrderedDict()

    def lane(self, instance: InstanceId) -> Lane:
        """The instance's lane."""
        lane = self._lanes.get(instance)
        if lane is None:
            lane = self._lanes[instance] = Lane()
            if len(self._lanes) > _FENCES:
                self._forget()
        self._lanes.move_to_end(instance)
        return lane

    def busy(self, instance: InstanceId) -> bool:
        """Whether a job of this instance is under way."""
        lane = self._lanes.get(instance)
        return lane is not None and lane.busy

    def _forget(self) -> None:
        for _ in range(len(self._lanes)):
            oldest, lane = next(iter(self._lanes.items()))
            if not lane.busy:
                del self._lanes[oldest]
                return
            self._lanes.move_to_end(oldest)
