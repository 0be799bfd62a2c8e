"""Brings a database to this program's schema.

Numbered SQL files, each applied once and never edited afterwards.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from actors.model.errors import Unavailable

_NAME: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the text, to notice a file that was edited after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """This program's migrations, in order."""
    folder = resources.files("actors.store").joinpath("migrations")
    found = (
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := _NAME.match(file.name))
    )
    return tuple(sorted(found, key=lambda migration: migration.number))


def migrate(db: sqlite3.Connection, known: Sequence[Migration]) -> None:
    """Apply what is missing, all in one transaction.

    Raises:
        Unavailable: The database is newer than this program, or was made from other files.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        applied = _applied(db)
        _check(applied, known)
        for migration in known:
            if migration.number not in applied:
                _apply(db, migration)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _applied(db: sqlite3.Connection) -> dict[int, str]:
    db.execute(_JOURNAL)
    return dict(db.execute("SELECT number, sha256 FROM migrations"))


def _check(applied: dict[int, str], known: Sequence[Migration]) -> None:
    newest = max((migration.number for migration in known), default=0)
    if applied and max(applied) > newest:
        raise Unavailable(
            "The database was written by a newer release. Start that release.",
            "DATABASE_TOO_NEW",
            f"the database has schema {max(applied)}, this program knows {newest}",
        )
    for migration in known:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise Unavailable(
                "The database was made with a different schema.",
                "DATABASE_DIFFERS",
                f"{migration.name} was edited after it had been applied",
            )


def _apply(db: sqlite3.Connection, migration: Migration) -> None:
    # Not executescript: it would commit the transaction first.
    for statement in _statements(migration.sql):
        db.execute(statement)
    db.execute(
        "INSERT INTO migrations (number, name, sha256, applied)"
        " VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
        (migration.number, migration.name, migration.sha256),
    )


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for piece in re.split(r"(?<=;)", sql):
        statement += piece
        # A semicolon inside a comment or a text does not end a statement.
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement
