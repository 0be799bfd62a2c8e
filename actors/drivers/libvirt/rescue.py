"""The domain of a rescued instance: its own, with another disk before its disks. Pure."""

import re
from dataclasses import replace
from string import ascii_lowercase
from typing import Final

from actors.drivers.libvirt.device_xml import Disk, backing_chain
from actors.drivers.libvirt.domain_xml import Domain
from actors.model.image import BootSource
from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import BootFiles

_VIRTIO: Final = "vd"
_ROOT: Final = re.compile(r"\broot=(LABEL|UUID)=\S+")


def rescued(own: Domain, record: InstanceRecord, disk: str, files: BootFiles) -> Domain:
    """The domain that boots ``disk`` as vda; its own disks are vdb and the following.

    Nova: the image property ``hw_rescue_device`` chooses a bus; here it is always virtio.
    """
    rescue = record.rescue
    if rescue is None:
        return own
    root = next(each for each in own.disks if each.target == f"{_VIRTIO}a")
    first = replace(
        root,
        source=disk,
        backing=backing_chain((str(files.disk), str(rescue.source.disk.disk_format))),
        serial=None,  # that of the volume, where its own root is one
    )
    kernel, ramdisk = files.kernel, files.ramdisk
    return replace(
        own,
        os=replace(
            own.os,
            boot="hd" if kernel is None else None,
            kernel=None if kernel is None else str(kernel),
            ramdisk=None if ramdisk is None else str(ramdisk),
            command_line=_command_line(rescue.source, record.source) if kernel else None,
        ),
        disks=(first, *(_after(each) for each in own.disks)),
    )


def _command_line(source: BootSource, own: BootSource) -> str | None:
    """What the rescue image's kernel is told.

    Of the same image, the instance's own disk has the same labels and UUIDs: then the root is named
    by its device, as Nova does for every kernel.
    """
    line = source.command_line
    if source.disk.sha256 == own.disk.sha256:
        line = _ROOT.sub(f"root=/dev/{_VIRTIO}a", line)
    return line or None


def _after(disk: Disk) -> Disk:
    """The disk, one letter further on; what is on another bus stays where it is."""
    if not disk.target.startswith(_VIRTIO):
        return disk
    letter = ascii_lowercase[ascii_lowercase.index(disk.target.removeprefix(_VIRTIO)) + 1]
    return replace(disk, target=_VIRTIO + letter)
