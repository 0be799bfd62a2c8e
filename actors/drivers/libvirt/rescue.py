"""The domain of a rescued instance: its own, with another disk before its disks. Pure."""

from dataclasses import replace
from string import ascii_lowercase

from actors.drivers.libvirt.device_xml import Disk, backing_chain
from actors.drivers.libvirt.domain_xml import Domain
from actors.model.instance import Rescue
from actors.ports.hypervisor import BootFiles

_VIRTIO = "vd"


def rescued(own: Domain, rescue: Rescue, disk: str, files: BootFiles) -> Domain:
    """The domain that boots ``disk`` as vda; its own disks are vdb and the following.

    Nova: the image property ``hw_rescue_device`` chooses a bus; here it is always virtio.
    """
    root = next(each for each in own.disks if each.target == f"{_VIRTIO}a")
    first = replace(
        root,
        source=disk,
        backing=backing_chain((str(files.disk), str(rescue.source.disk.disk_format))),
    )
    kernel, ramdisk = files.kernel, files.ramdisk
    return replace(
        own,
        os=replace(
            own.os,
            boot="hd" if kernel is None else None,
            kernel=None if kernel is None else str(kernel),
            ramdisk=None if ramdisk is None else str(ramdisk),
            command_line=(rescue.source.command_line or None) if kernel is not None else None,
        ),
        disks=(first, *(_after(each) for each in own.disks)),
    )


def _after(disk: Disk) -> Disk:
    """The disk, one letter further on; what is on another bus stays where it is."""
    if not disk.target.startswith(_VIRTIO):
        return disk
    letter = ascii_lowercase[ascii_lowercase.index(disk.target.removeprefix(_VIRTIO)) + 1]
    return replace(disk, target=_VIRTIO + letter)
