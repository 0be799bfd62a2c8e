"""One database for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.store.sqlite import SqliteStore
from tests.unit.store.records import WRITER, open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "novaray.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """A store in which ``WRITER`` has begun epoch 1."""
    opened = await open_store(path)
    assert await opened.begin_epoch(WRITER) == 1
    yield opened
    await opened.close()
