"""What a host says it has of the networks, and what it is told of them.

What is where is the hosts' own word: the NetworkActor keeps it in memory alone, and knows it all
again one poll after it starts. What a host is told is all it needs to serve its own guests.
"""

from ipaddress import IPv4Address, IPv6Address

from pydantic import Field

from actors.model.base import Record
from actors.model.ids import HostId, InstanceId, NetworkId, PortId, SecurityGroupId
from actors.model.network import Network
from actors.model.security_group import SecurityRule


class HostPresence(Record):
    """A host, and whose guests it runs."""

    host_id: HostId
    host: str
    #: Where other hosts' VXLAN frames reach it.
    tunnel_address: IPv4Address
    networks: frozenset[NetworkId] = frozenset()
    ports: frozenset[PortId] = frozenset()
    #: The tunnel addresses that its frames go to now. A NetworkActor that has just started takes
    #: its word for hosts that it has not heard of yet.
    peers: dict[NetworkId, frozenset[IPv4Address]] = Field(default_factory=dict)
    #: ``HostView.version`` of the last view it got; empty for none.
    seen: str = ""


class Peer(Record):
    """Another host with guests on the same network."""

    #: Empty for one that other hosts tell of, and that has not spoken itself.
    host_id: HostId
    tunnel_address: IPv4Address


class NetworkView(Record):
    """A network that has guests on the host."""

    network: Network
    peers: tuple[Peer, ...] = ()


class PortView(Record):
    """A card of a guest of the host's."""

    port: PortId
    network: NetworkId
    instance: InstanceId
    mac: str
    address: IPv4Address
    address6: IPv6Address | None = None
    groups: tuple[SecurityGroupId, ...] = ()


class GroupView(Record):
    """A security group that a port here has, or that a rule of such a group names."""

    id: SecurityGroupId
    #: Empty where no port here has the group.
    rules: tuple[SecurityRule, ...] = ()
    #: Its members' addresses, on every host; empty where no rule here asks for them.
    members: tuple[IPv4Address | IPv6Address, ...] = ()


class HostView(Record):
    """All that a host must know of networks beside its guests' own records."""

    #: Names this content: equal views have equal versions.
    version: str
    networks: tuple[NetworkView, ...] = ()
    ports: tuple[PortView, ...] = ()
    groups: tuple[GroupView, ...] = ()
