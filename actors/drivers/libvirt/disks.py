"""Root disks: a qcow2 overlay on a cached base, so that a boot copies nothing.

Two ways: files that qemu-img makes, for QEMU, and volumes in a storage pool (``pool_disks``), for
libvirt's test driver, which has no files. Why not pools for both: ``docs/decisions/0011``.
"""

import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import libvirt

from actors.drivers.libvirt import disks_aside, disks_resized
from actors.drivers.libvirt.build import NVRAM
from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.extra_disks import ensure_extra_disks
from actors.drivers.libvirt.layers import Layers, no_disk
from actors.drivers.libvirt.overlay import TEMPORARY, make_overlay
from actors.drivers.libvirt.qcow2 import NotQcow2, Qcow2Header
from actors.drivers.libvirt.root_disk import ROOT, newest, take_plain_name
from actors.drivers.libvirt.settle import settle
from actors.model.errors import Conflict, HypervisorRefused, Invalid, NotFound
from actors.model.ids import InstanceId
from actors.model.image import BootSource, DiskFormat
from actors.model.instance import InstanceRecord

_UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GIB: Final = 1024**3
_FOLDER_MODE: Final = 0o711  # QEMU's own user passes through; nobody lists
_RESCUE: Final = "rescue.qcow2"
#: A whole disk may have to be read and written.
_FLATTEN_SECONDS: Final = 3600.0


class Disks(Protocol):
    """Root disks of one host. All converge, and may raise ``libvirtError`` or ``OSError``."""

    def path(self, instance: InstanceId) -> str:
        """Where the disk lies, as the domain's XML names it."""
        ...

    def layers(self, instance: InstanceId) -> tuple[str, ...]:
        """What it lies on above its base image, the nearest first."""
        ...

    def take_plain_name(self, instance: InstanceId) -> None:
        """Give the disk the name it had before it was frozen under a guest; nothing runs on it."""
        ...

    def clone(
        self, conn: libvirt.virConnect, record: InstanceRecord, origin: InstanceId, base: Path
    ) -> None:
        """Make the disk as that of ``origin`` is now, unless it is there."""
        ...

    def flatten(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Let it lie on ``base`` alone."""
        ...

    def keep(self, conn: libvirt.virConnect, instance: InstanceId, layer: str) -> None:
        """Keep the disk as of now under this UUID."""
        ...

    def forget_kept(self, instance: InstanceId, layer: str) -> None:
        """Do not keep it any more."""
        ...

    def restore(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        layer: str,
        base: Path,
        sequence: int,
    ) -> None:
        """Put the disk aside, and what was kept in its place."""
        ...

    def is_restored(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether all of that is done."""
        ...

    def sweep_layers(self) -> None:
        """Remove layers that no disk lies on."""
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
        self._layers = Layers(instances)

    def path(self, instance: InstanceId) -> str:
        """The file; where it would be, should it not be there."""
        folder = folder_of(self._instances, instance)
        return str(newest(folder) or folder / ROOT)

    def layers(self, instance: InstanceId) -> tuple[str, ...]:
        """The files, by the disk's own header."""
        disk = newest(folder_of(self._instances, instance))
        return () if disk is None else tuple(map(str, self._layers.below(disk)))

    def take_plain_name(self, instance: InstanceId) -> None:
        """Rename the file."""
        take_plain_name(folder_of(self._instances, instance))

    def clone(
        self, conn: libvirt.virConnect, record: InstanceRecord, origin: InstanceId, base: Path
    ) -> None:
        """Freeze the other's disk, and make an overlay on that.

        Raises:
            NotFound: The other has no disk here.
            Conflict: The other was made of another image meanwhile, is suspended, or its disk lies
                on too many layers.
            Exhausted: The disk is full.
            HypervisorRefused: libvirt or qemu-img says no.
        """
        folder, other = folder_of(self._instances, record.id), folder_of(self._instances, origin)
        disk = folder / ROOT
        if disk.exists():
            _check(disk, record.id)
            return
        layer = self._layers.freeze(conn, origin, other, record.id)
        if self._layers.base_of(layer).name != base.name:
            raise Conflict(
                f"Instance {origin} was made anew while it was being cloned. Clone it again.",
                "CLONE_SOURCE_CHANGED",
                f"{layer} lies on {self._layers.base_of(layer)}, not on {base}",
            )
        make_folder(folder)
        if (other / NVRAM).exists():  # where the guest's boot loader is
            copy = folder / f"nvram{TEMPORARY}"
            shutil.copyfile(other / NVRAM, copy)
            settle(copy, folder / NVRAM)
        size = max(wanted_size(record), Qcow2Header.read(layer).virtual_size)
        # Last: with it all is done.
        make_overlay(disk, layer, "qcow2", size, record.id)

    def flatten(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Take what layers hold into the disk itself (``qemu-img rebase``).

        The disk's content is the same all along: cut off, it is begun again.

        Raises:
            Exhausted: The disk is full.
            HypervisorRefused: qemu-img says no.
        """
        folder = folder_of(self._instances, record.id)
        take_plain_name(folder)
        disk = newest(folder)
        if disk is None or not self._layers.below(disk):
            return
        command = (
            "qemu-img", "rebase", "-f", "qcow2",
            "-F", str(record.source.disk.disk_format), "-b", str(base), str(disk),
        )  # fmt: skip
        action = f"make the disk of instance {record.id} one piece"
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_FLATTEN_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise refused(action, f"qemu-img: {error}") from error
        if done.returncode != 0:
            raise refused(action, f"qemu-img: {done.stderr.strip()}")
        self._layers.sweep()

    def keep(self, conn: libvirt.virConnect, instance: InstanceId, layer: str) -> None:
        """Freeze the disk; an empty overlay of its own keeps the layer.

        Raises:
            NotFound: There is no disk.
            Conflict: It is suspended, or its disk lies on too many layers.
            Exhausted: The host's disk is full.
            HypervisorRefused: libvirt or qemu-img says no.
        """
        folder = folder_of(self._instances, instance)
        kept = _kept(folder, layer)
        if kept.exists():
            return
        frozen = self._layers.freeze(conn, instance, folder, layer)
        make_overlay(kept, frozen, "qcow2", Qcow2Header.read(frozen).virtual_size, instance)

    def forget_kept(self, instance: InstanceId, layer: str) -> None:
        """Remove the overlay, and the layer, should nothing else lie on it."""
        _kept(folder_of(self._instances, instance), layer).unlink(missing_ok=True)
        self._layers.sweep()

    def restore(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        layer: str,
        base: Path,
        sequence: int,
    ) -> None:
        """Make another overlay on the layer; all disks but the root disk stay what they are.

        Raises:
            NotFound: It is not kept here.
            Exhausted: The host's disk is full.
            HypervisorRefused: qemu-img says no.
        """
        folder = folder_of(self._instances, record.id)
        kept = _kept(folder, layer)
        if not kept.exists():
            raise no_disk(record.id, str(kept))
        take_plain_name(folder)
        disks_aside.put_aside(folder, sequence)
        for disk in disks_aside.disks_of(disks_aside.aside_of(folder, sequence)):
            if disk.name != ROOT and not (folder / disk.name).exists():
                (folder / disk.name).hardlink_to(disk)
        header = Qcow2Header.read(kept)
        make_overlay(folder / ROOT, Path(header.backing), "qcow2", header.virtual_size, record.id)

    def is_restored(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether the files are there."""
        folder = folder_of(self._instances, instance)
        return disks_aside.are_aside(folder, sequence) and (folder / ROOT).exists()

    def sweep_layers(self) -> None:
        """Remove the files."""
        self._layers.sweep()

    def ensure(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Make the file.

        Raises:
            NotFound: The base is not on this host.
            Exhausted: The disk is full.
            HypervisorRefused: The base is not what its format says, or the disk is damaged.
        """
        self._ensure(record.id, ROOT, record.source, base, wanted_size(record))

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
        make_overlay(disk, base, str(source.disk.disk_format), size, instance)

    def remove(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the folder with all that is in it, and layers that only it needed."""
        remove_folder(folder_of(self._instances, instance))
        self._layers.sweep()

    def put_aside(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Move the files (rename(2))."""
        folder = folder_of(self._instances, instance)
        take_plain_name(folder)
        disks_aside.put_aside(folder, sequence)

    def are_aside(self, instance: InstanceId, sequence: int) -> bool:
        """Whether they have been moved."""
        return disks_aside.are_aside(folder_of(self._instances, instance), sequence)

    def put_back(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Move them back."""
        folder = folder_of(self._instances, instance)
        disks_aside.put_back(folder, sequence)
        disks_resized.forget(folder, sequence)

    def forget(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Remove them, and layers that only they needed."""
        folder = folder_of(self._instances, instance)
        disks_aside.forget(folder, sequence)
        disks_resized.forget(folder, sequence)
        self._layers.sweep()

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
            take_plain_name(folder)
            disks_aside.put_aside(folder, sequence)
            incoming = disks_aside.aside_of(folder, sequence)

        def grow(disk: Path) -> None:
            _check(disk, record.id)
            if not self._layers.below(disk):
                disks_resized.lay_on(disk, base, record.source.disk.disk_format)
            disks_resized.grow(disk, size)

        disks_resized.make(folder, incoming, grow)
        ensure_extra_disks(folder, record)
        disks_resized.mark(folder, sequence)
        # The former disks are kept where they were: here they would take the room once more.
        disks_resized.forget_incoming(folder, sequence)

    def files(self, instance: InstanceId) -> tuple[Path, ...]:
        """The files."""
        folder = folder_of(self._instances, instance)
        take_plain_name(folder)
        return tuple(disks_aside.disks_of(folder))

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


def _kept(folder: Path, layer: str) -> Path:
    if not _UUID.fullmatch(layer):
        raise Invalid("The snapshot's id is not a UUID.", "INVALID_ARGUMENT", repr(layer))
    return folder / f"snapshot.{layer}.qcow2"


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
