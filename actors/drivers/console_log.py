"""A guest's console log: one text, although virtlogd keeps it in several files.

``console.log`` is what is being written; when it is full, virtlogd renames it to
``console.log.0``, that one to ``console.log.1`` and so on, and drops the last (virtlogd.conf:
``max_size``, ``max_backups``). Offsets count from the first byte that is still kept.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from actors.model.errors import NotFound
from actors.model.ids import InstanceId
from actors.model.query import ConsoleOutput

#: At most so many bytes in one answer.
LIMIT: Final = 1 << 20
#: A rotation is three renames in a row: who comes in between looks once more.
_TRIES: Final = 5


def read_console_log(
    path: Path, instance: InstanceId, offset: int, limit: int, most: int = LIMIT
) -> ConsoleOutput:
    """At most ``limit`` bytes from ``offset``; a negative offset counts from the end.

    Args:
        path: The file that is being written.
        instance: Whose log it is.
        offset: In bytes. One behind the end means the end: something was dropped meanwhile.
        limit: In bytes, not below 0 and not over ``most``; else the nearest of them counts.
        most: The most in one answer.

    Raises:
        NotFound: There is no log.
    """
    with ExitStack() as opened:
        files = _open(path, opened)
        if not files:
            raise NotFound(
                f"Instance {instance} has no console log yet.",
                "CONSOLE_NOT_FOUND",
                str(path),
                {"instance": instance},
            )
        sizes = [file.seek(0, 2) for file in files]
        size = sum(sizes)
        start = max(0, size + offset) if offset < 0 else min(offset, size)
        wanted = max(0, min(limit, most))
        pieces: list[bytes] = []
        begin = 0
        for file, length in zip(files, sizes, strict=True):
            if wanted > 0 and start < begin + length:
                file.seek(max(0, start - begin))
                # No more than it had: what is written meanwhile belongs behind the next file's.
                pieces.append(file.read(min(wanted, begin + length - max(start, begin))))
                wanted -= len(pieces[-1])
            begin += length
    data = b"".join(pieces)
    return ConsoleOutput(data=data, next_offset=start + len(data))


def _open(path: Path, opened: ExitStack) -> list[BinaryIO]:
    """All files of the log, the oldest first, as they were at one moment."""
    files: list[BinaryIO] = []
    for _ in range(_TRIES):
        before = _inode(path)
        files = [file for each in (*_rotated(path), path) if (file := _file(each, opened))]
        if before == _inode(path):
            break
    return files


def _rotated(path: Path) -> list[Path]:
    numbers = [
        int(number)
        for each in path.parent.glob(f"{path.name}.*")
        if (number := each.name.removeprefix(f"{path.name}.")).isdecimal()
    ]
    return [path.with_name(f"{path.name}.{number}") for number in sorted(numbers, reverse=True)]


def _file(path: Path, opened: ExitStack) -> BinaryIO | None:
    try:
        return opened.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
