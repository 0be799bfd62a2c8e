"""What a network's range, addresses and MTU may be, and what they are where nobody says. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from itertools import pairwise
from typing import Final

from actors.model.errors import Invalid
from actors.model.mac import SHORTEST_PREFIX
from actors.model.network import SMALLEST_MTU, AddressRange, Network, NetworkKind
from actors.model.network_commands import CreateNetwork

#: Network, broadcast, gateway and DHCP address leave a /30 nothing to give away.
_LONGEST_PREFIX: Final = 29
#: What a VXLAN puts in front of a guest's frame, bytes: outer Ethernet is the cards' own business,
#: then IPv4 20, UDP 8, VXLAN 8, and the guest's Ethernet header 14 (RFC 7348 5).
VXLAN_BYTES: Final = 50

#: Where no guest can be (RFC 6890).
_NOBODYS: Final = {
    IPv4Network("0.0.0.0/8"): "this network (0.0.0.0/8)",
    IPv4Network("127.0.0.0/8"): "loopback (127.0.0.0/8)",
    IPv4Network("169.254.0.0/16"): "link-local (169.254.0.0/16), where the metadata service is",
    IPv4Network("224.0.0.0/4"): "multicast (224.0.0.0/4)",
    IPv4Network("240.0.0.0/4"): "reserved (240.0.0.0/4)",
}
#: How much of a wrong text an answer repeats.
_SHOWN: Final = 40


def range_of(text: str) -> IPv4Network:
    """An IPv4 range as people write it: ``10.1.0.0/24``.

    Raises:
        ValueError: What is wrong, as a sentence about a field says it.
    """
    address, slash, prefix = text.partition("/")
    _refuse_ipv6(text)
    try:
        if not slash or not prefix.isdecimal():
            raise AddressValueError
        exact = IPv4Network(text, strict=False)
        given = IPv4Address(address)
    except (AddressValueError, NetmaskValueError):
        raise ValueError(f"{text[:_SHOWN]!r} is no IPv4 range: it looks like 10.1.0.0/24") from None
    if given != exact.network_address:
        raise ValueError(f"{text[:_SHOWN]} has host bits set: the range is {exact}")
    return exact


def address_of(text: str) -> IPv4Address:
    """An IPv4 address.

    Raises:
        ValueError: What is wrong, as a sentence about a field says it.
    """
    _refuse_ipv6(text)
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise ValueError(f"{text[:_SHOWN]!r} is no IPv4 address") from None


def largest_mtu(kind: NetworkKind, cards: int) -> int:
    """The MTU of a network of this kind, over cards whose own is ``cards``."""
    match kind:
        case NetworkKind.FLAT:
            return cards
        case NetworkKind.VXLAN:
            return cards - VXLAN_BYTES


def network_of(command: CreateNetwork, cards_mtu: int, vni: int, now: datetime) -> Network:
    """The network that a command asks for; not yet checked.

    Gateway: the range's first address. DHCP: its first that is not the gateway's. MTU: as large as
    fits.
    """
    cidr = command.cidr
    gateway = command.gateway or _host(cidr, 1)
    dhcp = command.dhcp or next(a for a in (_host(cidr, 1), _host(cidr, 2)) if a != gateway)
    return Network(
        id=command.id,
        project=command.project,
        label=command.label,
        cidr=cidr,
        gateway=gateway,
        dhcp=dhcp,
        mtu=command.mtu or max(SMALLEST_MTU, largest_mtu(command.kind, cards_mtu)),
        shared=command.shared,
        kind=command.kind,
        vni=vni,
        dns=command.dns,
        pools=command.pools,
        created=now,
    )


def check_network(network: Network) -> None:
    """See that the network can work.

    Raises:
        Invalid: With what is wrong, by field.
    """
    _refuse(network.label, dict(_problems(network)))


def check_mtu(network: Network, cards_mtu: int) -> None:
    """See that the network's frames fit through the hosts' cards.

    Raises:
        Invalid: They do not.
    """
    largest = largest_mtu(network.kind, cards_mtu)
    if network.mtu > largest:
        _refuse(network.label, {"mtu": f"must be at most {largest} on a {network.kind} network"})


def is_host(cidr: IPv4Network, address: IPv4Address) -> bool:
    """Whether a card can have the address in this range."""
    return cidr.network_address < address < cidr.broadcast_address


def _refuse(label: str, wrong: dict[str, str]) -> None:
    if wrong:
        said = "; ".join(f"{field} {what}" for field, what in wrong.items())
        raise Invalid(f"Network {label} cannot be made: {said}.", "FIELD_INVALID", metadata=wrong)


def _problems(network: Network) -> Iterator[tuple[str, str]]:
    cidr = network.cidr
    if not SHORTEST_PREFIX <= cidr.prefixlen <= _LONGEST_PREFIX:
        yield "cidr", f"must be a /{SHORTEST_PREFIX} to a /{_LONGEST_PREFIX}"
        return  # what was chosen of it is not the caller's to mend
    if said := _of_nobody(cidr):
        yield "cidr", f"must not be {said}"
    for field, address in (("gateway", network.gateway), ("dhcp", network.dhcp)):
        if not is_host(cidr, address):
            yield field, f"must be a host's address in {cidr}"
    if network.gateway == network.dhcp:
        yield "dhcp", "must not be the gateway's address"
    for server in network.dns:
        if isinstance(server, IPv4Address) and (said := _of_nobody(IPv4Network(server))):
            yield "dns", f"must not be {said}"
    if said := _wrong_pools(cidr, network.pools):
        yield "pools", said


def _refuse_ipv6(text: str) -> None:
    if ":" in text:
        raise ValueError(f"{text[:_SHOWN]!r} is IPv6, which networks do not have yet")


def _of_nobody(cidr: IPv4Network) -> str:
    return next((what for range_, what in _NOBODYS.items() if range_.overlaps(cidr)), "")


def _wrong_pools(cidr: IPv4Network, pools: Sequence[AddressRange]) -> str:
    for pool in pools:
        if pool.last < pool.first:
            return f"must begin before they end, unlike {pool.first} to {pool.last}"
        if not is_host(cidr, pool.first) or not is_host(cidr, pool.last):
            return f"must be hosts' addresses in {cidr}, unlike {pool.first} to {pool.last}"
    ordered = sorted(pools, key=lambda pool: pool.first)
    for one, other in pairwise(ordered):
        if other.first <= one.last:
            return f"must not overlap, as those at {one.first} and {other.first} do"
    return ""


def _host(cidr: IPv4Network, number: int) -> IPv4Address:
    # A range of one address has no second: whoever checks refuses it.
    return IPv4Address(min(int(cidr.network_address) + number, (1 << 32) - 1))
