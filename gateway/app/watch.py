"""Watching: the changes of a project as they happen, and the tokens to go on with.

AIPs have no watch; this one is list-and-watch. The first answer comes at once and says from where
on changes will be seen, so a caller that watches first and lists then misses nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from actors.model.errors import ComputeError, Expired, Invalid
from actors.model.identity import Principal
from actors.model.ids import ProjectId
from gateway.app.auth import project_scope
from gateway.app.feed import Feed
from gateway.app.subscription import Change, Subscription
from gateway.app.tokens import Signer, Text

#: A watcher hears from us at least so often, seconds.
HEARTBEAT_SECONDS: Final = 15.0
#: A watcher that must be let go while it does not read gets so long to take what is on its way.
PATIENCE_SECONDS: Final = 5.0

_EXPIRED: Final = "RESUME_TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Seen:
    """A change, or none for a sign of life, and the token that goes on behind it."""

    change: Change | None
    token: str


class Watch:
    """One watcher's view of a project."""

    def __init__(
        self,
        feed: Feed,
        subscription: Subscription,
        signer: Signer,
        heartbeat: float,
        patience: float,
    ) -> None:
        self._feed = feed
        self._subscription = subscription
        self._signer = signer
        self._heartbeat = heartbeat
        self._patience = patience
        self._greeted = False
        #: The last change that the watcher certainly has.
        self._sent = subscription.taken

    async def next(self) -> Seen:
        """The next change, or a sign of life. Whoever asks has sent the one before.

        Raises:
            Exhausted: The watcher was too slow; the metadata has its last token.
            Expired: Changes it has not seen are gone.
        """
        self._sent = self._subscription.taken
        if not self._greeted:
            self._greeted = True
            return self._alive()
        try:
            change = await self._subscription.next(self._heartbeat)
        except ComputeError as error:
            raise self._farewell(error) from error
        if change is None:
            return self._alive()
        return Seen(change, self._token(change.event.sequence))

    async def send(self, write: Awaitable[None]) -> None:
        """Wait until what ``next`` gave is sent, but not for ever on a watcher that does not read.

        Raises:
            Exhausted: The watcher was too slow; the metadata has its last token.
            Expired: Changes it has not seen are gone.
        """
        writing = asyncio.ensure_future(write)
        failing = asyncio.ensure_future(self._subscription.failed.wait())
        try:
            await asyncio.wait((writing, failing), return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                await asyncio.wait((writing,), timeout=self._patience)
            if writing.done():
                return await writing
        finally:
            failing.cancel()
            writing.cancel()
        assert self._subscription.failure is not None
        raise self._farewell(self._subscription.failure)

    def _farewell(self, error: ComputeError) -> ComputeError:
        if isinstance(error, Expired):
            return resume_expired(error.detail)
        # Rather a change twice than never: one that was on its way may not have arrived.
        told = {"resume_token": self._token(self._sent)}
        return type(error)(error.message, error.reason, error.detail, told)

    def _alive(self) -> Seen:
        return Seen(None, self._token(self._feed.position_of(self._subscription)))

    def _token(self, position: int) -> str:
        return self._signer.sign((position,), _purpose(self._subscription.project))


class WatchCases:
    """Opens watches."""

    def __init__(self, feed: Feed, signer: Signer, heartbeat: float, patience: float) -> None:
        self._feed = feed
        self._signer = signer
        self._heartbeat = heartbeat
        self._patience = patience

    @asynccontextmanager
    async def open(
        self, caller: Principal, project: ProjectId, resume_token: str
    ) -> AsyncIterator[Watch]:
        """Watch a project, or all (``-``, admins only), from now or from a token on.

        Raises:
            NotFound: Another project.
            Forbidden: All projects, by somebody who is no admin.
            Invalid: ``RESUME_TOKEN_INVALID``: not a token of this watch.
            Expired: ``RESUME_TOKEN_EXPIRED``: too old a token; list and watch anew.
        """
        scope = project_scope(caller, project)
        position = self._position(resume_token, scope)
        try:
            async with self._feed.watching(scope, position) as subscription:
                yield Watch(self._feed, subscription, self._signer, self._heartbeat, self._patience)
        except Expired as error:
            if error.reason == _EXPIRED:
                raise
            raise resume_expired(error.detail) from error

    def _position(self, token: str, scope: ProjectId | None) -> int | None:
        if not token:
            return None
        try:
            (position,) = self._signer.read(token, _purpose(scope))
        except ValueError as error:
            raise Invalid(
                "The resume token is not valid for this watch. Use the last one you received, or "
                "list and watch anew without one.",
                "RESUME_TOKEN_INVALID",
                str(error),
                {"resume_token": "is not a token of this watch"},
            ) from None
        assert isinstance(position, int)
        return position


def resume_expired(detail: str) -> Expired:
    """What a watcher hears whose place is gone."""
    return Expired(
        "The changes behind this resume token are no longer kept. List the instances, then watch "
        "anew without a token.",
        _EXPIRED,
        detail,
    )


def _purpose(scope: ProjectId | None) -> tuple[Text, ...]:
    return ("watch", scope)
