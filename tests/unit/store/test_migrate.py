"""Migrations are applied once, and a database this program does not understand is left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.model.errors import Unavailable
from actors.store.migrate import Migration, migrate, migrations
from actors.store.tables import COLUMNS

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (id TEXT);\n-- a note; with a semicolon\n")
TWO = Migration(2, "0002_two.sql", "CREATE TABLE two (id TEXT);\nCREATE INDEX i ON two (id);")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "db", isolation_level=None)
    yield connection
    connection.close()


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_each_is_applied_once_and_recorded(db: sqlite3.Connection) -> None:
    migrate(db, (ONE,))
    migrate(db, (ONE,))
    migrate(db, (ONE, TWO))
    migrate(db, (ONE, TWO))
    assert {"one", "two"} <= tables(db)
    assert db.execute("SELECT number, name, sha256 FROM migrations").fetchall() == [
        (1, "0001_one.sql", ONE.sha256),
        (2, "0002_two.sql", TWO.sha256),
    ]


def test_a_newer_database_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, (ONE, TWO))
    with pytest.raises(Unavailable, match="newer release") as refused:
        migrate(db, (ONE,))
    assert refused.value.reason == "DATABASE_TOO_NEW"
    assert not db.in_transaction


def test_a_file_edited_after_it_was_applied_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, (ONE,))
    edited = Migration(1, ONE.name, ONE.sql + "CREATE TABLE more (id TEXT);")
    with pytest.raises(Unavailable, match="different schema"):
        migrate(db, (edited,))


def test_one_that_fails_leaves_nothing(db: sqlite3.Connection) -> None:
    broken = Migration(2, "0002_broken.sql", "CREATE TABLE two (id TEXT); CREATE TABLE two (id);")
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, (ONE, broken))
    assert tables(db) == set()
    migrate(db, (ONE, TWO))
    assert {"one", "two"} <= tables(db)


def test_numbers_follow_each_other() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))


def test_the_schema_has_the_declared_columns(db: sqlite3.Connection) -> None:
    migrate(db, migrations())
    for table, columns in COLUMNS.items():
        found = db.execute("SELECT name, pk FROM pragma_table_info(?)", (table.value,)).fetchall()
        declared = {columns.key, "generation", "body", *columns.names}
        assert {name for name, _ in found} == declared, table
        assert [name for name, pk in found if pk] == [columns.key], table
