"""The way of a network's frames to other hosts: VXLAN (RFC 7348), without multicast.

A frame for everybody, or for a MAC that is not known yet, goes to each peer (head-end replication:
entries of the MAC 00:00:00:00:00:00 in the link's forwarding table, bridge(8), ``fdb``). Where a
known MAC is, the kernel learns from what comes. It all goes on without any process of ours.
"""

import logging
from ipaddress import IPv4Address
from typing import Final

from actors.hostnet.command import refused
from actors.hostnet.links import Link, Links
from actors.hostnet.plan import Plan

#: What VXLAN adds to a frame in IPv4: Ethernet 14, IP 20, UDP 8 and VXLAN 8 bytes (RFC 7348 5).
OVERHEAD: Final = 50

_log = logging.getLogger(__name__)


class Tunnels:
    """Makes VXLAN links and says whom they reach. Whose a link is, its caller knows."""

    def __init__(self, links: Links, address: IPv4Address) -> None:
        """Make nothing yet.

        Args:
            links: The host's links.
            address: This host's own, where other hosts' frames come.
        """
        self._links = links
        self._address = address

    def fits(self, link: Link, plan: Plan) -> bool:
        """Whether the link is as ``add`` would make it now."""
        return (link.kind, link.vni, link.local) == ("vxlan", plan.vni, str(self._address))

    def add(self, plan: Plan) -> Link:
        """A link that reaches nobody yet.

        Raises:
            HypervisorRefused: The host does not have the tunnel address, or somebody else's link
                has the network's number.
        """
        mtu = self._links.mtu_at(self._address)
        if not mtu:
            raise refused(
                f"no link has the tunnel address {self._address}: set NOVARAY_TUNNEL_ADDRESS"
            )
        if mtu < plan.mtu + OVERHEAD:
            _log.warning(
                "%s: frames of %d bytes will travel in pieces, for the link of %s takes %d",
                plan.alias,
                plan.mtu + OVERHEAD,
                self._address,
                mtu,
            )
        return self._links.add_vxlan(plan.tunnel, plan.bridge_mac, plan.vni, self._address)

    def reached(self, link: Link) -> frozenset[IPv4Address]:
        """The hosts that frames for everybody go to."""
        return frozenset(entry.address for entry in self._links.forwarded(link) if entry.floods)

    def join(self, link: Link, peers: frozenset[IPv4Address]) -> None:
        """Reach these hosts too, without a look at the list: the longer, the more that costs."""
        for address in sorted(peers):
            self._links.flood(link, address)

    def reach(self, link: Link, peers: frozenset[IPv4Address]) -> None:
        """Reach these hosts and no others."""
        known = self._links.forwarded(link)
        for address in sorted(peers - {entry.address for entry in known if entry.floods}):
            self._links.flood(link, address)
        # What was learned goes too: the guest that it tells of has left or moved.
        for entry in known:
            if entry.address not in peers:
                self._links.forget(link, entry)
