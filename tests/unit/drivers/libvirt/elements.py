"""One of each element, every field set to something that is not its default.

No instance needs them all, yet each must be written and read: ``test_elements`` fails for a field
that no golden file shows.
"""

from actors.drivers.libvirt.accelerator import DomainCapabilities
from actors.drivers.libvirt.device_xml import (
    BackingStore,
    Balloon,
    Controller,
    Disk,
    Graphics,
    Interface,
    MemoryModule,
    Rng,
    Serial,
    Video,
    Watchdog,
)
from actors.drivers.libvirt.domain_xml import (
    Clock,
    Cpu,
    Domain,
    Entry,
    Features,
    MaxMemory,
    NumaCell,
    Os,
    Sysinfo,
    Timer,
    Vcpu,
)
from actors.drivers.libvirt.element import Element
from actors.drivers.libvirt.metadata_xml import FlavorElement, InstanceElement
from actors.drivers.libvirt.storage_xml import Node, NodeCpu, Pool, Volume
from actors.drivers.libvirt.tuning_xml import CpuTune, IoTune

_POOL = Pool("novaray", "/srv/instances", kind="fs")

ELEMENTS: dict[str, Element] = {
    "every-field": Domain(
        kind="kvm",
        name="name",
        uuid="uuid",
        memory_kib=1,
        vcpus=2,
        os=Os(
            "x86_64",
            "q35",
            "xen",
            "/kernel",
            "/ramdisk",
            "quiet",
            "network",
            "efi",
            "secure-boot",
            False,
            "/nvram",
            "host",
        ),
        current_vcpus=1,
        each_vcpu=(Vcpu(1, True, False),),
        max_memory=MaxMemory(3, 4, "MiB"),
        cputune=CpuTune(2, 3, 4, 5, 6),
        title="title",
        instance=InstanceElement(
            id="id",
            project="project",
            generation=3,
            sequence=4,
            name="name",
            flavor=FlavorElement("1", "m1.tiny", 5, 6, 7),
            record="{}",
        ),
        sysinfo=Sysinfo((Entry("product", "product"),), "hwinfo"),
        features=Features(acpi=False, apic=False, tcg_cache_kib=8),
        cpu=Cpu("host-passthrough", NumaCell("0-1", 1, 2, "MiB")),
        clock=Clock("localtime", (Timer("tsc", "discard", True),)),
        on_poweroff="preserve",
        on_reboot="destroy",
        on_crash="restart",
        disks=(
            Disk(
                source="/disk",
                target="sdb",
                kind="block",
                device="cdrom",
                driver="tap",
                format="raw",
                cache="unsafe",
                discard="ignore",
                bus="ide",
                readonly=True,
                backing=BackingStore(
                    "/layer", "qcow2", "file", BackingStore("/base", "raw", "block")
                ),
                iotune=IoTune(1, 2, 3, 4, 5, 6),
                serial="a-volume",
            ),
        ),
        controllers=(Controller("scsi", "virtio-scsi"),),
        interfaces=(Interface("bridge", "fa:16:3e:00:00:01", "br0", "tap0", "e1000", 9000),),
        serials=(Serial("/console", "pipe", "off", 1),),
        graphics=Graphics("spice", "socket"),
        video=Video("virtio"),
        memories=(MemoryModule(1, "ua-memory-0", "MiB", 1, "nvdimm"),),
        balloon=Balloon("none", 20),
        rng=Rng("virtio-transitional", "egd", "/dev/random", 1, 2),
        watchdog=Watchdog("reset", "ib700"),
    ),
    "pool": _POOL,
    "volume": Volume("volume", 1, 2, "raw", "/base", "qcow2"),
    "node": Node(NodeCpu(1, 2, 3000, "i486", 4, 5, 6), 7, (_POOL,)),
    "domain-capabilities": DomainCapabilities("kvm", "x86_64", 255),
}
