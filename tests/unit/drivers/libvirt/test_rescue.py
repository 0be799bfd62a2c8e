"""The domain of a rescued instance: which disk is which, and what its kernel is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from actors.drivers.libvirt.build import domain_of
from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.rescue import rescued
from actors.model.ids import VolumeId
from actors.model.image import BootSource
from actors.model.instance import AttachedVolume, Rescue
from actors.ports.hypervisor import BootFiles
from tests.contract import records
from tests.unit.drivers.libvirt.test_domain_golden import BASE, ID, KERNEL, RAMDISK, place

RESCUE_BASE = BASE.with_name("rescue")
RESCUE_DISK = "/var/lib/novaray/instances/x/rescue.qcow2"
FILES = BootFiles(BASE, KERNEL, RAMDISK)


def domain(source: BootSource, files: BootFiles) -> Domain:
    """Of an instance that boots with a kernel, has all disks there are, and is rescued."""
    size = records.flavor(512, 2, 1).evolve(ephemeral_gb=3, swap_mb=100)
    record = records.instance(ID, size=size, boot=records.source(kernel=True)).evolve(
        rescue=Rescue(source=source)
    )
    own = domain_of(record, 7, place("qemu", FILES, config_drive=True))
    return rescued(own, record, RESCUE_DISK, files)


def test_its_own_disks_follow_the_rescue_disk() -> None:
    found = domain(records.source(), BootFiles(RESCUE_BASE))
    assert [(disk.target, disk.source.rpartition("/")[2]) for disk in found.disks] == [
        ("vda", "rescue.qcow2"),
        ("vdb", "disk.qcow2"),
        ("vdc", "disk.eph0"),
        ("vdd", "disk.swap"),
        ("hda", "config.iso"),
    ]
    first, second = found.disks[:2]
    assert first.backing is not None
    assert second.backing is not None
    assert (first.backing.source, second.backing.source) == (str(RESCUE_BASE), str(BASE))
    assert (first.cache, first.discard) == (second.cache, second.discard)


def test_a_root_that_is_a_volume_follows_as_well() -> None:
    root = AttachedVolume(volume=VolumeId("v"), target="vda", size_gb=1)
    data = AttachedVolume(volume=VolumeId("w"), target="vdb", size_gb=1)
    record = records.instance(ID).evolve(
        volumes=(root, data), rescue=Rescue(source=records.source())
    )
    files = {one.volume: Path(f"/volumes/{one.volume}.qcow2") for one in record.volumes}
    own = domain_of(record, 7, replace(place("qemu", FILES), volumes=files))
    found = rescued(own, record, RESCUE_DISK, BootFiles(RESCUE_BASE))
    assert [(disk.target, disk.source, disk.serial) for disk in found.disks] == [
        ("vda", RESCUE_DISK, None),
        ("vdb", "/volumes/v.qcow2", "v"),
        ("vdc", "/volumes/w.qcow2", "w"),
    ]


def test_an_image_with_a_boot_loader_needs_no_kernel() -> None:
    found = domain(records.source(), BootFiles(RESCUE_BASE)).os
    assert (found.boot, found.kernel, found.ramdisk, found.command_line) == ("hd",) + (None,) * 3


@pytest.mark.parametrize(
    ("sha256", "root"), [("0" * 64, "root=/dev/vda"), ("1" * 64, "root=LABEL=rootfs")]
)
def test_of_its_own_image_the_root_is_named_by_its_device(sha256: str, root: str) -> None:
    """Else the label would be on both disks."""
    source = records.source(kernel=True)
    source = source.evolve(disk=source.disk.evolve(sha256=sha256))
    found = domain(source, replace(FILES, disk=RESCUE_BASE)).os
    assert found.command_line == f"{root} console=ttyS0"
    assert (found.boot, found.kernel, found.ramdisk) == (None, str(KERNEL), str(RAMDISK))
