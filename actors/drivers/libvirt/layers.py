"""Layers: root disks frozen for good, on which disks of several instances lie.

``<state dir>/layers/<id>.qcow2``. A layer is never written again. It goes when no disk of the host
lies on it any more, which the disks' own headers say: a count would be wrong after a crash.

Freezing: the disk's file gets a second name among the layers (link(2)), an empty overlay on it is
made beside it, and the guest, should one run, goes on in that (virDomainSnapshotCreateXML). Cut off
anywhere, the newest file of the folder has the guest's content as soon as the guest is off, and
the next freeze first finishes what it finds. Why so: ``docs/decisions/0017``.
"""

import fcntl
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import libvirt

from actors.drivers.libvirt import domains, root_disk
from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.overlay import make_overlay
from actors.drivers.libvirt.qcow2 import NotQcow2, Qcow2Header
from actors.drivers.libvirt.settle import sync
from actors.model.errors import Conflict, HypervisorRefused, NotFound
from actors.model.ids import InstanceId

_log: Final = logging.getLogger(__name__)

_FOLDER_MODE: Final = 0o711  # QEMU's own user passes through; nobody lists
#: Each layer costs a read that misses a look into it; libvirt gives up at 200.
_DEEPEST: Final = 32
_QEMU_IMG_SECONDS: Final = 60
_SNAPSHOT: Final = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    # The overlay is there, and its header names the layer, not the file's old name.
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
)


class Layers:
    """Those of one host. Blocking."""

    def __init__(self, instances: Path) -> None:
        self._instances = instances
        #: On the file system of the instances' folders: a file has names in both.
        self.folder: Final = instances.parent / "layers"

    def below(self, disk: Path) -> tuple[Path, ...]:
        """The layers that a disk lies on, the nearest first; not the base image below them.

        Raises:
            HypervisorRefused: A header cannot be read.
        """
        found: list[Path] = []
        while (backing := _backing_of(disk)).parent == self.folder:
            if len(found) == 2 * _DEEPEST:
                raise _damaged(f"{disk} lies on {len(found)} layers")
            found.append(backing)
            disk = backing
        return tuple(found)

    def base_of(self, disk: Path) -> Path:
        """The file below the lowest layer, as its header names it; ``.`` for none.

        Raises:
            HypervisorRefused: A header cannot be read.
        """
        return _backing_of((disk, *self.below(disk))[-1])

    def freeze(
        self, conn: libvirt.virConnect, instance: InstanceId, folder: Path, name: str
    ) -> Path:
        """The root disk as of now, as a layer; the guest runs on. Done twice, it is one layer.

        A disk that is off and has not been written to since it was frozen last is no new layer.

        Args:
            conn: libvirt.
            instance: Whose disk.
            folder: The instance's.
            name: Of the layer: a UUID.

        Raises:
            NotFound: There is no disk.
            Conflict: It lies on too many layers, or waits with its guest's memory.
            HypervisorRefused: libvirt or qemu-img says no. The guest runs on as before.
        """
        domain = _active(conn, instance)
        disk = root_disk.newest(folder)
        if disk is None:
            raise no_disk(instance, str(folder))
        if domain is not None:
            _go_on_in(conn, domain, disk)  # a freeze before this one was cut off
        layer = self.folder / f"{name}.qcow2"
        if layer.exists() and not layer.samefile(disk):
            return layer
        layers = self.below(disk)
        if domain is None and layers and _is_blank(disk):
            return layers[0]
        if len(layers) >= _DEEPEST:
            raise Conflict(
                f"The disk of instance {instance} has been frozen {len(layers)} times: that is the "
                "limit. Shelve and unshelve it, or resize it to another host: either makes it one "
                "piece.",
                "DISK_TOO_DEEP",
            )
        overlay = root_disk.following(disk)
        with self._alone():
            if not layer.exists():
                layer.hardlink_to(disk)
                sync(self.folder)
            make_overlay(overlay, layer, "qcow2", Qcow2Header.read(disk).virtual_size, instance)
        if domain is not None:
            _go_on_in(conn, domain, overlay)
        return layer

    def sweep(self) -> None:
        """Remove layers that no disk here lies on.

        One that cannot be told from others stays, and so do all while a disk is being frozen: the
        next sweep comes.
        """
        if not self.folder.is_dir():
            return
        with suppress(BlockingIOError), self._alone(fcntl.LOCK_NB):
            try:
                used = self._used()
            except OSError as error:
                _log.warning("all layers stay: %s", error)
                return
            for layer in self.folder.iterdir():
                if layer not in used:
                    layer.unlink(missing_ok=True)
                    _log.info("layer %s is gone: no disk lies on it", layer.name)

    def _used(self) -> set[Path]:
        used: set[Path] = set()
        looked = [Path(root, name) for root, _, names in os.walk(self._instances) for name in names]
        while looked:
            try:
                below = Path(Qcow2Header.read(looked.pop()).backing)
            except (NotQcow2, FileNotFoundError):  # removed since it was listed
                continue
            if below.parent == self.folder and below not in used:
                used.add(below)
                looked.append(below)
        return used

    @contextmanager
    def _alone(self, flags: int = 0) -> Iterator[None]:
        """Between a layer's name and the first disk on it nobody may sweep."""
        self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | flags)
            yield
        finally:
            os.close(handle)


def no_disk(instance: InstanceId, detail: str) -> NotFound:
    """The error for an instance that has left, or was deleted."""
    return NotFound(
        f"Instance {instance} has no disk on this host any more.", "DISK_NOT_FOUND", detail
    )


def _backing_of(disk: Path) -> Path:
    try:
        return Path(Qcow2Header.read(disk).backing)
    except (NotQcow2, FileNotFoundError) as error:
        raise _damaged(str(error)) from error


def _damaged(words: str) -> HypervisorRefused:
    return HypervisorRefused(
        "A file that the instance's disk lies on is damaged or gone.", "DISK_DAMAGED", words
    )


def _active(conn: libvirt.virConnect, instance: InstanceId) -> libvirt.virDomain | None:
    found = domains.find(conn, instance)
    if found is None:
        return None
    domain, _ = found
    if domain.isActive():
        return domain
    if domain.hasManagedSaveImage(0):
        raise Conflict(
            f"Instance {instance} is suspended: its disk waits for its memory. Resume it first.",
            "INSTANCE_SUSPENDED",
        )
    return None


def _go_on_in(conn: libvirt.virConnect, domain: libvirt.virDomain, overlay: Path) -> None:
    """Let the guest write into this file from now on; where it does already, nothing is done.

    Raises:
        HypervisorRefused: What it writes into now is not what the file lies on.
    """
    target, current = _root(domain, overlay.parent)
    if current == overlay:
        return
    if not _backing_of(overlay).samefile(current):
        raise HypervisorRefused(
            "The guest does not run on its own disk.", "DISK_DAMAGED", f"{current} under {overlay}"
        )
    snapshot = ET.Element("domainsnapshot")
    disks = ET.SubElement(snapshot, "disks")
    for name in sorted(domains.disk_targets(conn, domain)):
        if name != target:
            ET.SubElement(disks, "disk", name=name, snapshot="no")
            continue
        disk = ET.SubElement(disks, "disk", name=name, snapshot="external", type="file")
        ET.SubElement(disk, "driver", type="qcow2")
        ET.SubElement(disk, "source", file=str(overlay))
    domain.snapshotCreateXML(ET.tostring(snapshot, encoding="unicode"), _SNAPSHOT)


def _root(domain: libvirt.virDomain, folder: Path) -> tuple[str, Path]:
    """What the guest calls its root disk (another disk may be the first), and the file it is."""
    for disk in ET.fromstring(domain.XMLDesc(0)).iterfind("devices/disk"):  # noqa: S314 - libvirt's
        source, target = disk.find("source"), disk.find("target")
        if source is None or target is None:
            continue
        path = Path(source.get("file", ""))
        if path.parent == folder and root_disk.is_root(path.name):
            return target.get("dev", ""), path
    raise HypervisorRefused(
        "The guest does not run on its own disk.", "DISK_DAMAGED", f"no disk of {folder}"
    )


def _is_blank(disk: Path) -> bool:
    """Whether nothing has been written into a disk, so that it is what it lies on."""
    command = ("qemu-img", "map", "-f", "qcow2", "--output=json", str(disk))
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_QEMU_IMG_SECONDS, check=False
    )
    if done.returncode != 0:
        raise refused("read the disk", f"qemu-img: {done.stderr.strip()}")
    return all(piece["depth"] > 0 or not piece["present"] for piece in json.loads(done.stdout))
