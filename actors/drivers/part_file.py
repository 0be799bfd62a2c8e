"""A file on its way to this host, in pieces: whatever has come stays, also over a crash."""

import fcntl
import hashlib
import os
from pathlib import Path

from actors.drivers.contents import CHUNK
from actors.model.errors import Unavailable


class PartFile:
    """A file on its way. Blocking; one user at a time, also across processes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        try:
            _lock(self._file.fileno(), path)
            self._file.seek(0)
            self._digest = hashlib.sha256()
            while piece := self._file.read(CHUNK):
                self._digest.update(piece)
            self.size = self._file.tell()
        except BaseException:
            self._file.close()
            raise

    def append(self, piece: bytes) -> None:
        """Write and count."""
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(piece)
        self.size += len(piece)

    def finish(self) -> str:
        """Wait for the disk; the checksum of all that came."""
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def _lock(descriptor: int, path: Path) -> None:
    # A HostActor that was replaced may not be gone yet.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise Unavailable(
            "Another process of this host is fetching this file. Try again.",
            "FILE_BEING_FETCHED",
            str(path),
        )
