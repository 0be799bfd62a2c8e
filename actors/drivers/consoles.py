"""Who is attached to which console of a host's guests (ADR 0014)."""

import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from actors.drivers.console_session import IDLE_SECONDS, Console, ConsoleSession, lost
from actors.model.console import ConsoleKind
from actors.model.errors import Conflict, Exhausted
from actors.model.ids import InstanceId

#: Of one guest's screen.
_MOST_VIEWERS: Final = 4
#: Of a host: each is a descriptor and up to a megabyte.
_MOST_SESSIONS: Final = 128


class Consoles:
    """All sessions. Nothing here outlives the process: a new one has none."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS, most: int = _MOST_SESSIONS) -> None:
        self._idle_seconds = idle_seconds
        self._most = most
        self._sessions: dict[str, ConsoleSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    async def open(
        self, console: Console, connect: Callable[[], Awaitable[int]], *, force: bool
    ) -> str:
        """A new session's id.

        Args:
            console: What to attach to.
            connect: Makes the descriptor.
            force: Take over from whoever is attached.

        Raises:
            Conflict: ``CONSOLE_BUSY``: somebody is attached.
            Exhausted: ``CONSOLE_LIMIT``: there are too many sessions.
            ComputeError: What ``connect`` raises.
        """
        self._check(console, force=force)
        fd = await connect()
        try:
            self._check(console, force=force)  # somebody else may have been quicker
        except BaseException:
            os.close(fd)
            raise
        if force:
            for other in self._of(console):
                other.end(_taken_over(console.instance))
        session = secrets.token_hex(16)
        self._sessions[session] = ConsoleSession(
            console, fd, lambda: self._forget(session), self._idle_seconds
        )
        return session

    def session(self, session: str) -> ConsoleSession:
        """A session by its id.

        Raises:
            Unavailable: ``CONSOLE_LOST``: there is none of this id.
        """
        found = self._sessions.get(session)
        if found is None:
            raise lost()
        return found

    def close(self, session: str) -> None:
        """End a session; one that is not there is no error."""
        found = self._sessions.get(session)
        if found is not None:
            found.close()

    def _check(self, console: Console, *, force: bool) -> None:
        if len(self._sessions) >= self._most:
            raise Exhausted(
                "The instance's host has as many open consoles as it takes. Try again later.",
                "CONSOLE_LIMIT",
                f"{len(self._sessions)} sessions",
            )
        others = self._of(console)
        if force or not others:
            return
        if console.kind is ConsoleKind.SERIAL:
            raise Conflict(
                f"Somebody is attached to the serial console of instance {console.instance}. "
                "Attach with force to take it over.",
                "CONSOLE_BUSY",
                "",
                {"instance": console.instance},
            )
        if len(others) >= _MOST_VIEWERS:
            raise Exhausted(
                f"{len(others)} viewers look at the screen of instance {console.instance}; no "
                "more can. Attach with force to send them away.",
                "CONSOLE_LIMIT",
                "",
                {"instance": console.instance},
            )

    def _of(self, console: Console) -> list[ConsoleSession]:
        return [
            one for one in self._sessions.values() if one.console == console and one.ended is None
        ]

    def _forget(self, session: str) -> None:
        self._sessions.pop(session, None)


def _taken_over(instance: InstanceId) -> Conflict:
    return Conflict(
        f"Somebody else has taken over the console of instance {instance}.",
        "CONSOLE_TAKEN_OVER",
        "",
        {"instance": instance},
    )
