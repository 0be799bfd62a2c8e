"""No guest speaks as another: what leaves a card has the card's own MAC and address.

The metadata service knows a guest by its address, so an address must be nobody else's. Filtered
where frames come into the bridge (nft(8), family ``bridge``, hook ``prerouting``), before the
bridge learns a MAC from them.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from actors.hostnet.command import run
from actors.hostnet.plan import Plan
from actors.model.errors import HypervisorRefused

#: Before other tables' filters.
_PRIORITY: Final = -300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Card:
    """A guest's card on the network."""

    #: Its tap device on the host.
    device: str
    mac: str
    address: IPv4Address


class SpoofGuard:
    """One network's table. Not for several threads at once."""

    def __init__(self, plan: Plan) -> None:
        self._table = table_of(plan)
        #: What the kernel has; None where we do not know.
        self._kept: frozenset[Card] | None = None

    def keep(self, cards: frozenset[Card]) -> None:
        """These cards are kept to what is theirs; frames of others pass.

        Where the kernel has no such filter, that is said, and guests run without it.
        """
        if cards == self._kept:
            return
        try:
            run(("nft", "-f", "-"), ruleset(self._table, cards))
        except HypervisorRefused as error:
            if self._kept is None:
                _log.warning("guests of one network can pretend to be each other: %s", error)
        self._kept = cards

    def doubt(self) -> None:
        """Set it again, next time."""
        self._kept = None

    def remove(self) -> None:
        """Take the table away; none to take is no error."""
        self._kept = None
        try:
            run(("nft", "-f", "-"), _emptied(self._table))
        except HypervisorRefused as error:
            _log.info("table %s: %s", self._table, error)


def table_of(plan: Plan) -> str:
    """What its table is called: as the bridge, without what nft's names may not have."""
    return f"novaray_{plan.bridge.replace('-', '_')}"


def ruleset(table: str, cards: frozenset[Card]) -> str:
    """The whole table, put in place of the one before at once."""
    found = sorted(cards)
    return f"""\
{_emptied(table)}
table bridge {table} {{
  set taps {{
    type ifname
    {_elements(f'"{card.device}"' for card in found)}
  }}
  set macs {{
    type ifname . ether_addr
    {_elements(f'"{card.device}" . {card.mac}' for card in found)}
  }}
  set addresses {{
    type ifname . ipv4_addr
    {_elements(f'"{card.device}" . {card.address}' for card in found)}
  }}
  chain guests {{
    type filter hook prerouting priority {_PRIORITY}; policy accept;
    iifname != @taps accept
    iifname . ether saddr != @macs drop
    # A client that has no address yet: it asks who has one (RFC 5227), or asks for one (RFC 2131).
    ether type arp arp saddr ip 0.0.0.0 accept
    ether type arp iifname . arp saddr ip != @addresses drop
    ether type arp iifname . arp saddr ether != @macs drop
    ether type ip ip saddr 0.0.0.0 udp dport 67 accept
    ether type ip iifname . ip saddr != @addresses drop
  }}
}}
"""


def _emptied(table: str) -> str:
    # Made first, for nft has no "delete it if it is there".
    return f"table bridge {table}\ndelete table bridge {table}\n"


def _elements(elements: Iterable[str]) -> str:
    text = ", ".join(elements)
    return f"elements = {{ {text} }}" if text else ""
