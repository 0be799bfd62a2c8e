"""Uploads on their way: what has come of an image so far, piece by piece, until it is complete.

Blocking code, for threads. Each lies beside the contents as ``.upload-<image>``. Its size is all
there is to know of it: an upload goes on where its file ends, whatever crashed meanwhile.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.drivers.contents import (
    CHUNK,
    Incoming,
    full_disk_is_exhausted,
    publish_link,
)
from actors.model.errors import Conflict, Exhausted, Invalid, TooLarge
from actors.model.ids import ImageId

#: Left free on the disk: the cluster's record may lie on the same one, and must still be written.
RESERVE: Final = 256 * 1024 * 1024

_PREFIX: Final = ".upload-"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Uploads:
    """The unfinished uploads of one directory. One caller at a time for each image."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"Uploads({self._directory})"

    def size(self, image: ImageId) -> int:
        """How many bytes are there, and so where the upload goes on."""
        try:
            return self._path(image).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, image: ImageId, offset: int, data: bytes) -> int:
        """Write a piece at the end, on disk when it returns; where the next one goes.

        A piece that is there already is not written again.

        Raises:
            Invalid: The piece is larger than ``CHUNK``.
            Conflict: It does not begin where the file ends (``UPLOAD_OFFSET``).
            TooLarge: The image would be larger than images may be.
            Exhausted: The disk is full.
        """
        if len(data) > CHUNK:
            raise Invalid(
                f"A piece of an image has at most {CHUNK} bytes.", "IMAGE_PIECE_TOO_LARGE"
            )
        if offset + len(data) > self._max_bytes:
            raise TooLarge(
                f"An image has at most {self._max_bytes} bytes.",
                "IMAGE_TOO_LARGE",
                metadata={"limit": str(self._max_bytes)},
            )
        path = self._path(image)
        with full_disk_is_exhausted(self._directory), path.open("ab", buffering=0) as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            if offset + len(data) <= size:
                return size
            # A second link: its content has been published, and is never written again.
            if offset != size or status.st_nlink > 1:
                raise wrong_offset(image, offset, size)
            self._check_room(len(data))
            try:
                _write(file.fileno(), data)
            except BaseException:
                # Half a piece is no harm, but one that is not on disk for certain is.
                with suppress(OSError):
                    os.ftruncate(file.fileno(), size)
                raise
        return size + len(data)

    def measure(self, image: ImageId) -> Incoming:
        """What has come, with its checksum: reads all of it.

        Raises:
            Invalid: Nothing has come.
        """
        path = self._path(image)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return Incoming(path, digest, os.fstat(file.fileno()).st_size)
        except FileNotFoundError:
            raise Invalid(f"Nothing of image {image} has come yet.", "IMAGE_EMPTY") from None

    def publish(self, upload: Incoming, final: Path) -> None:
        """Give a complete upload the name of its content. It keeps its own until ``remove``."""
        publish_link(upload.path, final)

    def remove(self, image: ImageId) -> None:
        """Forget what has come."""
        self._path(image).unlink(missing_ok=True)

    def abandoned(self, wanted: Iterable[ImageId], before: float) -> Iterator[ImageId]:
        """Uploads that no image waits for, or that got nothing since ``before`` (Unix time)."""
        known = set(wanted)
        for path in sorted(self._directory.glob(f"{_PREFIX}*")):
            image = ImageId(path.name.removeprefix(_PREFIX))
            with suppress(FileNotFoundError):
                if image not in known or path.stat().st_mtime < before:
                    yield image

    def _path(self, image: ImageId) -> Path:
        if not _ID.fullmatch(image):
            raise Invalid("An image id has letters, digits and dashes only.", "IMAGE_ID_INVALID")
        return self._directory / f"{_PREFIX}{image}"

    def _check_room(self, wanted: int) -> None:
        room = os.statvfs(self._directory)
        if room.f_bavail * room.f_frsize < wanted + RESERVE:
            raise Exhausted(
                "The disk for images is full. Delete images, or give it more room.", "DISK_FULL"
            )


def wrong_offset(image: ImageId, offset: int, size: int) -> Conflict:
    """The piece is not the next one."""
    return Conflict(
        f"Image {image} has {size} bytes, so the next piece begins there, not at {offset}.",
        "UPLOAD_OFFSET",
        metadata={"image": image, "offset": str(size)},
    )


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fdatasync(descriptor)
