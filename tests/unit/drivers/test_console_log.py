"""A console log in several files reads as one text."""

from pathlib import Path

import pytest

from actors.drivers.console_log import read_console_log
from actors.model.errors import NotFound
from actors.model.ids import InstanceId
from actors.model.query import ConsoleOutput

ME = InstanceId("7d4b3a52-9f0e-5d7c-8a41-3c1f0a2b4c6d")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """``abcdefghij``, rotated three times; the newest file has just been begun."""
    path = tmp_path / "console.log"
    for name, text in (
        ("console.log.10", "ab"),
        ("console.log.2", "cde"),
        ("console.log.0", "fghi"),
        ("console.log", "j"),
        ("console.log.old", "no number"),
        ("console.log.", "no number"),
    ):
        (tmp_path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("offset", "limit", "data", "following"),
    [
        (0, 100, b"abcdefghij", 10),
        (0, 4, b"abcd", 4),
        (4, 4, b"efgh", 8),
        (8, 4, b"ij", 10),
        (9, 1, b"j", 10),
        (-3, 100, b"hij", 10),
        (-100, 3, b"abc", 3),
        (10, 5, b"", 10),
        (99, 5, b"", 10),
        (2, 0, b"", 2),
    ],
)
def test_offsets_count_over_all_files(
    log: Path, offset: int, limit: int, data: bytes, following: int
) -> None:
    assert read_console_log(log, ME, offset, limit) == ConsoleOutput(
        data=data, next_offset=following
    )


@pytest.mark.parametrize("limit", [-1, 1 << 40])
def test_no_answer_is_over_the_limit(log: Path, limit: int) -> None:
    assert len(read_console_log(log, ME, 0, limit, most=6).data) == max(0, min(limit, 6))


def test_pieces_make_the_whole_while_it_is_written(log: Path) -> None:
    first = read_console_log(log, ME, 0, 100)
    with log.open("a") as file:
        file.write("kl")
    log.with_name("console.log.0").rename(log.with_name("console.log.1"))
    log.rename(log.with_name("console.log.0"))
    log.write_text("m")
    assert read_console_log(log, ME, first.next_offset, 100).data == b"klm"


def test_between_two_renames_there_is_no_newest_file(log: Path) -> None:
    log.unlink()
    assert read_console_log(log, ME, 0, 100).data == b"abcdefghi"


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        read_console_log(tmp_path / "console.log", ME, 0, 1)
    assert missing.value.reason == "CONSOLE_NOT_FOUND"
