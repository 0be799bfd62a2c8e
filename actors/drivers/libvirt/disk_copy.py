"""A copy of a root disk as of one moment, in a file that stands by itself.

Of a guest that runs, QEMU makes it beside the guest's own work (virDomainBackupBegin in push mode):
the disk and its chain of overlays stay as they are, whoever dies meanwhile. Of one that is off,
qemu-img does. Either way the copy has its name only once it is whole.
"""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from actors.drivers.libvirt import domains
from actors.drivers.libvirt.disks import folder_of, make_folder, wanted_size
from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.root_disk import ROOT, newest
from actors.drivers.libvirt.settle import settle
from actors.model.errors import Unavailable
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord

_TARGET: Final = "vda"
_PARTIAL: Final = ".part"
_END_SECONDS: Final = 10.0
_BACKUP: Final = libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP


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

    def __init__(self, instances: Path) -> None:
        self._instances = instances
        #: qemu-img at work, by the file it writes.
        self._running: dict[Path, subprocess.Popen[str]] = {}

    def path(self, instance: InstanceId, sequence: int) -> Path:
        """``copy-<sequence>.qcow2`` in the instance's folder."""
        return folder_of(self._instances, instance) / f"copy-{sequence}.qcow2"

    def begin(self, conn: libvirt.virConnect, record: InstanceRecord, sequence: int) -> None:
        """Begin a copy, unless it is being made or is there."""
        path = self.path(record.id, sequence)
        partial = _partial(path)
        if path.exists() or partial in self._running:
            return
        self.end(conn, record.id, sequence - 1)
        found = domains.find(conn, record.id)
        if found is not None and found[0].isActive():
            domain = found[0]
            _abort_backup(domain)  # of a try that lost its actor: nobody knows what it wrote
            partial.unlink(missing_ok=True)
            domain.backupBegin(_backup_xml(conn, domain, partial), None, 0)
            return
        partial.unlink(missing_ok=True)
        disk = newest(path.parent) or path.parent / ROOT
        command = ("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", str(disk), str(partial))
        self._running[partial] = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def done(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether it is whole."""
        path = self.path(instance, sequence)
        if path.exists():
            return True
        partial = _partial(path)
        process = self._running.get(partial)
        if process is not None:
            if process.poll() is None:
                return False
            del self._running[partial]
            _, words = process.communicate()
            if process.returncode != 0:
                raise refused(f"copy the disk of instance {instance}", f"qemu-img: {words.strip()}")
        elif not _backup_done(conn, instance):
            return False
        settle(partial, path)
        return True

    def end(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Stop making it, and remove what there is of it, and of those before it."""
        folder = folder_of(self._instances, instance)
        for partial in [one for one in self._running if _is_of(one, folder, sequence)]:
            process = self._running.pop(partial)
            process.kill()
            process.communicate(timeout=_END_SECONDS)
        left = _left(folder, sequence)
        found = domains.find(conn, instance)
        if found is not None and any(path.suffix == _PARTIAL for path in left):
            _abort_backup(found[0])
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


def _backup_xml(conn: libvirt.virConnect, domain: libvirt.virDomain, target: Path) -> str:
    """The root disk into this file; no other disk."""
    backup = Element("domainbackup", mode="push")
    disks = SubElement(backup, "disks")
    for name in domains.disk_targets(conn, domain):
        if name != _TARGET:
            SubElement(disks, "disk", name=name, backup="no")
            continue
        disk = SubElement(disks, "disk", name=name, backup="yes", type="file")
        SubElement(disk, "driver", type="qcow2")
        SubElement(disk, "target", file=str(target))
    return tostring(backup, encoding="unicode")


def _abort_backup(domain: libvirt.virDomain) -> None:
    with suppress(libvirt.libvirtError):
        if domain.isActive() and _operation(domain.jobStats(0)) == _BACKUP:
            domain.abortJob()


def _operation(stats: dict[str, object]) -> object:
    return stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION)


def _backup_done(conn: libvirt.virConnect, instance: InstanceId) -> bool:
    found = domains.find(conn, instance)
    if found is None or not found[0].isActive():
        raise Unavailable(
            f"The guest of instance {instance} ended while its disk was copied. The copy is made "
            "anew.",
            "COPY_INTERRUPTED",
        )
    domain = found[0]
    if _operation(domain.jobStats(0)) == _BACKUP:
        return False
    ended = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if _operation(ended) != _BACKUP:
        raise Unavailable(
            f"Nobody copies the disk of instance {instance} any more. The copy is made anew.",
            "COPY_INTERRUPTED",
        )
    if not ended.get(libvirt.VIR_DOMAIN_JOB_SUCCESS, True):
        words = str(ended.get(libvirt.VIR_DOMAIN_JOB_ERRMSG, "the backup job failed"))
        raise refused(f"copy the disk of instance {instance}", words)
    return True
