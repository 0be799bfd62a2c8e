"""Root disks: a qcow2 overlay on a cached base, so that a boot copies nothing.

Two ways: files that qemu-img makes, for QEMU, and volumes in a storage pool (``pool_disks``), for
libvirt's test driver, which has no files. Why not pools for both: ``docs/decisions/0011``.
"""

import re
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import libvirt

from actors.drivers.libvirt import disks_aside, disks_resized
from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.extra_disks import ensure_extra_disks
from actors.drivers.libvirt.qcow2 import NotQcow2, Qcow2Header
from actors.drivers.libvirt.settle import settle
from actors.model.errors import HypervisorRefused, Invalid, NotFound
from actors.model.ids import InstanceId
from actors.model.image import BootSource, DiskFormat
from actors.model.instance import InstanceRecord

_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GIB: Final = 1024**3
_FOLDER_MODE: Final = 0o711  # QEMU's own user passes through; nobody lists
_DISK: Final = "disk.qcow2"
_RESCUE: Final = "rescue.qcow2"
_TEMPORARY: Final = ".new"
_QEMU_IMG_SECONDS: Final = 60


class Disks(Protocol):
    """Root disks of one host. All converge, and may raise ``libvirtError`` or ``OSError``."""

    def path(self, instance: InstanceId) -> str:
        """Where the disk lies, as the domain's XML names it."""
        ...

    def ensure(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Make the disk unless it is there."""
        ...

    def remove(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the disk, if it is there, and the instance's folder with all others."""
        ...

    def put_aside(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Keep the disks under this operation's number; done twice, it does nothing."""
        ...

    def are_aside(self, instance: InstanceId, sequence: int) -> bool:
        """Whether all of that is done."""
        ...

    def put_back(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Put them in their places again; what lies there by now is removed."""
        ...

    def forget(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Remove what was put aside."""
        ...

    def has_resized(self, record: InstanceRecord) -> bool:
        """Whether the disks of the record's resize are made."""
        ...

    def resize(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        base: Path,
        incoming: Path | None,
    ) -> None:
        """Make disks as large as the record says: copies of those that came, or are put aside."""
        ...

    def files(self, instance: InstanceId) -> tuple[Path, ...]:
        """The files of the disks; none where they have no content."""
        ...

    def rescue_path(self, instance: InstanceId) -> str:
        """Where the rescue disk lies, as the domain's XML names it."""
        ...

    def ensure_rescue(
        self, conn: libvirt.virConnect, instance: InstanceId, source: BootSource, base: Path
    ) -> None:
        """Make the rescue disk unless it is there."""
        ...

    def remove_rescue(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the rescue disk, if it is there."""
        ...


def wanted_size(record: InstanceRecord, base_size: int = 0) -> int:
    """Bytes the guest sees: what the flavor says, never less than the image has."""
    return max(record.flavor.disk_gb * _GIB, record.source.virtual_size, base_size)


class FileDisks:
    """``<instances>/<id>/disk.qcow2``, made by qemu-img beside its place and then renamed into it.

    So a disk that has its name is complete, wherever a process died.
    """

    def __init__(self, instances: Path) -> None:
        self._instances = instances

    def path(self, instance: InstanceId) -> str:
        """The file."""
        return str(folder_of(self._instances, instance) / _DISK)

    def ensure(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Make the file.

        Raises:
            NotFound: The base is not on this host.
            Exhausted: The disk is full.
            HypervisorRefused: The base is not what its format says, or the disk is damaged.
        """
        self._ensure(record.id, _DISK, record.source, base, wanted_size(record))

    def _ensure(
        self, instance: InstanceId, name: str, source: BootSource, base: Path, size: int
    ) -> None:
        folder = folder_of(self._instances, instance)
        disk = folder / name
        if disk.exists():
            _check(disk, instance)
            return
        size = max(size, _base_size(source, base))
        make_folder(folder)
        for left_over in folder.glob(f"*{_TEMPORARY}"):
            left_over.unlink(missing_ok=True)
        # A name of its own: the qemu-img of a process that was killed may still write to the last
        # one.
        new = folder / f"{secrets.token_hex(4)}{_TEMPORARY}"
        try:
            _create(instance, source, base, new, size)
            settle(new, disk)
        finally:
            new.unlink(missing_ok=True)

    def remove(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the folder with all that is in it."""
        remove_folder(folder_of(self._instances, instance))

    def put_aside(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Move the files (rename(2))."""
        disks_aside.put_aside(folder_of(self._instances, instance), sequence)

    def are_aside(self, instance: InstanceId, sequence: int) -> bool:
        """Whether they have been moved."""
        return disks_aside.are_aside(folder_of(self._instances, instance), sequence)

    def put_back(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Move them back."""
        folder = folder_of(self._instances, instance)
        disks_aside.put_back(folder, sequence)
        disks_resized.forget(folder, sequence)

    def forget(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Remove them."""
        folder = folder_of(self._instances, instance)
        disks_aside.forget(folder, sequence)
        disks_resized.forget(folder, sequence)

    def has_resized(self, record: InstanceRecord) -> bool:
        """Whether they have their mark."""
        folder = folder_of(self._instances, record.id)
        former = record.former
        return former is not None and disks_resized.mark_of(folder, former.sequence).exists()

    def resize(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        base: Path,
        incoming: Path | None,
    ) -> None:
        """Copy them, and let the root disk grow.

        Raises:
            Exhausted: The disk is full.
            HypervisorRefused: The base is not what its format says, or the disk is damaged.
        """
        if record.former is None or self.has_resized(record):
            return
        folder, sequence = folder_of(self._instances, record.id), record.former.sequence
        size = wanted_size(record, _base_size(record.source, base))
        make_folder(folder)
        if incoming is None:
            disks_aside.put_aside(folder, sequence)
            incoming = disks_aside.aside_of(folder, sequence)

        def grow(disk: Path) -> None:
            _check(disk, record.id)
            disks_resized.grow(disk, base, record.source.disk.disk_format, size)

        disks_resized.make(folder, incoming, grow)
        ensure_extra_disks(folder, record)
        disks_resized.mark(folder, sequence)

    def files(self, instance: InstanceId) -> tuple[Path, ...]:
        """The files."""
        return tuple(disks_aside.disks_of(folder_of(self._instances, instance)))

    def rescue_path(self, instance: InstanceId) -> str:
        """The file."""
        return str(folder_of(self._instances, instance) / _RESCUE)

    def ensure_rescue(
        self, conn: libvirt.virConnect, instance: InstanceId, source: BootSource, base: Path
    ) -> None:
        """Make the file, as large as its image.

        Raises:
            As ``ensure``.
        """
        self._ensure(instance, _RESCUE, source, base, source.virtual_size)

    def remove_rescue(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the file."""
        Path(self.rescue_path(instance)).unlink(missing_ok=True)


def folder_of(instances: Path, instance: InstanceId) -> Path:
    """An instance's folder.

    Raises:
        Invalid: The id is no UUID: it could lead out of the folder of instances.
    """
    if not _UUID.fullmatch(instance):
        raise Invalid("The instance's id is not a UUID.", "INVALID_ARGUMENT", repr(instance))
    return instances / instance


def make_folder(folder: Path) -> None:
    """Make an instance's folder unless it is there."""
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; one that is not there is no error."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _base_size(source: BootSource, base: Path) -> int:
    """Bytes the guest sees of the base, by the file itself: the record may be wrong about it."""
    try:
        if source.disk.disk_format is not DiskFormat.QCOW2:
            return base.stat().st_size
        header = Qcow2Header.read(base)
    except FileNotFoundError:
        raise NotFound(
            f"Image {source.image} is not on the instance's host.",
            "IMAGE_NOT_CACHED",
            str(base),
        ) from None
    except NotQcow2 as error:
        raise _bad_image(source, str(error)) from error
    # An image of a tenant's making could name any file of the host.
    if header.backing or header.data_file:
        raise _bad_image(source, f"{base} refers to another file: {header.backing!r}")
    return header.virtual_size


def _bad_image(source: BootSource, detail: str) -> HypervisorRefused:
    return HypervisorRefused(
        f"Image {source.image} is not a valid disk image.", "IMAGE_INVALID", detail
    )


def _check(disk: Path, instance: InstanceId) -> None:
    try:
        Qcow2Header.read(disk)
    except NotQcow2 as error:
        # Never made anew: whatever is in it is the tenant's.
        raise HypervisorRefused(
            f"The disk of instance {instance} is damaged.", "DISK_DAMAGED", str(error)
        ) from error


def _create(instance: InstanceId, source: BootSource, base: Path, new: Path, size: int) -> None:
    command = (
        "qemu-img", "create", "-q", "-f", "qcow2",
        "-F", str(source.disk.disk_format), "-b", str(base), str(new), str(size),
    )  # fmt: skip
    action = f"make the disk of instance {instance}"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_QEMU_IMG_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise refused(action, f"qemu-img: {error}") from error
    if done.returncode != 0:
        raise refused(action, f"qemu-img: {done.stderr.strip()}")
