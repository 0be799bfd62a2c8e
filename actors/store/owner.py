"""How an actor owns its tables: an epoch, a load at the start, and again after trouble.

The owner decides in memory and answers once its batch is durable. A commit that fails leaves memory
ahead of the store, or level with it where only the answer was lost; so the state is thrown away
and loaded again, and callers wait for that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from actors.model.errors import ComputeError, Fenced, Unavailable
from actors.ports.clock import Clock
from actors.ports.store import Batch, Put, Remove, Store

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
#: Why a process that was replaced refuses everything.
REPLACED: Final = "ACTOR_REPLACED"

_log = logging.getLogger(__name__)

State = TypeVar("State")


class Owner(Generic[State]):
    """One writer's hold on the store. ``load`` makes its state from what is stored."""

    def __init__(
        self, writer: str, store: Store, clock: Clock, load: Callable[[], Awaitable[State]]
    ) -> None:
        self._writer = writer
        self._store = store
        self._clock = clock
        self._load = load
        self._epoch = 0
        self._fenced = ""
        self._loading = self._start_loading()

    def __repr__(self) -> str:
        if self._fenced:
            return f"epoch {self._epoch}, replaced"
        if not self._loading.done():
            return f"epoch {self._epoch}, loading"
        broken = self._loading.cancelled() or self._loading.exception()
        state = "not loaded" if broken else repr(self._loading.result())
        return f"epoch {self._epoch}: {state}"

    async def state(self) -> State:
        """What memory holds, once it is loaded.

        Raises:
            Unavailable: This process has been replaced. Its successor has the name by now.
        """
        if self._loading.done() and (self._loading.cancelled() or self._loading.exception()):
            self.load_again()
        # Shielded: a caller that gives up must not stop the load that others wait for.
        state = await asyncio.shield(self._loading)
        self._check()
        return state

    async def commit(self, puts: tuple[Put, ...], removes: tuple[Remove, ...] = ()) -> None:
        """Write one batch. Not for two callers at once: generations follow each other.

        Raises:
            Unavailable: It may or may not have been written, and the state is being loaded again;
                or this process has been replaced, and every call from now on will say so.
        """
        self._check()
        if not puts and not removes:
            return
        try:
            await self._store.commit(Batch(self._writer, self._epoch, puts, removes))
        except Fenced as error:
            raise self._replaced(error) from None
        except BaseException as error:
            _log.warning("%s: a commit failed, loading again: %r", self._writer, error)
            self.load_again()
            if isinstance(error, Unavailable) or not isinstance(error, ComputeError):
                raise
            # Callers must not take a Stale of ours for one of their own.
            raise Unavailable(
                "The change could not be recorded. Try again.", detail=repr(error)
            ) from error

    def load_again(self) -> None:
        """Throw the state away. One load is under way at a time: two would fence each other."""
        if self._loading.done():
            self._loading = self._start_loading()

    def _start_loading(self) -> asyncio.Task[State]:
        return asyncio.create_task(self._begin(), name=f"{self._writer}: load")

    async def _begin(self) -> State:
        pause = _FIRST_PAUSE
        while True:
            self._check()
            try:
                return await self._begin_once()
            except Fenced as error:
                raise self._replaced(error) from None
            except Unavailable as error:
                _log.info("%s: the store is away, trying again: %s", self._writer, error)
                await self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _begin_once(self) -> State:
        if self._epoch:
            # Whether we are still the writer: a process that was replaced while the store was away
            # must not take the epoch back from its successor.
            await self._store.commit(Batch(self._writer, self._epoch))
        # The new epoch fences a batch of ours that may still be on its way.
        self._epoch = await self._store.begin_epoch(self._writer)
        return await self._load()

    def _check(self) -> None:
        if self._fenced:
            raise self._gone()

    def _replaced(self, error: Fenced) -> Unavailable:
        if not self._fenced:
            self._fenced = f"{self._writer}: {error}"
            _log.error("%s has been replaced and stops working: %s", self._writer, error)
        return self._gone()

    def _gone(self) -> Unavailable:
        # Never Fenced: callers would take themselves for the one that was replaced.
        return Unavailable(
            f"The {self._writer} is being replaced. Try again.", REPLACED, self._fenced
        )
