"""The statements, built once from the declared columns, and how events lie in their table."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from actors.model.ids import ProjectId
from actors.model.query import Event, EventKind
from actors.store.tables import COLUMNS, Columns, instant_text


@dataclass(frozen=True, slots=True)
class Statements:
    """One table's. A row is (key, columns…, body, generation), for insert and update alike."""

    #: Changes no row where the key exists.
    insert: str
    #: Changes no row unless the generation follows the stored one.
    update: str
    remove: str
    #: The generation and the body under a key.
    stored: str
    #: All bodies, by key.
    bodies: str


def _statements(table: str, columns: Columns) -> Statements:
    names = (columns.key, *columns.names, "body", "generation")
    # Numbered: an update leaves out the fixed columns of the same row. The generation stands last,
    # because SQLite counts parameters up to the highest number that is used.
    number = {name: f"?{n}" for n, name in enumerate(names, 1)}
    settings = ", ".join(f"{c} = {number[c]}" for c in (*columns.changing, "body", "generation"))
    key = columns.key
    # No text from outside: names are those declared in tables.py.
    return Statements(
        insert=f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(number.values())})"  # noqa: S608
        f" ON CONFLICT ({key}) DO NOTHING",
        update=f"UPDATE {table} SET {settings}"  # noqa: S608
        f" WHERE {key} = ?1 AND generation = {number['generation']} - 1",
        remove=f"DELETE FROM {table} WHERE {key} = ?1",  # noqa: S608
        stored=f"SELECT generation, body FROM {table} WHERE {key} = ?1",  # noqa: S608
        bodies=f"SELECT body FROM {table} ORDER BY {key}",  # noqa: S608
    )


STATEMENTS: Final[Mapping[str, Statements]] = MappingProxyType(
    {table: _statements(table, columns) for table, columns in COLUMNS.items()}
)

SET_EPOCH: Final = """
INSERT INTO writers (name, epoch) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch
"""
INSERT_EVENT: Final = """
INSERT INTO events (seq, at, project, kind, id, generation, body) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
PRUNE_EVENTS: Final = "DELETE FROM events WHERE seq <= ?"

_EVENTS_AFTER: Final = """
SELECT seq, at, project, kind, id, generation, body FROM events
WHERE seq > ? ORDER BY seq LIMIT ?
"""


def read_epoch(db: sqlite3.Connection, writer: str) -> int:
    """The newest epoch of a writer; 0 where there was none."""
    row = db.execute("SELECT epoch FROM writers WHERE name = ?", (writer,)).fetchone()
    return 0 if row is None else int(row[0])


def event_row(event: Event) -> tuple[str | int, ...]:
    """For ``INSERT_EVENT``."""
    return (
        event.sequence,
        instant_text(event.at),
        event.project,
        event.kind.value,
        event.id,
        event.generation,
        event.body,
    )


def read_events(db: sqlite3.Connection, sequence: int, limit: int) -> tuple[Event, ...]:
    """The first events behind a position."""
    return tuple(
        Event(
            seq,
            datetime.fromisoformat(at),
            ProjectId(project),
            EventKind(kind),
            key,
            generation,
            body,
        )
        for seq, at, project, kind, key, generation, body in db.execute(
            _EVENTS_AFTER, (sequence, limit)
        )
    )
