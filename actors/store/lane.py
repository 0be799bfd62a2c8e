"""A SQLite connection in a thread of its own, and what its errors mean to callers."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import aiosqlite

from actors.model.errors import ComputeError, Exhausted, Unavailable

Result = TypeVar("Result")

#: Seconds a write waits for another process (a backup, a conductor that is being replaced).
_BUSY_SECONDS: Final = 5.0

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # An answer means: on disk, also after a power cut.
    "PRAGMA synchronous = FULL",
    # 16 MiB between checkpoints: hot pages are copied back once for many commits.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",
)


class Lane(aiosqlite.Connection):
    """One connection. Work that belongs together crosses to its thread in one call.

    A crossing costs 50-100 µs and aiosqlite's own methods cross once for each statement: a group
    of commits would cross a dozen times.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # The interpreter waits for other threads when it ends: a conductor told to go would hang.
        # SQLite is safe against its thread's end at any point.
        self._thread.daemon = True

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do work in the thread.

        Raises:
            sqlite3.Error: What SQLite raised; ``store_error`` says what it means.
            Unavailable: The lane is closed.
        """
        execute = cast("Callable[..., Awaitable[Result]]", self._execute)
        if not self._running or self._connection is None:
            raise Unavailable("The database is closed.", "DATABASE_CLOSED")
        return await execute(work, self._connection)

    async def ended(self) -> None:
        """Return when the thread has ended, which it does after a connection that failed."""
        await asyncio.to_thread(self._thread.join)


async def open_lane(path: Path, *, read_only: bool) -> Lane:
    """Open the database, making it where it is missing.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    lane = Lane(partial(_connect, path, read_only=read_only))
    try:
        await lane
    except BaseException:
        await lane.ended()
        raise
    return lane


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        # It holds token hashes: nobody else reads it. SQLite gives its side files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # isolation_level None: we say BEGIN and COMMIT ourselves.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def is_device_trouble(error: Exception) -> bool:
    """Whether SQLite or its disk has failed, rather than that what we asked of it was wrong."""
    # Result codes without a class of their own (corrupt, not a database) are plain DatabaseErrors.
    return isinstance(error, sqlite3.OperationalError | sqlite3.InternalError | OSError) or (
        type(error) is sqlite3.DatabaseError
    )


def store_error(error: Exception) -> ComputeError:
    """What device trouble means to a caller. The store goes on when the cause is gone."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name == "SQLITE_FULL":
        return Exhausted("The database has no space left.", "DATABASE_FULL", str(error))
    return Unavailable(
        "The database cannot be used at the moment.", "DATABASE_UNAVAILABLE", f"{name}: {error}"
    )
