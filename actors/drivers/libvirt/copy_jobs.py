"""Copies of disks as of one moment, under way on one host: who makes which file.

Of a guest that runs, QEMU makes the copy beside the guest's own work (virDomainBackupBegin in push
mode): the disk and its chain of overlays stay as they are, whoever dies meanwhile. libvirt knows
one such job a domain, and not what it was begun for: that is remembered here. Of what is off,
qemu-img makes it.
"""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from actors.drivers.libvirt import domains
from actors.drivers.libvirt.errors import refused
from actors.model.errors import ComputeError, Unavailable
from actors.model.ids import InstanceId

_END_SECONDS: Final = 10.0
_BACKUP: Final = libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP


class CopyJobs:
    """All of a host. A copy is known by the file that it is written to until it is whole."""

    def __init__(self) -> None:
        #: qemu-img at work, by the file it writes.
        self._offline: dict[Path, subprocess.Popen[str]] = {}
        #: The file that a guest's QEMU writes.
        self._in_guests: dict[InstanceId, Path] = {}

    def are_of(self, partial: Path) -> bool:
        """Whether this copy is being made, as far as is known here."""
        return partial in self._offline or partial in self._in_guests.values()

    def offline(self) -> tuple[Path, ...]:
        """What qemu-img makes."""
        return tuple(self._offline)

    def is_in_guest(self, instance: InstanceId, partial: Path) -> bool:
        """Whether the guest's QEMU makes this copy, as far as is known here."""
        return self._in_guests.get(instance) == partial

    def other_in_guest(self, domain: libvirt.virDomain, instance: InstanceId) -> Path | None:
        """What the guest's QEMU is copying at this moment, where that was asked for here."""
        known = self._in_guests.get(instance)
        return known if known and _operation(domain.jobStats(0)) == _BACKUP else None

    def begin_in_guest(
        self,
        conn: libvirt.virConnect,
        domain: libvirt.virDomain,
        instance: InstanceId,
        target: str,
        partial: Path,
    ) -> None:
        """Have QEMU copy the disk that the guest's machine calls so; no other job goes on."""
        # One of a try that lost its actor, too: nobody knows what it wrote.
        self.interrupt(domain, instance)
        partial.unlink(missing_ok=True)
        domain.backupBegin(_backup_xml(conn, domain, target, partial), None, 0)
        self._in_guests[instance] = partial

    def begin_offline(self, disk: Path, partial: Path, *options: str) -> None:
        """Have qemu-img copy a qcow2 file."""
        partial.unlink(missing_ok=True)
        command = ("qemu-img", "convert", *options, "-f", "qcow2", "-O", "qcow2")
        self._offline[partial] = subprocess.Popen(
            (*command, str(disk), str(partial)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_made(self, conn: libvirt.virConnect, instance: InstanceId, partial: Path) -> bool:
        """Whether the copy is whole; then, and when it is not to be, it is forgotten.

        Raises:
            Unavailable: ``COPY_INTERRUPTED``: what made it is gone. Begin again.
            HypervisorRefused: It cannot be made.
        """
        process = self._offline.get(partial)
        if process is not None:
            if process.poll() is None:
                return False
            del self._offline[partial]
            _, words = process.communicate()
            if process.returncode != 0:
                raise refused(f"copy a disk of instance {instance}", f"qemu-img: {words.strip()}")
            return True
        if self._in_guests.get(instance) != partial:
            raise _interrupted(instance)
        try:
            made = _backup_done(conn, instance)
        except ComputeError:
            self._in_guests.pop(instance, None)
            raise
        if made:
            self._in_guests.pop(instance, None)
        return made

    def stop_offline(self, partial: Path) -> None:
        """Stop a qemu-img; none is no error."""
        process = self._offline.pop(partial, None)
        if process is not None:
            process.kill()
            process.communicate(timeout=_END_SECONDS)

    def forget(self, instance: InstanceId) -> None:
        """A guest's QEMU, and what it was copying, are gone."""
        self._in_guests.pop(instance, None)

    def interrupt(self, domain: libvirt.virDomain, instance: InstanceId) -> bool:
        """Stop what a guest's QEMU copies. Whoever wanted the copy finds out, and begins it anew.

        Also returns whether there was nothing: it ends a moment later. libvirt has another job wait
        for that, but not an unplug.
        """
        self._in_guests.pop(instance, None)
        with suppress(libvirt.libvirtError):
            if domain.isActive() and _operation(domain.jobStats(0)) == _BACKUP:
                domain.abortJob()
                return False
        return True


def _backup_xml(
    conn: libvirt.virConnect, domain: libvirt.virDomain, target: str, file: Path
) -> str:
    """This disk into this file; no other disk."""
    backup = Element("domainbackup", mode="push")
    disks = SubElement(backup, "disks")
    for name in domains.disk_targets(conn, domain):
        if name != target:
            SubElement(disks, "disk", name=name, backup="no")
            continue
        disk = SubElement(disks, "disk", name=name, backup="yes", type="file")
        SubElement(disk, "driver", type="qcow2")
        SubElement(disk, "target", file=str(file))
    return tostring(backup, encoding="unicode")


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
        raise _interrupted(instance)
    if not ended.get(libvirt.VIR_DOMAIN_JOB_SUCCESS, True):
        words = str(ended.get(libvirt.VIR_DOMAIN_JOB_ERRMSG, "the backup job failed"))
        raise refused(f"copy a disk of instance {instance}", words)
    return True


def _interrupted(instance: InstanceId) -> Unavailable:
    return Unavailable(
        f"Nobody copies the disk of instance {instance} any more. The copy is made anew.",
        "COPY_INTERRUPTED",
    )
