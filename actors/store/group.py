"""Writes a group of batches in one transaction: one wait for the disk serves them all.

Blocking code, run in the writer's thread. Each batch stands or falls alone. First the whole group
is tried at once, a few statements for each table; that is exact, because whatever the order of
the batches could change (a key removed and made again, a unique value handed on) makes the try
fail. Then the transaction is rolled back and done again batch by batch, with savepoints.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.model.errors import AlreadyExists, ComputeError, Internal, Stale, Unavailable
from actors.model.query import Event
from actors.ports.store import Batch, Put, Table
from actors.store.lane import is_device_trouble
from actors.store.sql import (
    INSERT_EVENT,
    PRUNE_EVENTS,
    SET_EPOCH,
    STATEMENTS,
    event_row,
    read_epoch,
)

#: The name the conductor itself writes under.
CONDUCTOR: Final = "conductor"

#: Events are pruned in chunks of about this many, so that most groups prune nothing.
PRUNE_CHUNK: Final = 256

#: No generation follows this one: the key cannot be put again within the group.
_REMOVED: Final = -2

Row = tuple[str | int | None, ...]
#: For each batch None or why it was refused, and the events of those that were written.
_Outcome = tuple[list[ComputeError | None], list[Event]]


@dataclass(frozen=True, slots=True)
class Group:
    """What goes to disk together: new epochs of writers, then batches in the order they came."""

    epochs: Sequence[tuple[str, int]]
    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a group: for each batch None or why it was refused."""

    refusals: Sequence[ComputeError | None]
    #: With their sequences, of the batches that were written.
    events: Sequence[Event]
    #: Events up to this sequence are gone.
    pruned: int


class _Misfit(Exception):
    """The group cannot be written as a whole."""


@dataclass(slots=True)
class _Work:
    """What a group does to one table."""

    inserts: list[Row] = field(default_factory=list)
    updates: list[Row] = field(default_factory=list)
    removes: list[tuple[str]] = field(default_factory=list)
    #: The newest generation each key has within the group.
    seen: dict[str, int] = field(default_factory=dict)


class GroupWriter:
    """Writes groups and numbers their events. Used by the writer's thread only."""

    def __init__(self, epoch: int, sequence: int, pruned: int, keep_events: int) -> None:
        self._epoch = epoch
        self._sequence = sequence
        self._pruned = pruned
        self._keep_events = keep_events

    def write(self, db: sqlite3.Connection, group: Group) -> Written:
        """Return when the group is on disk.

        Raises:
            Unavailable: A newer conductor has taken over; nothing was written.
            sqlite3.Error: SQLite or the disk failed; all is rolled back.
        """
        try:
            return self._transaction(db, group, _write_together)
        except _Misfit:
            return self._transaction(db, group, _write_one_by_one)

    def _transaction(
        self,
        db: sqlite3.Connection,
        group: Group,
        write: Callable[[sqlite3.Connection, Sequence[Batch], int], _Outcome],
    ) -> Written:
        db.execute("BEGIN IMMEDIATE")
        try:
            self._check_epoch(db)
            if group.epochs:
                db.executemany(SET_EPOCH, group.epochs)
            refusals, events = write(db, group.batches, self._sequence + 1)
            pruned = self._prune(db, len(events))
            db.execute("COMMIT")
        except BaseException:
            # On some errors (a full disk) SQLite has rolled back by itself.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        # Only now: numbers of a group that failed are given out again, so there are no gaps.
        self._sequence += len(events)
        self._pruned = pruned
        return Written(refusals, events, pruned)

    def _check_epoch(self, db: sqlite3.Connection) -> None:
        # Within the transaction: a conductor that starts meanwhile waits for our commit, and then
        # reads what we wrote.
        newest = read_epoch(db, CONDUCTOR)
        if newest != self._epoch:
            raise Unavailable(
                "The conductor was replaced. Call again.",
                "CONDUCTOR_REPLACED",
                f"this process has epoch {self._epoch}, the newest is {newest}",
            )

    def _prune(self, db: sqlite3.Connection, added: int) -> int:
        surplus = self._sequence + added - self._pruned - self._keep_events
        if surplus < PRUNE_CHUNK:
            return self._pruned
        # A limit much lower than the last run's is reached over several groups.
        pruned = self._pruned + min(surplus, 4 * PRUNE_CHUNK)
        db.execute(PRUNE_EVENTS, (pruned,))
        return pruned


def _numbered(events: Iterable[Event], first: int) -> list[Event]:
    return [
        Event(n, event.at, event.project, event.kind, event.id, event.generation, event.body)
        for n, event in enumerate(events, first)
    ]


def _write_together(db: sqlite3.Connection, batches: Sequence[Batch], first: int) -> _Outcome:
    try:
        for table, work in _gather(batches).items():
            _write_table(db, table, work)
        events = _numbered((event for batch in batches for event in batch.events), first)
        if events:
            db.executemany(INSERT_EVENT, map(event_row, events))
    except Exception as error:
        if is_device_trouble(error):
            raise
        # Some batch asks for what cannot be: a value taken, a column too many. Find out which.
        raise _Misfit from None
    return [None] * len(batches), events


def _gather(batches: Sequence[Batch]) -> dict[str, _Work]:
    tables: dict[str, _Work] = {}
    for batch in batches:
        for put in batch.puts:
            _gather_put(tables, put)
        for remove in batch.removes:
            work = tables.get(remove.table) or tables.setdefault(remove.table, _Work())
            work.seen[remove.key] = _REMOVED
            work.removes.append((remove.key,))
    return tables


def _gather_put(tables: dict[str, _Work], put: Put) -> None:
    work = tables.get(put.table) or tables.setdefault(put.table, _Work())
    generation = put.generation
    before = work.seen.get(put.key)
    if before is not None and generation != before + 1:
        raise _Misfit
    work.seen[put.key] = generation
    rows = work.inserts if generation == 1 else work.updates
    rows.append((put.key, *put.columns, put.body, generation))


def _write_table(db: sqlite3.Connection, table: str, work: _Work) -> None:
    # Removes stand last: what they free must not make room for a batch that came before them.
    sql = STATEMENTS[table]
    if work.inserts and db.executemany(sql.insert, work.inserts).rowcount != len(work.inserts):
        raise _Misfit
    if work.updates and db.executemany(sql.update, work.updates).rowcount != len(work.updates):
        raise _Misfit
    if work.removes:
        db.executemany(sql.remove, work.removes)


def _write_one_by_one(db: sqlite3.Connection, batches: Sequence[Batch], first: int) -> _Outcome:
    refusals: list[ComputeError | None] = []
    events: list[Event] = []
    for batch in batches:
        db.execute("SAVEPOINT batch")
        try:
            events += _write_alone(db, batch, first + len(events))
            refusals.append(None)
        except Exception as error:
            if is_device_trouble(error):
                raise
            db.execute("ROLLBACK TO batch")
            refusals.append(_refusal(error))
        db.execute("RELEASE batch")
    return refusals, events


def _write_alone(db: sqlite3.Connection, batch: Batch, first: int) -> list[Event]:
    # An eviction tells nothing: its host may have carried it out and taken it away since.
    lasting = [put for put in batch.puts if put.table is not Table.EVICTIONS]
    if lasting and all(_is_stored(db, put) for put in lasting):
        # Written before, and its answer was lost with the conductor that gave it. The writer's
        # epoch is still good, so it is the same process that asks again.
        return []
    for put in batch.puts:
        _put_alone(db, put)
    for remove in batch.removes:
        db.execute(STATEMENTS[remove.table].remove, (remove.key,))
    events = _numbered(batch.events, first)
    db.executemany(INSERT_EVENT, map(event_row, events))
    return events


def _refusal(error: Exception) -> ComputeError:
    if isinstance(error, ComputeError):
        return error
    # A column of the wrong type or number, text that is not Unicode: the caller has a bug.
    return Internal("An internal error occurred.", "BAD_BATCH", repr(error))


def _is_stored(db: sqlite3.Connection, put: Put) -> bool:
    row = db.execute(STATEMENTS[put.table].stored, (put.key,)).fetchone()
    return row is not None and row == (put.generation, put.body)


def _put_alone(db: sqlite3.Connection, put: Put) -> None:
    sql = STATEMENTS[put.table]
    statement = sql.insert if put.generation == 1 else sql.update
    row = (put.key, *put.columns, put.body, put.generation)
    try:
        changed = db.execute(statement, row).rowcount
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
            raise
        raise AlreadyExists(
            "A name, an address or a request id is already in use.",
            "ALREADY_EXISTS",
            f"{put.table} {put.key}: {error}",
        ) from None
    if changed != 1:
        raise _stale(db, put)


def _stale(db: sqlite3.Connection, put: Put) -> Stale:
    row = db.execute(STATEMENTS[put.table].stored, (put.key,)).fetchone()
    stored = "there is none" if row is None else f"the stored one is {row[0]}"
    return Stale(
        "It was changed by somebody else meanwhile.",
        "STALE_GENERATION",
        f"{put.table} {put.key}: generation {put.generation} was offered, {stored}",
    )
