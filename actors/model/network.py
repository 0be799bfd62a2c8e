"""Networks, and the ports that give an instance its addresses (Neutron's words)."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.ids import InstanceId, NetworkId, PortId, ProjectId, SecurityGroupId

#: What guests' host names end in (Nova: ``dhcp_domain``).
DOMAIN: Final = "novalocal"
#: What every IPv4 host must take (RFC 791 3.1).
SMALLEST_MTU: Final = 576
#: Cards an instance may be booted with. Its machine type has 32 PCI slots, which disks need too.
CARD_LIMIT: Final = 8


class NetworkKind(StrEnum):
    """How frames come from one host to another (Neutron: ``provider:network_type``)."""

    #: Over a card of the host's that joins the bridge; nowhere, where the host has none for it.
    FLAT = "flat"
    #: In UDP between the hosts that have guests on it (RFC 7348).
    VXLAN = "vxlan"


class AddressRange(StoredRecord):
    """Addresses that may be given away, both ends among them (Neutron: an allocation pool)."""

    first: IPv4Address
    last: IPv4Address


class Subnet6(StoredRecord):
    """A network's IPv6 range."""

    cidr: IPv6Network
    gateway: IPv6Address


class Network(StoredRecord):
    """A network with one IPv4 range, and one of IPv6 where it has any.

    ``project`` is empty for a network all projects share.
    """

    id: NetworkId
    project: ProjectId
    label: str
    cidr: IPv4Network
    gateway: IPv4Address
    #: Serves DHCP in the namespace ``qdhcp-<id>`` of every host.
    dhcp: IPv4Address
    mtu: int = Field(default=1500, ge=SMALLEST_MTU, le=9000)
    shared: bool = True
    kind: NetworkKind = NetworkKind.FLAT
    #: The VXLAN's number, which no other network has (24 bits); 0 where there is none.
    vni: int = Field(default=0, ge=0, lt=1 << 24)
    #: Name servers guests are told of; none: the network's own.
    dns: tuple[IPv4Address | IPv6Address, ...] = ()
    #: What may be given away of the IPv4 range; none: all of it.
    pools: tuple[AddressRange, ...] = ()
    ipv6: Subnet6 | None = None
    created: Instant
    generation: int = 1

    @property
    def name_servers(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Where its guests ask for names."""
        return self.dns or (self.dhcp,)


class WantedCard(StoredRecord):
    """A card that whoever boots an instance asks for."""

    network: NetworkId
    #: None: any that is free.
    address: IPv4Address | None = None


class Port(StoredRecord):
    """One network card of one instance."""

    id: PortId
    instance: InstanceId
    project: ProjectId
    network: NetworkId
    mac: str
    address: IPv4Address
    address6: IPv6Address | None = None
    #: What may come in and go out. None named: nothing comes in but answers.
    groups: tuple[SecurityGroupId, ...] = ()
    #: The newest operation that asked for it: an older one's release changes nothing.
    sequence: int = 0
    #: Its place among the instance's cards, from 0.
    position: int = 0
    generation: int = 1


class Nic(StoredRecord):
    """A port as its instance and its host need it: with what they must know of the network."""

    port: PortId
    network: Network
    mac: str
    address: IPv4Address

    @property
    def device(self) -> str:
        """The tap device's name on the host: at most 15 characters (IFNAMSIZ)."""
        return f"tap{self.port[:11]}"
