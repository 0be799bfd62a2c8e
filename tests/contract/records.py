"""Instances to drive a hypervisor with."""

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from uuid import UUID, uuid4

from actors.model.flavor import Flavor
from actors.model.ids import (
    FlavorId,
    ImageId,
    InstanceId,
    NetworkId,
    PortId,
    ProjectId,
    RequestId,
    UserId,
)
from actors.model.image import BootFile, BootSource, DiskFormat
from actors.model.instance import InstanceRecord
from actors.model.network import Network, Nic

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
MIB = 1024**2
IMAGE = ImageId("a7c5e0de-0000-4000-8000-000000000001")
NETWORK = NetworkId("a7c5e0de-0000-4000-8000-000000000002")
PROJECT = ProjectId("a7c5e0de-0000-4000-8000-000000000003")


def flavor(memory_mb: int = 32, vcpus: int = 1, disk_gb: int = 0) -> Flavor:
    """A size; as small as a machine's BIOS can live in, unless told."""
    return Flavor(
        id=FlavorId("9"), name="t.bios", vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb
    )


#: One of each extra spec that shows in a domain.
SPECS = {
    "quota:cpu_shares": "512",
    "quota:cpu_period": "50000",
    "quota:cpu_quota": "25000",
    "quota:disk_read_bytes_sec": "10485760",
    "quota:disk_write_bytes_sec": "5242880",
    "quota:disk_total_iops_sec": "500",
    "hw:watchdog_action": "reset",
    "hw_rng:rate_bytes": "1024",
    "hw_rng:rate_period": "500",
}


def boot_file(format_: DiskFormat = DiskFormat.QCOW2) -> BootFile:
    """A file of the image."""
    return BootFile(image=IMAGE, sha256="0" * 64, size=4096, disk_format=format_)


def source(kernel: bool = False, virtual_size: int = 4 * MIB) -> BootSource:
    """What to boot: a disk, and a kernel with its ramdisk if told."""
    return BootSource(
        image=IMAGE,
        image_name="blank",
        disk=boot_file(),
        virtual_size=virtual_size,
        kernel=boot_file(DiskFormat.AKI) if kernel else None,
        ramdisk=boot_file(DiskFormat.ARI) if kernel else None,
        command_line="root=LABEL=rootfs console=ttyS0" if kernel else "",
    )


def nic(number: int = 1) -> Nic:
    """A card on the one network."""
    network = Network(
        id=NETWORK,
        project=ProjectId(""),
        label="flat",
        cidr=IPv4Network("10.1.0.0/24"),
        gateway=IPv4Address("10.1.0.1"),
        dhcp=IPv4Address("10.1.0.2"),
        mtu=1450,
        created=NOW,
    )
    return Nic(
        port=PortId(str(UUID(int=(number << 96) | number))),
        network=network,
        mac=f"fa:16:3e:00:00:{number:02x}",
        address=IPv4Address("10.1.0.10") + number,
    )


def instance(
    id_: str | None = None,
    name: str = "web-1",
    size: Flavor | None = None,
    boot: BootSource | None = None,
    nics: tuple[Nic, ...] = (),
) -> InstanceRecord:
    """An instance with an id of its own."""
    return InstanceRecord(
        id=InstanceId(id_ or str(uuid4())),
        project=PROJECT,
        user=UserId("a7c5e0de-0000-4000-8000-000000000004"),
        name=name,
        request_id=RequestId("request-1"),
        generation=3,
        flavor=size or flavor(),
        source=boot or source(),
        nics=nics,
        created=NOW,
        updated=NOW,
    )
