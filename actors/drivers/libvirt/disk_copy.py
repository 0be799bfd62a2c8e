"""A copy of a root disk as of one moment, in a file that stands by itself.

It has its name only once it is whole. Who makes it: ``copy_jobs``.
"""

import subprocess
from pathlib import Path
from typing import Final, Protocol

import libvirt

from actors.drivers.libvirt import domains
from actors.drivers.libvirt.copy_jobs import CopyJobs
from actors.drivers.libvirt.disks import folder_of, make_folder, wanted_size
from actors.drivers.libvirt.root_disk import ROOT, newest
from actors.drivers.libvirt.settle import settle
from actors.model.ids import InstanceId
from actors.model.instance import ROOT_TARGET, InstanceRecord

_PARTIAL: Final = ".part"
_END_SECONDS: Final = 10.0


class Copies(Protocol):
    """Copies of root disks on one host. All converge; a copy is known by its operation."""

    def path(self, instance: InstanceId, sequence: int) -> Path:
        """Where the copy lies once it is whole."""
        ...

    def begin(self, conn: libvirt.virConnect, record: InstanceRecord, sequence: int) -> None:
        """Begin a copy, unless it is being made or is there."""
        ...

    def done(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether it is whole.

        Raises:
            Unavailable: What made it is gone; begin again.
            HypervisorRefused: It cannot be made.
        """
        ...

    def end(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Stop making it, and remove what there is of it, and of those before it."""
        ...


class DiskCopies:
    """Of QEMU's disks."""

    def __init__(self, instances: Path, jobs: CopyJobs) -> None:
        self._instances = instances
        self._jobs = jobs

    def path(self, instance: InstanceId, sequence: int) -> Path:
        """``copy-<sequence>.qcow2`` in the instance's folder."""
        return folder_of(self._instances, instance) / f"copy-{sequence}.qcow2"

    def begin(self, conn: libvirt.virConnect, record: InstanceRecord, sequence: int) -> None:
        """Begin a copy, unless it is being made or is there."""
        path = self.path(record.id, sequence)
        partial = _partial(path)
        if path.exists() or self._jobs.are_of(partial):
            return
        self.end(conn, record.id, sequence - 1)
        found = domains.find(conn, record.id)
        if found is not None and found[0].isActive():
            self._jobs.begin_in_guest(conn, found[0], record.id, ROOT_TARGET, partial)
            return
        self._jobs.begin_offline(newest(path.parent) or path.parent / ROOT, partial)

    def done(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether it is whole."""
        path = self.path(instance, sequence)
        if path.exists():
            return True
        partial = _partial(path)
        if not self._jobs.is_made(conn, instance, partial):
            return False
        settle(partial, path)
        return True

    def end(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Stop making it, and remove what there is of it, and of those before it."""
        folder = folder_of(self._instances, instance)
        for partial in self._jobs.offline():
            if _is_of(partial, folder, sequence):
                self._jobs.stop_offline(partial)
        left = _left(folder, sequence)
        found = domains.find(conn, instance)
        if found is not None and any(path.suffix == _PARTIAL for path in left):
            self._jobs.interrupt(found[0], instance)
        for path in left:
            path.unlink(missing_ok=True)


class BlankCopies:
    """Of the test driver's disks, which have no content: a copy is an empty disk of their size."""

    def __init__(self, instances: Path) -> None:
        self._instances = instances

    def path(self, instance: InstanceId, sequence: int) -> Path:
        """As ``DiskCopies.path``."""
        return folder_of(self._instances, instance) / f"copy-{sequence}.qcow2"

    def begin(self, conn: libvirt.virConnect, record: InstanceRecord, sequence: int) -> None:
        """Make it at once."""
        path = self.path(record.id, sequence)
        if path.exists():
            return
        self.end(conn, record.id, sequence - 1)
        make_folder(path.parent)
        partial = _partial(path)
        command = (
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            str(partial),
            str(wanted_size(record)),
        )
        subprocess.run(command, check=True, capture_output=True, timeout=_END_SECONDS)
        settle(partial, path)

    def done(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """It is."""
        return self.path(instance, sequence).exists()

    def end(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Remove it, and those before it."""
        for path in _left(folder_of(self._instances, instance), sequence):
            path.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_suffix(_PARTIAL)


def _left(folder: Path, sequence: int) -> list[Path]:
    return [path for path in folder.glob("copy-*") if _is_of(path, folder, sequence)]


def _is_of(path: Path, folder: Path, sequence: int) -> bool:
    """Whether it is a copy by this operation of the folder's instance, or by one before it."""
    return path.parent == folder and int(path.stem.removeprefix("copy-")) <= sequence
