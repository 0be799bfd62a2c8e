"""Disks of libvirt's test driver: volumes of a storage pool, which live in its memory.

Why not pools for QEMU as well: ``docs/decisions/0011``.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import libvirt

from actors.drivers.libvirt import disks_resized
from actors.drivers.libvirt.disks import folder_of, make_folder, remove_folder, wanted_size
from actors.drivers.libvirt.layers import no_disk
from actors.drivers.libvirt.storage_xml import Pool, Volume
from actors.model.ids import InstanceId
from actors.model.image import BootSource
from actors.model.instance import InstanceRecord

#: The storage pool of the test driver.
POOL: Final = "novaray"


class PoolDisks:
    """Volumes of the test driver's storage pool: they live in its memory, with the domains.

    They take no room (allocation 0), so that the pool's made-up capacity never fills.
    """

    def __init__(self, instances: Path) -> None:
        self._instances = instances

    def path(self, instance: InstanceId) -> str:
        """The file that the volume pretends to be."""
        return str(self._instances / _volume_name(instance))

    def ensure(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """Make the volume (virStorageVolCreateXML)."""
        name, size = _volume_name(record.id), wanted_size(record)
        _ensure_volume(self._pool(conn), _overlay(name, record.source, base, size))

    def layers(self, instance: InstanceId) -> tuple[str, ...]:
        """None: volumes have no content that they could share."""
        return ()

    def take_plain_name(self, instance: InstanceId) -> None:
        """It never had another."""

    def clone(
        self, conn: libvirt.virConnect, record: InstanceRecord, origin: InstanceId, base: Path
    ) -> None:
        """Make the volume, if there is one to clone.

        Raises:
            NotFound: There is none.
        """
        if _find_volume(self._pool(conn), _volume_name(origin)) is None:
            raise no_disk(origin, _volume_name(origin))
        self.ensure(conn, record, base)

    def flatten(self, conn: libvirt.virConnect, record: InstanceRecord, base: Path) -> None:
        """It is."""

    def keep(self, conn: libvirt.virConnect, instance: InstanceId, layer: str) -> None:
        """There is nothing to keep."""

    def forget_kept(self, instance: InstanceId, layer: str) -> None:
        """There is nothing to forget."""

    def restore(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        layer: str,
        base: Path,
        sequence: int,
    ) -> None:
        """Make another volume like the one that is put aside."""
        self.put_aside(conn, record.id, sequence)
        self.ensure(conn, record, base)

    def is_restored(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> bool:
        """Whether the volumes are there."""
        there = _find_volume(self._pool(conn), _volume_name(instance)) is not None
        return there and self.are_aside(instance, sequence)

    def sweep_layers(self) -> None:
        """There are none."""

    def remove(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the volumes (virStorageVolDelete), and the folder with the console's note."""
        pool, folder = self._pool(conn), folder_of(self._instances, instance)
        for name in (
            _volume_name(instance),
            _rescue_volume_name(instance),
            *(_old_volume_name(instance, mark.name) for mark in folder.glob("old-*")),
        ):
            _remove_volume(pool, name)
        remove_folder(folder)

    def put_aside(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Make the volume anew under another name: libvirt has no call that renames one.

        An empty folder stands for it where a delete looks for it, and says that all is done.
        """
        mark = self._mark(instance, sequence)
        if not mark.exists():
            old = _old_volume_name(instance, mark.name)
            _rename_volume(self._pool(conn), _volume_name(instance), old)
            mark.mkdir(parents=True)

    def are_aside(self, instance: InstanceId, sequence: int) -> bool:
        """Whether that is done."""
        return self._mark(instance, sequence).exists()

    def put_back(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Make it anew under its own name."""
        mark, pool = self._mark(instance, sequence), self._pool(conn)
        if mark.exists():
            name, old = _volume_name(instance), _old_volume_name(instance, mark.name)
            if _find_volume(pool, old) is not None:
                _remove_volume(pool, name)
                _rename_volume(pool, old, name)
            mark.rmdir()
        self._resized(instance, sequence).unlink(missing_ok=True)

    def forget(self, conn: libvirt.virConnect, instance: InstanceId, sequence: int) -> None:
        """Remove it."""
        mark = self._mark(instance, sequence)
        _remove_volume(self._pool(conn), _old_volume_name(instance, mark.name))
        if mark.exists():
            mark.rmdir()
        self._resized(instance, sequence).unlink(missing_ok=True)

    def has_resized(self, record: InstanceRecord) -> bool:
        """Whether they have their mark."""
        former = record.former
        return former is not None and self._resized(record.id, former.sequence).exists()

    def resize(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        base: Path,
        incoming: Path | None,
    ) -> None:
        """Make a volume of the new size: there is nothing to copy."""
        if record.former is None or self.has_resized(record):
            return
        if incoming is None:
            self.put_aside(conn, record.id, record.former.sequence)
        self.ensure(conn, record, base)
        mark = self._resized(record.id, record.former.sequence)
        make_folder(mark.parent)
        mark.touch()

    def files(self, instance: InstanceId) -> tuple[Path, ...]:
        """None."""
        return ()

    def _resized(self, instance: InstanceId, sequence: int) -> Path:
        return disks_resized.mark_of(folder_of(self._instances, instance), sequence)

    def rescue_path(self, instance: InstanceId) -> str:
        """The file that the volume pretends to be."""
        return str(self._instances / _rescue_volume_name(instance))

    def ensure_rescue(
        self, conn: libvirt.virConnect, instance: InstanceId, source: BootSource, base: Path
    ) -> None:
        """Make the volume."""
        name = _rescue_volume_name(instance)
        _ensure_volume(self._pool(conn), _overlay(name, source, base, source.virtual_size))

    def remove_rescue(self, conn: libvirt.virConnect, instance: InstanceId) -> None:
        """Remove the volume."""
        _remove_volume(self._pool(conn), _rescue_volume_name(instance))

    def _mark(self, instance: InstanceId, sequence: int) -> Path:
        return folder_of(self._instances, instance) / f"old-{sequence}"

    def _pool(self, conn: libvirt.virConnect) -> libvirt.virStoragePool:
        try:
            return conn.storagePoolLookupByName(POOL)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
        pool = conn.storagePoolDefineXML(Pool(POOL, str(self._instances)).to_text(), 0)
        pool.create(0)
        return pool


def _volume_name(instance: InstanceId) -> str:
    return f"{instance}.qcow2"


def _rescue_volume_name(instance: InstanceId) -> str:
    return f"{instance}.rescue.qcow2"


def _old_volume_name(instance: InstanceId, mark: str) -> str:
    return f"{instance}.{mark}.qcow2"


def _overlay(name: str, source: BootSource, base: Path, size: int) -> Volume:
    return Volume(
        name=name,
        capacity=size,
        backing=str(base),
        backing_format=str(source.disk.disk_format),
    )


def _find_volume(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def _ensure_volume(pool: libvirt.virStoragePool, volume: Volume) -> None:
    try:
        pool.createXML(volume.to_text(), 0)
    except libvirt.libvirtError:
        # libvirt has no code for "exists already" here, only words.
        if _find_volume(pool, volume.name) is None:
            raise


def _remove_volume(pool: libvirt.virStoragePool, name: str) -> None:
    volume = _find_volume(pool, name)
    if volume is not None:
        volume.delete(0)


def _rename_volume(pool: libvirt.virStoragePool, name: str, new: str) -> None:
    found = _find_volume(pool, name)
    if found is not None:
        _ensure_volume(pool, replace(Volume.from_text(found.XMLDesc(0)), name=new))
        found.delete(0)
