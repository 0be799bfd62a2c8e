"""What a HostActor is made of: its libvirt and its networks.

Apart from ``cluster.spawn``, since a HostActor imports this in its own process, and must not have
the whole cluster's code in its memory for it.
"""

import secrets
from typing import TYPE_CHECKING, Final

from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.drivers.libvirt.testnode import write_test_node
from actors.guestdata.guest import HostShare
from actors.hostnet.no_network import NoNetwork
from actors.model.host import Inventory
from actors.ports.hypervisor import HostNetwork
from cluster.config import Settings
from cluster.files import read_or_make
from cluster.vendor_data import read_vendor_data

if TYPE_CHECKING:
    from actors.drivers.config_drive import ConfigDrives

_SECRET_BYTES: Final = 32


def make_hypervisor(settings: Settings) -> LibvirtHypervisor:
    """The host's libvirt; made in the HostActor's own process, where its files lie."""
    uri = write_test_node(settings.state_dir) if settings.is_test else settings.libvirt_uri
    return LibvirtHypervisor(
        LibvirtSettings(
            uri=uri,
            state_dir=settings.state_dir,
            virt_type=settings.virt_type,
            cpu_ratio=settings.cpu_ratio,
            memory_ratio=settings.memory_ratio,
            disk_ratio=settings.disk_ratio,
            reserved_memory_mb=settings.reserved_memory_mb,
            volumes=settings.volumes_dir,
            inventory=_inventory(settings),
        ),
        _drives(settings),
    )


def make_network(settings: Settings) -> HostNetwork:
    """The host's side of the networks: none where no guest has packets."""
    if settings.is_test:
        return NoNetwork()
    # Needs netlink and what speaks it: 10 MiB that a test host can do without.
    from actors.hostnet.bridge_network import BridgeNetwork

    return BridgeNetwork(
        settings.state_dir / "network",
        host_share(settings),
        settings.network_uplink or None,
        settings.tunnel,
    )


def host_share(settings: Settings) -> HostShare:
    """What this host adds to its guests' data. Its secret is made once.

    Raises:
        Trouble: The file with the vendor data is not what it should be.
    """
    secret = read_or_make(settings.state_dir / "guest-secret", secrets.token_hex(_SECRET_BYTES))
    return HostShare(bytes.fromhex(secret), read_vendor_data(settings.vendor_data))


def _drives(settings: Settings) -> "ConfigDrives | None":
    if settings.is_test:
        return None
    # 6 MiB that a test host can do without.
    from actors.drivers.config_drive import ConfigDrives

    return ConfigDrives(host_share(settings))


def _inventory(settings: Settings) -> Inventory | None:
    """What the operator says the host has, where all of it is said."""
    if settings.vcpus is None or settings.memory_mb is None or settings.disk_gb is None:
        return None
    return Inventory(
        vcpus=settings.vcpus,
        memory_mb=settings.memory_mb,
        disk_gb=settings.disk_gb,
        reserved_memory_mb=settings.reserved_memory_mb,
        cpu_ratio=settings.cpu_ratio,
        memory_ratio=settings.memory_ratio,
        disk_ratio=settings.disk_ratio,
    )
