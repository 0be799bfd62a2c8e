"""Which sets exist on this machine: a record each, in a folder that is there while a set is.

The folder is also the lock: whoever makes or removes a set holds it throughout, so that `down`
never meets a half-made set of a living maker.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.testhosts.errors import HostsError
from tools.testhosts.plan import Host, HostSet

FOLDER: Final = Path("/var/lib/novaray-testhosts")
#: A set's record. Its folder has the same name without the ending.
_RECORD: Final = ".set.json"
_MOUNT_POINTS: Final = "mount-points.json"
_UNFINISHED: Final = ".new"


class Registry:
    """The records. Reading needs no lock: each is replaced as a whole."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry; on leaving, remove its folder if nothing is in it."""
        descriptor = self._open_locked()
        try:
            yield
        finally:
            # While the lock is held, nobody else is about to write here.
            for unfinished in self.folder.glob(f"*{_UNFINISHED}"):
                unfinished.unlink()
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            os.close(descriptor)

    def _open_locked(self) -> int:
        while True:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever held it before may have removed the folder: then this lock is on nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), self.folder.stat()):
                    return descriptor
            os.close(descriptor)

    def sets(self) -> list[HostSet]:
        """Return every set, by name."""
        paths = sorted(self.folder.glob(f"*{_RECORD}"))
        return [record for path in paths if (record := self._read(path))]

    def get(self, name: str) -> HostSet | None:
        """Return the set of that name."""
        return self._read(self._path(name))

    def find_host(self, name: str) -> tuple[HostSet, Host]:
        """Return a host and the set it is in."""
        found = self.sets()
        for record in found:
            for member in record.members:
                if member.name == name:
                    return record, member
        known = ", ".join(member.name for record in found for member in record.members)
        raise HostsError(f"There is no test host {name}. There are: {known or 'none'}.")

    def save(self, record: HostSet) -> None:
        """Write a set's record."""
        self._write(self._path(record.name), record.to_json())

    def remove(self, name: str) -> None:
        """Forget a set."""
        self._path(name).unlink(missing_ok=True)

    def add_mount_points(self, folders: Iterable[str]) -> None:
        """Make the folders that hosts mount theirs over, and remember those that were not there.

        They stay empty: in every host something is mounted over them.
        """
        for folder in folders:
            for missing in _missing(Path(folder)):
                # Remembered first: a folder that was never made is no harm, one that is forgotten
                # is a trace.
                self._write_mount_points([*self._mount_points(), str(missing)])
                missing.mkdir()

    def remove_mount_points(self) -> None:
        """Remove the folders that were made for hosts, except what somebody else came to use."""
        for folder in reversed(self._mount_points()):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        (self.folder / _MOUNT_POINTS).unlink(missing_ok=True)

    def _mount_points(self) -> list[str]:
        try:
            known: list[str] = json.loads((self.folder / _MOUNT_POINTS).read_text())
        except FileNotFoundError:
            return []
        return known

    def _write_mount_points(self, folders: list[str]) -> None:
        self._write(self.folder / _MOUNT_POINTS, json.dumps(folders, indent=1))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_RECORD}"

    def _read(self, path: Path) -> HostSet | None:
        try:
            return HostSet.from_json(path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise HostsError(
                f"The record {path} cannot be read: {error}. Delete it if no host of it runs."
            ) from None

    def _write(self, path: Path, text: str) -> None:
        fresh = path.with_suffix(_UNFINISHED)
        fresh.write_text(text)
        fresh.replace(path)


def _missing(folder: Path) -> list[Path]:
    """Return the folder and its parents as far as they do not exist, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]
