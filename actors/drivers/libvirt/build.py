"""An instance's domain: what novaray decides about it.

Pure: record and host facts in, element out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from actors.drivers.libvirt import live_size, tuning
from actors.drivers.libvirt.device_xml import (
    Balloon,
    Controller,
    Disk,
    Graphics,
    Interface,
    Serial,
    Video,
    backing_chain,
)
from actors.drivers.libvirt.domain_xml import (
    Clock,
    Domain,
    Entry,
    Features,
    Os,
    Sysinfo,
    Timer,
)
from actors.drivers.libvirt.element import legal_text
from actors.drivers.libvirt.extra_disks import extra_disks
from actors.drivers.libvirt.metadata_xml import instance_element
from actors.lifecycle.targets import volume_targets
from actors.model.extra_specs import FirmwareType
from actors.model.ids import VolumeId
from actors.model.instance import ROOT_TARGET, AttachedVolume, InstanceRecord
from actors.model.network import Nic
from actors.ports.hypervisor import BootFiles

#: libvirt's domain type of its test driver.
TEST: Final = "test"
KVM: Final = "kvm"
#: What a UEFI keeps, in the instance's folder.
NVRAM: Final = "nvram.fd"
#: cloud-init asks the metadata service of a machine that calls itself so, and of no other
#: (``DataSourceOpenStack.detect_openstack``).
_PRODUCT: Final = "OpenStack Nova"
#: 32 MiB of translated code hold a small guest; QEMU's own default can grow to 1 GiB a guest.
_TCG_CACHE_KIB: Final = 32 * 1024
#: A guest that missed ticks gets them late (pit) or at once (rtc); without HPET it idles cheaper.
_TIMERS: Final = (
    Timer("pit", tick_policy="delay"),
    Timer("rtc", tick_policy="catchup"),
    Timer("hpet", present=False),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What the host brings to a domain."""

    #: libvirt's domain type: ``kvm``, ``qemu`` or ``test``.
    virt_type: str
    #: The instance's own folder.
    folder: Path
    #: The instance's own disk.
    disk: str
    #: QEMU's cache mode for it.
    cache: str
    console: Path
    files: BootFiles
    #: Bridges by network id.
    bridges: Mapping[str, str]
    #: What the disk lies on above its base image, the nearest first.
    layers: tuple[str, ...] = ()
    #: None for none.
    config_drive: Path | None = None
    #: Files of the record's volumes.
    volumes: Mapping[VolumeId, Path] = field(default_factory=dict)


def domain_of(record: InstanceRecord, sequence: int, place: Place) -> Domain:
    """The domain of an instance."""
    flavor = record.flavor
    most_vcpus, vcpus = live_size.vcpus(record, place.virt_type)
    return Domain(
        kind=place.virt_type,
        # Unique on every host the instance may come to; tenants' names are not.
        name=record.id,
        uuid=record.id,
        title=_title(record.name),
        instance=instance_element(record, sequence),
        memory_kib=record.size_now.memory_mb * 1024,
        max_memory=live_size.max_memory(flavor),
        vcpus=most_vcpus,
        current_vcpus=vcpus,
        each_vcpu=live_size.each_vcpu(record, place.virt_type),
        os=_os(record, place),
        sysinfo=Sysinfo((Entry("manufacturer", "novaray"), Entry("product", _PRODUCT))),
        cputune=tuning.cpu_tune(flavor, place.virt_type, record.size_now.vcpus),
        features=Features(tcg_cache_kib=_TCG_CACHE_KIB if place.virt_type == "qemu" else None),
        cpu=live_size.cpu(record, place.virt_type),
        clock=Clock(timers=_TIMERS),
        disks=(
            _root_disk(record, place),
            *_extra_disks(record, place),
            *volume_disks(record, place.volumes, place.cache),
            *_config_drive(place),
        ),
        # libvirt adds a USB controller otherwise, which costs an idle guest processor time.
        controllers=(Controller("usb", "none"),),
        interfaces=tuple(_interface(nic, place.bridges) for nic in record.nics),
        serials=(Serial(str(place.console)),),
        # 2.5 MB of a guest's memory on the host, and no processor time (ADR 0014).
        graphics=Graphics(),
        video=Video(),
        memories=live_size.modules(record),
        balloon=Balloon(),
        rng=tuning.rng(flavor),
        watchdog=tuning.watchdog(flavor),
    )


def _title(name: str) -> str | None:
    """The tenant's name for ``virsh list --title``: one line, since libvirt refuses more."""
    return " ".join(legal_text(name).split()) or None


def _os(record: InstanceRecord, place: Place) -> Os:
    # The test driver knows one kind of machine (virTestCapsInit).
    arch, machine = ("i686", None) if place.virt_type == TEST else ("x86_64", "pc")
    files = place.files
    os = Os(arch, machine)
    if tuning.firmware(record) is FirmwareType.UEFI and place.virt_type != TEST:
        os = replace(
            os,
            firmware="efi",
            # An image's boot loader need not be signed by anybody.
            feature="secure-boot",
            feature_enabled=False,
            nvram=str(place.folder / NVRAM),
        )
    if files.kernel is None:
        return replace(os, boot="hd")
    return replace(
        os,
        kernel=str(files.kernel),
        ramdisk=None if files.ramdisk is None else str(files.ramdisk),
        command_line=record.source.command_line or None,
    )


def _root_disk(record: InstanceRecord, place: Place) -> Disk:
    for volume in record.volumes:
        if volume.target == ROOT_TARGET:
            return _volume_disk(volume, place.volumes[volume.volume], place.cache)
    return Disk(
        source=place.disk,
        target="vda",
        cache=place.cache,
        discard="unmap",
        backing=backing_chain(
            *((layer, "qcow2") for layer in place.layers),
            (str(place.files.disk), str(record.source.disk.disk_format)),
        ),
        iotune=tuning.io_tune(record.flavor),
    )


def _extra_disks(record: InstanceRecord, place: Place) -> tuple[Disk, ...]:
    return tuple(
        Disk(
            source=str(place.folder / disk.name),
            target=disk.target,
            format="raw",
            cache=place.cache,
            discard="unmap",
            iotune=tuning.io_tune(record.flavor),
        )
        for disk in extra_disks(record.flavor, volume_targets(record))
    )


def volume_disks(
    record: InstanceRecord, files: Mapping[VolumeId, Path], cache: str
) -> tuple[Disk, ...]:
    """The disks of the record's volumes, but for the one that it boots from."""
    return tuple(
        _volume_disk(one, files[one.volume], cache)
        for one in record.volumes
        if one.target != ROOT_TARGET
    )


def _volume_disk(volume: AttachedVolume, file: Path, cache: str) -> Disk:
    # Nova: the volume's id, of which the guest sees the first 20 characters.
    return Disk(
        source=str(file),
        target=volume.target,
        cache=cache,
        discard="unmap",
        serial=volume.volume,
    )


def _config_drive(place: Place) -> tuple[Disk, ...]:
    if place.config_drive is None:
        return ()
    # IDE: a guest kernel made for clouds has no driver for SATA.
    return (
        Disk(
            source=str(place.config_drive),
            target="hda",
            device="cdrom",
            format="raw",
            bus="ide",
            readonly=True,
        ),
    )


def _interface(nic: Nic, bridges: Mapping[str, str]) -> Interface:
    bridge = bridges.get(nic.network.id)
    # Without a bridge the card hangs on a tap device that leads nowhere: the guest sees its
    # hardware, and nothing of the host's own network.
    kind = "ethernet" if bridge is None else "bridge"
    return Interface(kind, nic.mac, bridge, nic.device, mtu=nic.network.mtu)
