"""Files named by the SHA-256 of what is in them: how they come into a directory, how they are read.

Blocking code, for threads. A name in such a directory is there or it is not: what is being written
lies under a hidden name of its own until it is complete and on disk.
"""

import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.model.errors import Exhausted, Invalid

#: The largest piece that is read or sent at once.
CHUNK: Final = 4 * 1024 * 1024

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_INCOMING: Final = ".incoming-"
#: ``FICLONE`` (linux/fs.h): the new file shares the old one's blocks, on filesystems that can.
_FICLONE: Final = 0x40049409
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Base files are shared by many disks: nobody writes to them.
_MODE: Final = 0o444


@dataclass(frozen=True, slots=True)
class Incoming:
    """A copy under a hidden name, measured."""

    path: Path
    sha256: str
    size: int


def content_path(directory: Path, sha256: str) -> Path:
    """Where this content lies.

    Raises:
        Invalid: That is no checksum: it never becomes part of a path.
    """
    if not _SHA256.fullmatch(sha256):
        raise Invalid(
            "A checksum has 64 hexadecimal digits in lower case.",
            "INVALID_CHECKSUM",
            repr(sha256)[:200],
            {"sha256": "must be 64 hexadecimal digits"},
        )
    return directory / sha256


@contextmanager
def full_disk_is_exhausted(directory: Path) -> Iterator[None]:
    """A full disk, or a used-up quota, becomes ``Exhausted``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Exhausted(
            "The disk for images is full. Delete images, or give it more room.",
            "DISK_FULL",
            f"{directory}: {error}",
        ) from None


def prepare(directory: Path) -> None:
    """Make the directory, and remove what a crash left half-copied in it."""
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob(f"{_INCOMING}*"):
        leftover.unlink(missing_ok=True)


def take_in(source: str, directory: Path) -> Incoming:
    """Copy a file under a hidden name. Whatever happens to the source later, the copy stays.

    Raises:
        Invalid: There is no such file, it cannot be read, or it is not a plain file.
        Exhausted: The disk is full.
    """
    descriptor, name = tempfile.mkstemp(prefix=_INCOMING, dir=directory)
    try:
        with (
            full_disk_is_exhausted(directory),
            os.fdopen(descriptor, "w+b") as copy,
            _plain_file(source) as original,
        ):
            if not _cloned(original, copy.fileno()):
                while piece := os.read(original, CHUNK):
                    copy.write(piece)
                copy.flush()
            os.fsync(copy.fileno())
            copy.seek(0)
            digest = hashlib.file_digest(copy, "sha256").hexdigest()
            return Incoming(Path(name), digest, os.fstat(copy.fileno()).st_size)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def publish(incoming: Path, final: Path) -> None:
    """Give a complete file its name, for good: it survives a crash of the machine."""
    incoming.chmod(_MODE)
    incoming.replace(final)
    _sync(final.parent)


def publish_link(incoming: Path, final: Path) -> None:
    """As ``publish``, but the file keeps its first name, too. A content that is there stays."""
    incoming.chmod(_MODE)
    with suppress(FileExistsError):
        final.hardlink_to(incoming)
    _sync(final.parent)


def read_piece(path: Path, offset: int, length: int) -> bytes:
    """At most ``length`` bytes, and never more than ``CHUNK``; empty behind the end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, min(length, CHUNK), offset)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _plain_file(source: str) -> Iterator[int]:
    try:
        # Not to hang on a pipe.
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _unreadable(source, str(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(source, "it is not a plain file")
        yield descriptor
    finally:
        os.close(descriptor)


def _unreadable(source: str, why: str) -> Invalid:
    return Invalid(
        f"The file {source!r} cannot be read on the control node: {why}.",
        "IMAGE_FILE_UNREADABLE",
        metadata={"path": why},
    )


def _cloned(original: int, copy: int) -> bool:
    try:
        fcntl.ioctl(copy, _FICLONE, original)
    except OSError:
        return False  # another filesystem, or one that cannot
    return True
