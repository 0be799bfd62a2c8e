"""Consoles of guests: attaching, tokens that let others attach, pictures of the screen, counters.

A console token is what it is for, signed (``tokens``): any gateway of the cluster checks it, and
none keeps it. It lets its holder attach to one console of one instance, and to nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from actors.model.console import ConsoleKind, ConsoleSession, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.errors import ComputeError, NotFound, Unauthenticated, Unavailable
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, ProjectId
from actors.model.instance import InstanceRecord
from actors.ports.compute import Guests, Instances
from gateway.app.auth import need_role
from gateway.app.instances import InstanceCases, unknown_instance
from gateway.app.tokens import Signer

#: As Nova's consoleauth ``token_ttl``.
TOKEN_SECONDS: Final = 600
#: How long a read waits at the host. A gateway that stops lets its consoles go within that time.
_WAIT_SECONDS: Final = 2.0
_PURPOSE: Final = ("console",)


@dataclass(frozen=True, slots=True)
class Target:
    """Which console; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    #: None: the serial console, or what the token is for.
    kind: ConsoleKind | None


@dataclass(frozen=True, slots=True)
class ConsoleToken:
    """A token to hand out."""

    token: str
    project: ProjectId
    instance: InstanceId
    kind: ConsoleKind
    expires: datetime


class AttachedConsole:
    """One open session, for one caller."""

    def __init__(self, guests: Guests, session: ConsoleSession, closing: asyncio.Event) -> None:
        self._guests = guests
        self._session = session
        self._closing = closing

    async def read(self) -> bytes:
        """What has come; waits until something has.

        Raises:
            Conflict: The guest has stopped, or somebody has taken over.
            Unavailable: The session is lost, or this gateway stops.
        """
        while not self._closing.is_set():
            if data := await self._guests.read(self._session, _WAIT_SECONDS):
                return data
        raise Unavailable("This gateway is stopping. Attach again.", "GATEWAY_STOPPING")

    async def write(self, data: bytes) -> None:
        """Input for the guest; waits while it takes nothing.

        Raises:
            Conflict: The guest has stopped, or somebody has taken over.
            Unavailable: The session is lost.
        """
        await self._guests.write(self._session, data)


class ConsoleCases:
    """What can be asked of consoles."""

    def __init__(
        self,
        cases: InstanceCases,
        instances: Instances,
        guests: Guests,
        signer: Signer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cases = cases
        self._instances = instances
        self._guests = guests
        self._signer = signer
        self._now = now
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let all who are attached go."""
        self._closing.set()

    @asynccontextmanager
    async def attach(
        self, caller: Principal, target: Target, *, force: bool
    ) -> AsyncIterator[AttachedConsole]:
        """Attach as somebody with an account.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Conflict: The guest does not run, has no such console, or somebody is attached.
            Exhausted: There are too many sessions.
        """
        record = await self._cases.get(caller, target.project, target.instance)
        need_role(caller, Role.MEMBER)
        async with self._attached(record, target.kind or ConsoleKind.SERIAL, force) as console:
            yield console

    @asynccontextmanager
    async def attach_by_token(
        self, token: str, target: Target | None, kind: ConsoleKind | None, *, force: bool
    ) -> AsyncIterator[AttachedConsole]:
        """Attach as whoever holds a console token.

        Args:
            token: The token.
            target: What the holder takes it to be for; None where that is not said.
            kind: The console the holder takes it to be for; None where that is not said.
            force: Take over from whoever is attached.

        Raises:
            Unauthenticated: Not a token for this console, or too old.
            NotFound: The instance is gone.
            Conflict: As ``attach``.
            Exhausted: As ``attach``.
        """
        meant = self._read(token)
        said = (meant.project, meant.instance)
        if target is not None and (target.project, target.instance) != said:
            raise _wrong_token("it is for another instance")
        if kind not in (None, meant.kind):
            raise _wrong_token("it is for another console")
        record = await self._record(meant)
        async with self._attached(record, meant.kind, force) as console:
            yield console

    async def create_token(self, caller: Principal, target: Target) -> ConsoleToken:
        """A token that lets its holder attach to one console for a while.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
        """
        record = await self._cases.get(caller, target.project, target.instance)
        need_role(caller, Role.MEMBER)
        kind = target.kind or ConsoleKind.SERIAL
        expires = (self._now() + timedelta(seconds=TOKEN_SECONDS)).replace(microsecond=0)
        content = (record.project, record.id, kind.value, int(expires.timestamp()))
        token = self._signer.sign(content, _PURPOSE)
        return ConsoleToken(token, record.project, record.id, kind, expires)

    async def screenshot(
        self, caller: Principal, project: ProjectId, instance: InstanceId
    ) -> Screenshot:
        """A picture of the screen. Readers may: it shows what a console log shows.

        Raises:
            NotFound: No such instance in the project, or another project.
            Conflict: The guest does not run, or has no screen.
            TooLarge: The picture is over 16 MiB.
        """
        return await self._guests.screenshot(await self._cases.get(caller, project, instance))

    async def diagnostics(
        self, caller: Principal, project: ProjectId, instance: InstanceId
    ) -> tuple[Diagnostics, InstanceRecord, timedelta]:
        """What the guest has used, whose it is, and since when it exists.

        Raises:
            NotFound: No such instance in the project, or another project.
            Conflict: The guest does not run.
        """
        record = await self._cases.get(caller, project, instance)
        found = await self._guests.diagnostics(record)
        return found, record, self._now() - (record.launched or self._now())

    @asynccontextmanager
    async def _attached(
        self, record: InstanceRecord, kind: ConsoleKind, force: bool
    ) -> AsyncIterator[AttachedConsole]:
        session = await self._guests.attach(record, kind, force)
        try:
            yield AttachedConsole(self._guests, session, self._closing)
        finally:
            # A host that does not hear of it ends the session by itself.
            with suppress(ComputeError):
                await asyncio.shield(self._guests.detach(session))

    def _read(self, token: str) -> ConsoleToken:
        try:
            project, instance, kind, expires = self._signer.read(token, _PURPOSE)
        except ValueError as error:
            raise _wrong_token("it is none of this cluster", str(error)) from None
        assert isinstance(expires, int)
        meant = ConsoleToken(
            token,
            ProjectId(str(project)),
            InstanceId(str(instance)),
            ConsoleKind(str(kind)),
            datetime.fromtimestamp(expires, UTC),
        )
        if self._now() >= meant.expires:
            raise Unauthenticated(
                "The console token has expired. Ask who gave it to you for a new one.",
                "CONSOLE_TOKEN_EXPIRED",
            )
        return meant

    async def _record(self, meant: ConsoleToken) -> InstanceRecord:
        try:
            record = await self._instances.get(meant.instance)
        except NotFound as error:
            raise unknown_instance(meant.instance) from error
        if record.project != meant.project:
            raise unknown_instance(meant.instance)
        return record


def _wrong_token(why: str, detail: str = "") -> Unauthenticated:
    return Unauthenticated(
        f"The console token is not valid: {why}.", "CONSOLE_TOKEN_INVALID", detail
    )
