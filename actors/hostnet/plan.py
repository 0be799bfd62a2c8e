"""What one network is called on a host. Pure: every name follows from the network's record.

IFNAMSIZ leaves a link 15 characters (``linux/if.h``), so links carry the first 11 of the network's
id; ``ifalias`` carries all of it, and is the mark of a link that we made.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Self

from actors.model.mac import mac_for
from actors.model.network import Network, NetworkKind

#: Where guests of EC2 and OpenStack ask for their metadata; link-local (RFC 3927).
METADATA: Final = IPv4Address("169.254.169.254")

_SHORT = 11


@dataclass(frozen=True, slots=True)
class Plan:
    """Names, addresses and sizes of a network's links on every host.

    The MACs are those of addresses that no guest can have. A link's MAC is set in the call that
    makes it, its alias only afterwards: the MAC tells that a link is ours when we were interrupted
    in between. It is also the same on all hosts, so a guest that moves finds the DHCP server where
    its ARP cache says.
    """

    bridge: str
    bridge_mac: str
    #: The veth pair's end on the bridge.
    port: str
    port_mac: str
    #: Its other end, in the namespace.
    device: str
    device_mac: str
    namespace: str
    #: The VXLAN link, and its number; 0 where the network has none.
    tunnel: str
    vni: int
    alias: str
    #: The DHCP address with its prefix length.
    address: str
    #: The metadata service's, likewise.
    metadata: str
    mtu: int

    @classmethod
    def of(cls, network: Network) -> Self:
        """The plan of a network."""
        short = network.id[:_SHORT]
        return cls(
            bridge=f"brq{short}",
            bridge_mac=mac_for(network, network.cidr.network_address),
            port=f"dhcp{short}",
            port_mac=mac_for(network, network.cidr.broadcast_address),
            device=f"ns-{short}",
            device_mac=mac_for(network, network.dhcp),
            namespace=f"qdhcp-{network.id}",
            tunnel=f"vx-{short}",
            vni=network.vni if network.kind is NetworkKind.VXLAN else 0,
            alias=f"novaray network {network.id}",
            address=f"{network.dhcp}/{network.cidr.prefixlen}",
            metadata=f"{METADATA}/32",
            mtu=network.mtu,
        )
