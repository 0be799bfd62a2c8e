"""What another host reads of an instance's disks. Blocking; nothing runs on them."""

import hashlib
from pathlib import Path

from actors.drivers.contents import read_piece
from actors.drivers.libvirt.errors import from_os
from actors.model.errors import NotFound
from actors.model.ids import InstanceId
from actors.ports.host import DiskFile
from actors.ports.hypervisor import Hypervisor


def measured(hypervisor: Hypervisor, instance: InstanceId) -> tuple[DiskFile, ...]:
    """The files, each with its size and checksum (``ports.host.Host.disk_files``)."""
    try:
        return tuple(_measured(path) for path in hypervisor.disk_files(instance))
    except OSError as error:
        raise from_os(error, f"read the disk of instance {instance}") from error


def read(
    hypervisor: Hypervisor, instance: InstanceId, name: str, offset: int, length: int
) -> bytes:
    """A piece of one of them (``ports.host.Host.read_disk``)."""
    for path in hypervisor.disk_files(instance):
        if path.name == name:
            try:
                return read_piece(path, offset, length)
            except OSError as error:
                raise from_os(error, f"read the disk of instance {instance}") from error
    raise NotFound(f"Instance {instance} has no such disk here.", "DISK_NOT_FOUND", name)


def _measured(path: Path) -> DiskFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return DiskFile(path.name, file.seek(0, 2), digest)
