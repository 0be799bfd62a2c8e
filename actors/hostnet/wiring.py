"""A network's links on this host: bridge, DHCP namespace, and what leads to other hosts.

    guest ── tap ──┐                         ┌─ namespace qdhcp-<id> ───────┐
    guest ── tap ──┤ bridge brq… ── dhcp… ═══╪═ ns-…  10.0.0.2/20  dnsmasq  │
    vx-… (uplink) ─┘                         │        169.254.169.254  HTTP │
                                             └──────────────────────────────┘

A network has a VXLAN link (``tunnel.py``) or, where it is flat and the host has one, an uplink.

The bridge has no address, neither IPv4 nor IPv6: guests cannot reach the host itself over it. From
the namespace the operator reaches every guest (``ip netns exec qdhcp-<id> ssh …``).

Every host has the DHCP address. It must not meet its like on another host, so its port and what
leads there are *isolated*: the bridge passes no frame between isolated ports, while guests reach
both.
"""

import logging
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from actors.hostnet.command import refused
from actors.hostnet.links import Link, Links
from actors.hostnet.namespace import Device, Namespace
from actors.hostnet.plan import Plan
from actors.hostnet.spoof_guard import SpoofGuard
from actors.hostnet.tunnel import Tunnels
from actors.model.errors import HypervisorRefused

_IPV6: Final = Path("/proc/sys/net/ipv6/conf")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Built:
    """What was built, by the numbers that the kernel gave it: what replaces it has others."""

    bridge: int
    namespace: int
    port: int
    #: 0 where the network has no VXLAN.
    tunnel: int = 0

    @property
    def wire(self) -> str:
        """Names this veth pair in this namespace. A server keeps to the wire it was started on."""
        return f"{self.namespace}/{self.port}"


class Wiring:
    """Builds and takes down what a plan names, and nothing that somebody else made."""

    def __init__(self, links: Links, uplink: str | None, tunnel_address: IPv4Address) -> None:
        self._links = links
        self._uplink = uplink
        self._tunnels = Tunnels(links, tunnel_address)

    def build(self, plan: Plan, peers: frozenset[IPv4Address] | None) -> Built:
        """Make what is missing or wrong.

        Args:
            plan: What there is to be.
            peers: The hosts that frames go to. None: those that they go to already.
        """
        bridge = self._ensure_bridge(plan)
        namespace, device = self._ensure_namespace(plan)
        port = self._ensure_port(plan, namespace, device)
        if port.master != bridge.index:
            self._links.change(port, master=bridge.index)
        # Each time: a link that joins a bridge begins without it.
        self._links.isolate(port)
        if not port.up:
            self._links.change(port, state="up")
        self._configure(plan, namespace)
        tunnel = 0
        if plan.vni:
            tunnel = self._ensure_tunnel(plan, bridge, peers)
        elif self._uplink is not None:
            self._ensure_uplink(self._uplink, bridge)
        return Built(bridge.index, namespace.inode, port.index, tunnel)

    def reached(self, plan: Plan) -> frozenset[IPv4Address]:
        """The hosts that the network's frames go to."""
        tunnel = self._ours(plan.tunnel, plan.bridge_mac, plan) if plan.vni else None
        return frozenset() if tunnel is None else self._tunnels.reached(tunnel)

    def reach(
        self, plan: Plan, peers: frozenset[IPv4Address], before: frozenset[IPv4Address] | None
    ) -> None:
        """Send the network's frames to these hosts.

        Args:
            plan: The network's.
            peers: All of them.
            before: Whom they go to by our own doing; None where we do not know.

        Raises:
            HypervisorRefused: The kernel would not, or there is no link to do it.
        """
        tunnel = self._ours(plan.tunnel, plan.bridge_mac, plan)
        if tunnel is None:
            raise refused(f"link {plan.tunnel} is gone")
        if before is not None and before <= peers:
            self._tunnels.join(tunnel, peers - before)
        else:
            self._tunnels.reach(tunnel, peers)

    def intact(self, plan: Plan, built: Built) -> bool:
        """Whether all is as it was built, as far as one look tells.

        A veth's end goes with its other end, which goes with its namespace; and it leaves a bridge
        that goes. So to look at the end tells of all but the tunnel.
        """
        return (
            self._serves(plan.port, built.port, built.bridge)
            and (not built.tunnel or self._serves(plan.tunnel, built.tunnel, built.bridge))
            and Namespace(plan.namespace).inode == built.namespace
        )

    def _serves(self, name: str, index: int, bridge: int) -> bool:
        """Whether the link of this name is the one that was built, and at work on its bridge."""
        link = self._links.find(name)
        return link is not None and link.up and (link.index, link.master) == (index, bridge)

    def take_down(self, plan: Plan) -> bool:
        """Remove what we made; False when something of others keeps the bridge."""
        own_namespace = self.own_namespace(plan)
        SpoofGuard(plan).remove()
        if plan.vni and (tunnel := self._ours(plan.tunnel, plan.bridge_mac, plan)):
            self._links.delete(tunnel)
        port = self._ours(plan.port, plan.port_mac, plan)
        if port is not None:
            self._links.delete(port)
        if own_namespace:
            Namespace(plan.namespace).delete()
        bridge = self._ours(plan.bridge, plan.bridge_mac, plan)
        if bridge is None:
            return True
        strangers = set(self._links.ports(bridge)) - {self._uplink}
        if strangers:
            _log.warning("bridge %s stays: it carries %s", plan.bridge, ", ".join(strangers))
            return False
        self._links.delete(bridge)
        return True

    def own_namespace(self, plan: Plan) -> int:
        """The namespace's inode; 0 when there is none or it holds the device of another host."""
        namespace = Namespace(plan.namespace)
        inode = namespace.inode
        device = _devices(namespace).get(plan.device) if inode else None
        if device is not None:
            port = self._links.find(plan.port)
            return inode if port is not None and port.index == device.peer else 0
        return inode

    def _ensure_bridge(self, plan: Plan) -> Link:
        bridge = self._ours(plan.bridge, plan.bridge_mac, plan)
        if bridge is None:
            bridge = self._links.add_bridge(plan.bridge, plan.bridge_mac)
        self._settle(bridge, plan)
        return bridge

    def _ensure_namespace(self, plan: Plan) -> tuple[Namespace, Device | None]:
        namespace = Namespace(plan.namespace)
        if namespace.inode:
            try:
                return namespace, namespace.devices().get(plan.device)
            except HypervisorRefused as error:
                _log.warning("%r is of no use, making it again: %s", namespace, error)
                namespace.delete()
        namespace.add()
        return namespace, None

    def _ensure_port(self, plan: Plan, namespace: Namespace, device: Device | None) -> Link:
        port = self._ours(plan.port, plan.port_mac, plan)
        if device is not None:
            if port is not None and (port.index, port.kind) == (device.peer, "veth"):
                self._settle(port, plan)
                return port
            raise refused(
                f"{namespace.name} holds {plan.device}, whose other end is not on this "
                "host: two hosts share /run/netns. Give each a /run of its own."
            )
        if port is not None:  # its other end is in a namespace that has lost its name
            self._links.delete(port)
        port = self._links.add_veth(
            plan.port, plan.port_mac, plan.device, plan.device_mac, namespace.path
        )
        self._settle(port, plan)
        return port

    def _ensure_tunnel(self, plan: Plan, bridge: Link, peers: frozenset[IPv4Address] | None) -> int:
        tunnel = self._ours(plan.tunnel, plan.bridge_mac, plan)
        if tunnel is not None and not self._tunnels.fits(tunnel, plan):
            self._links.delete(tunnel)
            tunnel = None
        if tunnel is None:
            tunnel = self._tunnels.add(plan)
        self._settle(tunnel, plan)
        if tunnel.master != bridge.index:
            # Down, so that it passes nothing before it is isolated.
            self._links.change(tunnel, state="down", master=bridge.index)
        self._links.isolate(tunnel)
        self._links.change(tunnel, state="up")
        if peers is not None:
            self._tunnels.reach(tunnel, peers)
        return tunnel.index

    def _configure(self, plan: Plan, namespace: Namespace) -> None:
        device = namespace.devices()[plan.device]
        wanted = {plan.address, plan.metadata}
        if device.up and device.mtu == plan.mtu and set(device.addresses) == wanted:
            return
        namespace.configure(
            (
                "link set dev lo up",
                f"link set dev {plan.device} mtu {plan.mtu} up",
                # One by one would not do: secondary addresses go with their primary.
                f"address flush dev {plan.device} scope global",
                f"address add {plan.address} brd + dev {plan.device}",
                f"address add {plan.metadata} dev {plan.device}",
            )
        )

    def _ensure_uplink(self, name: str, bridge: Link) -> None:
        uplink = self._links.find(name)
        if uplink is None:
            raise refused(f"uplink {name} does not exist")
        if uplink.master not in (0, bridge.index):
            raise refused(f"uplink {name} is a port of another bridge")
        if uplink.master == 0:
            # A bridge's port hears nothing addressed to itself: the host would be cut off.
            if self._links.has_address(uplink):
                raise refused(f"uplink {name} has an address of the host's own")
            self._links.change(uplink, master=bridge.index)
        self._links.isolate(uplink)
        if not uplink.up:
            self._links.change(uplink, state="up")

    def _ours(self, name: str, mac: str, plan: Plan) -> Link | None:
        """The link, if it is there.

        Raises:
            HypervisorRefused: Somebody else made it.
        """
        link = self._links.find(name)
        if link is None or link.alias == plan.alias or (not link.alias and link.mac == mac):
            return link
        raise refused(f"link {name} exists and is not ours (ifalias {link.alias!r})")

    def _settle(self, link: Link, plan: Plan) -> None:
        """Mark a link as ours. No IPv6: a guest's router advertisement would give it an address."""
        if link.alias != plan.alias:
            # The MTU too, be it the same: a bridge whose MTU nobody has set follows its ports'.
            self._links.change(link, ifalias=plan.alias, mtu=plan.mtu)
        elif link.mtu != plan.mtu:
            self._links.change(link, mtu=plan.mtu)
        try:
            (_IPV6 / link.name / "disable_ipv6").write_text("1")
        except FileNotFoundError:
            pass  # this kernel has no IPv6
        except OSError as error:
            raise refused(f"IPv6 on {link.name}: {error}") from error
        if link.name == plan.bridge and not link.up:
            self._links.change(link, state="up")


def _devices(namespace: Namespace) -> dict[str, Device]:
    try:
        return namespace.devices()
    except HypervisorRefused:  # the name leads nowhere
        return {}
