"""What the gateway asks of the NetworkActor about networks."""

from ipaddress import IPv4Address, IPv4Network
from typing import Final

from pydantic import Field

from actors.model.base import Record
from actors.model.ids import NetworkId, ProjectId
from actors.model.labels import InstanceName
from actors.model.network import SMALLEST_MTU, AddressRange, NetworkKind

#: Networks a project may have (Neutron: ``quota_network``).
NETWORK_LIMIT: Final = 100
#: Name servers a network may name (Neutron: ``max_dns_nameservers``).
DNS_LIMIT: Final = 5
#: Ranges that addresses are given from.
POOL_LIMIT: Final = 16


class CreateNetwork(Record):
    """Make a network. ``id`` follows from project and request id (``network_id_for``).

    What is None is chosen: see ``actors.model.subnet.network_of``.
    """

    id: NetworkId
    project: ProjectId
    #: 1 to 255 printable characters. Need not be unique.
    label: InstanceName
    kind: NetworkKind = NetworkKind.VXLAN
    shared: bool = False
    cidr: IPv4Network
    gateway: IPv4Address | None = None
    dhcp: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = Field(default=(), max_length=DNS_LIMIT)
    pools: tuple[AddressRange, ...] = Field(default=(), max_length=POOL_LIMIT)
    mtu: int | None = Field(default=None, ge=SMALLEST_MTU, le=9000)
