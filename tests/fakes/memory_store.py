"""``ports.store.Store`` in memory: same fencing, same generation and uniqueness rules, no disk.

What a test may do besides: ``fail_next`` makes a commit raise, before or after it took effect (a
lost answer); ``commits`` holds the batches that took effect; ``hold`` keeps commits waiting.
A restart of an actor is a second actor over the same ``MemoryStore``.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from actors.model.errors import AlreadyExists, ComputeError, Expired, Fenced, Internal, Stale
from actors.model.ids import InstanceId, OperationId, ProjectId, partition_of
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import OperationRecord
from actors.model.query import Event, EventBatch
from actors.ports.store import Batch, Put, Table
from actors.store.tables import COLUMNS

#: Columns that no two rows of a table share (the UNIQUE constraints of the first migration).
_UNIQUE: Final[dict[Table, tuple[str, ...]]] = {
    Table.OPERATIONS: ("project", "request_id"),
    Table.PORTS: ("network", "address"),
    Table.FLAVORS: ("name",),
}

Value = tuple[str | int | None, ...]


class MemoryStore:
    """A store for one test. ``partitions`` is what the cluster was made with."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.rows: dict[Table, dict[str, Put]] = {table: {} for table in Table}
        self.epochs: dict[str, int] = {}
        self.events: list[Event] = []
        #: Batches that took effect, oldest first.
        self.commits: list[Batch] = []
        #: Which key holds a unique value.
        self._holders: dict[tuple[Table, Value], str] = {}
        self._sequence = 0
        self._pruned = 0
        self._failures: list[tuple[ComputeError, bool]] = []
        self._loads_refused: list[ComputeError] = []
        self._new_events = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    def __repr__(self) -> str:
        held = {str(table): len(rows) for table, rows in self.rows.items() if rows}
        return f"MemoryStore({held}, {len(self.commits)} commits)"

    # What tests do to it

    def fail_next(self, error: ComputeError, *, after_writing: bool = False) -> None:
        """The next commit raises; ``after_writing``: it took effect, only its answer was lost."""
        self._failures.append((error, after_writing))

    def forget_failures(self) -> None:
        """Commits that were to fail, and have not come, will not."""
        self._failures.clear()

    def refuse_next_load(self, error: ComputeError) -> None:
        """The next ``begin_epoch`` or ``load`` raises."""
        self._loads_refused.append(error)

    def hold(self) -> None:
        """Commits wait from now on."""
        self._open.clear()

    def let_go(self) -> None:
        """Commits go on."""
        self._open.set()

    def prune_events(self, up_to: int) -> None:
        """Forget events up to and including this position."""
        self.events = [event for event in self.events if event.sequence > up_to]
        self._pruned = max(self._pruned, min(up_to, self._sequence))

    # ports.store.Store

    async def begin_epoch(self, writer: str) -> int:
        """A new epoch; older ones are fenced."""
        self._refuse_load()
        self.epochs[writer] = self.epochs.get(writer, 0) + 1
        return self.epochs[writer]

    async def commit(self, batch: Batch) -> None:
        """All or nothing."""
        await self._open.wait()
        if not self._failures:
            self._commit(batch)
            return
        error, after_writing = self._failures.pop(0)
        if after_writing:
            self._commit(batch)
        raise error

    async def load(self, table: Table) -> tuple[str, ...]:
        """Bodies by key."""
        self._refuse_load()
        rows = self.rows[table]
        return tuple(rows[key].body for key in sorted(rows))

    async def find(self, table: Table, key: str) -> str | None:
        row = self.rows[table].get(key)
        return row.body if row else None

    async def load_partition(
        self, partition: int
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """Live instances and unfinished operations of a partition."""
        self._refuse_load()
        instances = tuple(
            record
            for record in self._instances()
            if partition_of(record.id, self.partitions) == partition
            and record.vm_state is not VmState.DELETED
        )
        operations = tuple(
            record
            for record in self._operations()
            if partition_of(record.instance, self.partitions) == partition and not record.done
        )
        return instances, operations

    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        """An instance's operations, oldest first."""
        mine = (record for record in self._operations() if record.instance == instance)
        return tuple(sorted(mine, key=lambda record: record.sequence))

    async def find_instance(self, instance: InstanceId) -> InstanceRecord | None:
        """One instance, deleted or not."""
        row = self.rows[Table.INSTANCES].get(instance)
        return InstanceRecord.model_validate_json(row.body) if row else None

    async def find_operation(self, operation: OperationId) -> OperationRecord | None:
        """One operation."""
        row = self.rows[Table.OPERATIONS].get(operation)
        return OperationRecord.model_validate_json(row.body) if row else None

    async def find_request(self, project: ProjectId, request_id: str) -> OperationRecord | None:
        """The operation that a request made."""
        key = self._holders.get((Table.OPERATIONS, (project, request_id)))
        return await self.find_operation(OperationId(key)) if key else None

    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        """Newest first, behind ``before``."""
        behind = (datetime.fromisoformat(before[0]), before[1]) if before else None
        found = [
            record
            for record in self._operations()
            if (project is None or record.project == project)
            and (behind is None or (record.created, record.id) < behind)
        ]
        found.sort(key=lambda record: (record.created, record.id), reverse=True)
        return tuple(found[:limit])

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """Events behind a position; waits for the first."""
        if sequence < 0:
            return EventBatch((), self._sequence)
        if sequence < self._pruned:
            raise Expired(f"Events up to {self._pruned} are gone. List again and watch from there.")
        if sequence >= self._sequence and wait_seconds > 0:
            self._new_events.clear()
            try:
                await asyncio.wait_for(self._new_events.wait(), wait_seconds)
            except TimeoutError:
                return EventBatch((), sequence)
        found = tuple(event for event in self.events if event.sequence > sequence)[:limit]
        return EventBatch(found, found[-1].sequence if found else sequence)

    # Inside

    def _refuse_load(self) -> None:
        if self._loads_refused:
            raise self._loads_refused.pop(0)

    def _instances(self) -> Iterable[InstanceRecord]:
        rows = self.rows[Table.INSTANCES]
        return (InstanceRecord.model_validate_json(rows[key].body) for key in sorted(rows))

    def _operations(self) -> Iterable[OperationRecord]:
        rows = self.rows[Table.OPERATIONS]
        return (OperationRecord.model_validate_json(rows[key].body) for key in sorted(rows))

    def _commit(self, batch: Batch) -> None:
        if self.epochs.get(batch.writer) != batch.epoch:
            raise Fenced(
                "This process was replaced.",
                detail=f"{batch.writer} wrote with epoch {batch.epoch}, "
                f"the store has {self.epochs.get(batch.writer)}",
            )
        lasting = [put for put in batch.puts if put.table is not Table.EVICTIONS]
        if lasting and all(self._is_stored(put) for put in lasting):
            return  # written before, and its answer was lost
        before = [(put.table, put.key, self._row(put.table, put.key)) for put in batch.puts]
        try:
            for put in batch.puts:
                self._put(put)
        except ComputeError:
            for table, key, row in reversed(before):
                self._set(table, key, row)
            raise
        for gone in batch.removes:
            self._set(gone.table, gone.key, None)
        self.commits.append(batch)
        self._append(batch.events)

    def _put(self, put: Put) -> None:
        stored = self._row(put.table, put.key)
        follows = stored.generation if stored else 0
        if put.generation != follows + 1:
            raise Stale(
                "It was changed by somebody else meanwhile.",
                detail=f"{put.table} {put.key}: generation {put.generation} was offered, "
                f"the stored one is {follows}",
            )
        if len(put.columns) != len(COLUMNS[put.table].names):
            raise Internal("An internal error occurred.", "BAD_BATCH", f"columns of {put}")
        if self._holders.get((put.table, _unique(put)), put.key) != put.key:
            raise AlreadyExists(
                "A name, an address or a request id is already in use.",
                detail=f"{put.table} {put.key}: {_unique(put)}",
            )
        self._set(put.table, put.key, put)

    def _row(self, table: Table, key: str) -> Put | None:
        return self.rows[table].get(key)

    def _is_stored(self, put: Put) -> bool:
        row = self._row(put.table, put.key)
        return row is not None and (row.generation, row.body) == (put.generation, put.body)

    def _set(self, table: Table, key: str, row: Put | None) -> None:
        gone = self.rows[table].pop(key, None)
        if gone is not None:
            self._holders.pop((table, _unique(gone)), None)
        if row is not None:
            self.rows[table][key] = row
            if table in _UNIQUE:
                self._holders[table, _unique(row)] = key

    def _append(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._sequence += 1
            self.events.append(replace(event, sequence=self._sequence))
        if events:
            self._new_events.set()


def _unique(put: Put) -> Value:
    names = COLUMNS[put.table].names
    return tuple(put.columns[names.index(name)] for name in _UNIQUE.get(put.table, ()))
