"""MAC addresses, derived: the same address of the same network always has the same one."""

import zlib
from ipaddress import IPv4Address
from typing import Final

from actors.model.network import Network

#: OpenStack's prefix. Bit 1 of its first octet says "locally administered" (RFC 7042 2.1).
_PREFIX: Final = 0xFA163E << 24
_HOST_BITS: Final = 24
_HOST_MASK: Final = (1 << _HOST_BITS) - 1

#: A range with more addresses than the prefix leaves numbers for would repeat one.
SHORTEST_PREFIX: Final = 32 - _HOST_BITS


def mac_for(network: Network, address: IPv4Address) -> str:
    """The MAC of whoever holds this address of the network: ``fa:16:3e:xx:xx:xx``.

    No two addresses of a network share one. A holder's successor has its MAC too, so no neighbour's
    ARP cache and no DHCP lease is ever wrong about an address that changed hands.
    """
    # Networks start at different numbers, so that two of them seldom show the same MACs.
    start = zlib.crc32(network.id.encode())
    number = int(address) - int(network.cidr.network_address)
    octets = (_PREFIX | ((start + number) & _HOST_MASK)).to_bytes(6, "big")
    return octets.hex(":")
