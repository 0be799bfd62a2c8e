"""``actors.ports.store.Store`` over one SQLite file.

One connection writes, groups at a time (``commits``, ``group``); another reads, so that a long list
never holds up a commit.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from actors.model.errors import Expired, Invalid
from actors.model.ids import HostId, InstanceId, OperationId, ProjectId
from actors.model.instance import InstanceRecord
from actors.model.operation import OperationRecord
from actors.model.query import Event, EventBatch
from actors.model.reply import Err, Ok, Reply
from actors.ports.store import Batch, Eviction, Table
from actors.store import reads
from actors.store.commits import CommitQueue
from actors.store.events import RECENT, EventLog
from actors.store.group import CONDUCTOR, GroupWriter
from actors.store.lane import Lane, is_device_trouble, open_lane, store_error
from actors.store.migrate import migrate, migrations
from actors.store.sql import SET_EPOCH, read_epoch, read_events
from actors.store.tables import instant_text

Result = TypeVar("Result")

#: Events kept in the database.
KEEP_EVENTS: Final = 20_000
#: The largest answer to one question.
MAX_ROWS: Final = 1000

_SETTING: Final = "SELECT value FROM settings WHERE name = ?"
_ADD_SETTING: Final = "INSERT INTO settings (name, value) VALUES (?, ?)"
_OK: Final = Ok(None)


@dataclass(frozen=True, slots=True)
class _Start:
    """What the database says when a conductor takes it over."""

    epoch: int
    epochs: dict[str, int]
    recent: tuple[Event, ...]
    last: int
    pruned: int


class SqliteStore:
    """The record. Made by ``open``; from then on every older store on the file is fenced."""

    def __init__(
        self, writer: Lane, reader: Lane, start: _Start, partitions: int, keep_events: int
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._partitions = partitions
        self._epoch = start.epoch
        self._log = EventLog(start.recent, start.last, start.pruned)
        group_writer = GroupWriter(start.epoch, start.last, start.pruned, keep_events)
        self._queue = CommitQueue(writer, group_writer, self._log, start.epochs)

    @classmethod
    async def open(
        cls, path: Path, partitions: int, keep_events: int = KEEP_EVENTS
    ) -> "SqliteStore":
        """Open the database and take it over.

        Raises:
            Invalid: The number of partitions is not the one the cluster was made with.
            Unavailable: The database is newer than this program, or cannot be opened.
            Exhausted: The disk is full.
        """
        if partitions < 1 or keep_events < 1:
            raise Invalid("Partitions and kept events must be 1 or more.", "INVALID_SETTING")
        async with AsyncExitStack() as opened:
            try:
                writer = await open_lane(path, read_only=False)
                opened.push_async_callback(writer.close)
                start = await writer.run(partial(_take_over, partitions=partitions))
                reader = await open_lane(path, read_only=True)
                opened.push_async_callback(reader.close)
            except Exception as error:
                if is_device_trouble(error):
                    raise store_error(error) from error
                raise
            opened.pop_all()
            return cls(writer, reader, start, partitions, keep_events)

    async def close(self) -> None:
        """Finish what was begun, and close."""
        await self._queue.flush()
        await self._writer.close()
        await self._reader.close()

    @property
    def epoch(self) -> int:
        """The conductor's own."""
        return self._epoch

    @property
    def partitions(self) -> int:
        """How many InstanceActors share the instances. Fixed when the cluster is made."""
        return self._partitions

    async def begin_epoch(self, writer: str) -> int:
        """As ``Store.begin_epoch``."""
        if writer == CONDUCTOR or not writer:
            raise Invalid(f"No writer may be called {writer!r}.", "INVALID_WRITER")
        return await self._queue.begin_epoch(writer)

    async def commit(self, batch: Batch) -> None:
        """As ``Store.commit``.

        A batch whose rows are all stored just so was written before and is answered as written:
        after an ``Unavailable`` the same batch can be sent again.

        Raises:
            TooLarge: The batch, or one record of it, is larger than any sane one.
            Exhausted: The disk is full; nothing is written.
            Unavailable: The disk failed, or this conductor was replaced.
        """
        (refusal,) = await self._queue.commit((batch,))
        if refusal is not None:
            raise refusal

    async def commit_many(self, batches: Sequence[Batch]) -> tuple[Reply[None], ...]:
        """Commit each batch, all at once. Each stands or falls alone."""
        refusals = await self._queue.commit(batches)
        return tuple(_OK if refusal is None else Err(refusal) for refusal in refusals)

    async def load(self, table: Table) -> tuple[str, ...]:
        """As ``Store.load``."""
        return await self._read(partial(reads.bodies, table=table))

    async def find(self, table: Table, key: str) -> str | None:
        """As ``Store.find``."""
        return await self._read(partial(reads.body, table=table, key=key))

    async def load_partition(
        self, partition: int
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """As ``Store.load_partition``."""
        return await self._read(partial(reads.partition, number=partition))

    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        """As ``Store.load_operations``."""
        return await self._read(partial(reads.operations_of, instance=instance))

    async def find_instance(self, instance: InstanceId) -> InstanceRecord | None:
        """As ``Store.find_instance``."""
        return await self._read(partial(reads.instance, key=instance))

    async def find_operation(self, operation: OperationId) -> OperationRecord | None:
        """As ``Store.find_operation``."""
        return await self._read(partial(reads.operation, key=operation))

    async def find_request(self, project: ProjectId, request_id: str) -> OperationRecord | None:
        """As ``Store.find_request``."""
        return await self._read(partial(reads.request, project=project, request_id=request_id))

    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        """As ``Store.find_operations``."""
        if before is not None:
            before = (_column_text(before[0]), before[1])
        limit = max(1, min(limit, MAX_ROWS))
        return await self._read(
            partial(reads.operations_before, project=project, before=before, limit=limit)
        )

    async def evictions(self, host_id: HostId) -> tuple[Eviction, ...]:
        """What a host must remove when it returns."""
        return await self._read(partial(reads.evictions, host_id=host_id))

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """As ``Store.events_after``."""
        log = self._log
        if sequence < 0:
            return EventBatch((), log.last)
        log.check(sequence)
        await log.wait(sequence, wait_seconds)
        limit = max(1, min(limit, MAX_ROWS))
        events = log.after(sequence, limit)
        if events is None:
            events = await self._read(partial(read_events, sequence=sequence, limit=limit))
            # Sequences have no gaps: if the next one is missing, it was pruned while we waited.
            if not events or events[0].sequence != sequence + 1:
                raise Expired(
                    "This position in the event stream is no longer known. List again and watch"
                    " from there.",
                    "POSITION_EXPIRED",
                )
        return EventBatch(events, events[-1].sequence if events else sequence)

    async def _read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return await self._reader.run(work)
        except Exception as error:
            if is_device_trouble(error):
                raise store_error(error) from error
            raise


def _column_text(instant: str) -> str:
    try:
        return instant_text(datetime.fromisoformat(instant))
    except ValueError as error:
        raise Invalid(f"{instant!r} is no instant.", "INVALID_CURSOR", str(error)) from None


def _take_over(db: sqlite3.Connection, partitions: int) -> _Start:
    """Bring the schema up to date and begin a new epoch of the conductor."""
    migrate(db, migrations())
    db.execute("BEGIN IMMEDIATE")
    try:
        _check_partitions(db, partitions)
        epoch = read_epoch(db, CONDUCTOR) + 1
        db.execute(SET_EPOCH, (CONDUCTOR, epoch))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    # From here on no older conductor writes: what is read now stays true.
    (last,) = db.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
    ).fetchone()
    (first,) = db.execute("SELECT min(seq) FROM events").fetchone()
    return _Start(
        epoch=epoch,
        epochs=dict(db.execute("SELECT name, epoch FROM writers")),
        recent=read_events(db, last - RECENT, RECENT),
        last=last,
        pruned=last if first is None else first - 1,
    )


def _check_partitions(db: sqlite3.Connection, partitions: int) -> None:
    row = db.execute(_SETTING, ("partitions",)).fetchone()
    if row is None:
        db.execute(_ADD_SETTING, ("partitions", str(partitions)))
    elif row[0] != str(partitions):
        raise Invalid(
            f"This cluster was made with {row[0]} partitions, not {partitions}: the number cannot"
            " change.",
            "PARTITIONS_DIFFER",
        )
