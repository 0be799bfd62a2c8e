"""The network that every cluster begins with."""

from datetime import datetime
from ipaddress import IPv4Network
from typing import Final

from actors.model.ids import NetworkId, ProjectId
from actors.model.network import Network

DEFAULT_LABEL: Final = "private"
DEFAULT_CIDR: Final = IPv4Network("10.0.0.0/20")
DEFAULT_MTU: Final = 1500


def default_network(
    network: NetworkId, created: datetime, cidr: IPv4Network = DEFAULT_CIDR, mtu: int = DEFAULT_MTU
) -> Network:
    """The network ``private``, which all projects share: gateway .1, DHCP .2."""
    return Network(
        id=network,
        project=ProjectId(""),
        label=DEFAULT_LABEL,
        cidr=cidr,
        gateway=cidr.network_address + 1,
        dhcp=cidr.network_address + 2,
        mtu=mtu,
        created=created,
    )
