"""What is read from the database: loads of starting actors, and look-ups of single operations.

Blocking code, run in the reader's thread; it sees all that was committed before it began.
"""

import logging
import sqlite3
from collections.abc import Iterable
from typing import Final, TypeVar

from actors.model.base import StoredRecord
from actors.model.ids import HostId, InstanceId, OperationId, ProjectId
from actors.model.instance import InstanceRecord
from actors.model.operation import OperationRecord
from actors.ports.store import Eviction, Table
from actors.store.sql import STATEMENTS

_log = logging.getLogger(__name__)

Stored = TypeVar("Stored", bound=StoredRecord)

_LIVING: Final = "SELECT id, body FROM instances WHERE partition = ? AND deleted = 0 ORDER BY id"
_UNFINISHED: Final = "SELECT id, body FROM operations WHERE partition = ? AND done = 0 ORDER BY id"
# By the key, which begins with the instance's id and a dot; a slash comes next after the dot.
_OF_INSTANCE: Final = (
    "SELECT id, body FROM operations WHERE id >= ? || '.' AND id < ? || '/' ORDER BY sequence"
)
_INSTANCE: Final = "SELECT id, body FROM instances WHERE id = ?"
_OPERATION: Final = "SELECT id, body FROM operations WHERE id = ?"
_REQUEST: Final = "SELECT id, body FROM operations WHERE project = ? AND request_id = ?"
_NEWEST: Final = (
    "SELECT id, body FROM operations WHERE (created, id) < (?, ?)"
    " ORDER BY created DESC, id DESC LIMIT ?"
)
_NEWEST_OF_PROJECT: Final = (
    "SELECT id, body FROM operations WHERE project = ? AND (created, id) < (?, ?)"
    " ORDER BY created DESC, id DESC LIMIT ?"
)
_EVICTIONS: Final = "SELECT id, body FROM evictions WHERE host_id = ? ORDER BY id"

#: Behind every instant: the position of one who has seen nothing yet.
_FUTURE: Final = ("~", "")


def bodies(db: sqlite3.Connection, table: Table) -> tuple[str, ...]:
    """All of a table."""
    return tuple(body for (body,) in db.execute(STATEMENTS[table].bodies))


def body(db: sqlite3.Connection, table: Table, key: str) -> str | None:
    """One row."""
    row = db.execute(STATEMENTS[table].stored, (key,)).fetchone()
    return None if row is None else str(row[1])


def partition(
    db: sqlite3.Connection, number: int
) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
    """Instances that are not deleted, and unfinished operations, as of one moment."""
    # One read transaction: no commit falls between the two.
    db.execute("BEGIN")
    try:
        instances = db.execute(_LIVING, (number,)).fetchall()
        operations = db.execute(_UNFINISHED, (number,)).fetchall()
    finally:
        db.execute("COMMIT")
    return _records(InstanceRecord, instances), _records(OperationRecord, operations)


def operations_of(db: sqlite3.Connection, instance: InstanceId) -> tuple[OperationRecord, ...]:
    """All operations of an instance, oldest first."""
    return _records(OperationRecord, db.execute(_OF_INSTANCE, (instance, instance)))


def instance(db: sqlite3.Connection, key: InstanceId) -> InstanceRecord | None:
    """One instance, deleted or not."""
    return next(iter(_records(InstanceRecord, db.execute(_INSTANCE, (key,)))), None)


def operation(db: sqlite3.Connection, key: OperationId) -> OperationRecord | None:
    """One operation."""
    return next(iter(_records(OperationRecord, db.execute(_OPERATION, (key,)))), None)


def request(db: sqlite3.Connection, project: ProjectId, request_id: str) -> OperationRecord | None:
    """The operation that a request made."""
    found = db.execute(_REQUEST, (project, request_id))
    return next(iter(_records(OperationRecord, found)), None)


def operations_before(
    db: sqlite3.Connection, project: ProjectId | None, before: tuple[str, str] | None, limit: int
) -> tuple[OperationRecord, ...]:
    """Operations newest first, behind a position (created as ``instant_text``, id)."""
    created, key = before or _FUTURE
    if project is None:
        found = db.execute(_NEWEST, (created, key, limit))
    else:
        found = db.execute(_NEWEST_OF_PROJECT, (project, created, key, limit))
    return _records(OperationRecord, found)


def evictions(db: sqlite3.Connection, host_id: HostId) -> tuple[Eviction, ...]:
    """What a host must remove."""
    return _records(Eviction, db.execute(_EVICTIONS, (host_id,)))


def _records(kind: type[Stored], rows: Iterable[tuple[str, str]]) -> tuple[Stored, ...]:
    records = []
    for key, body in rows:
        try:
            records.append(kind.model_validate_json(body))
        except ValueError:
            # One row that cannot be read must not keep a whole partition from starting. Nothing
            # is done to what it stands for: a domain is only ever destroyed for a recorded reason.
            _log.exception("%s %s cannot be read and is left out", kind.__name__, key)
    return tuple(records)
