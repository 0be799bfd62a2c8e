"""What a flat network must look like, and the one that every cluster begins with."""

from datetime import datetime
from ipaddress import IPv4Network
from typing import Final

from actors.model.errors import Invalid
from actors.model.ids import NetworkId, ProjectId
from actors.model.mac import SHORTEST_PREFIX
from actors.model.network import Network

DEFAULT_LABEL: Final = "private"
DEFAULT_CIDR: Final = IPv4Network("10.0.0.0/20")
DEFAULT_MTU: Final = 1500

#: Network, broadcast, gateway and DHCP address leave a /30 nothing to give away.
_LONGEST_PREFIX: Final = 29


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


def check_network(network: Network) -> None:
    """See that the network can work.

    Raises:
        Invalid: With what is wrong, by field.
    """
    wrong = {}
    cidr = network.cidr
    if not SHORTEST_PREFIX <= cidr.prefixlen <= _LONGEST_PREFIX:
        wrong["cidr"] = f"must be a /{SHORTEST_PREFIX} to a /{_LONGEST_PREFIX}"
    for field, address in (("gateway", network.gateway), ("dhcp", network.dhcp)):
        if address not in cidr or address in (cidr.network_address, cidr.broadcast_address):
            wrong[field] = f"must be a host's address in {cidr}"
    if network.gateway == network.dhcp:
        wrong["dhcp"] = "must not be the gateway's address"
    if wrong:
        said = "; ".join(f"{field} {what}" for field, what in wrong.items())
        raise Invalid(f"Network {network.label} cannot be made: {said}.", metadata=wrong)
