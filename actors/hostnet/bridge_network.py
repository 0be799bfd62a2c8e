"""The networks of a real host (``ports.hypervisor.HostNetwork``).

Bridges, namespaces, dnsmasq, and the metadata service.

Needs root, iproute2, dnsmasq and a /run of the host's own. Flat networks end at the host unless an
uplink joins their bridge to the outside; those of kind vxlan reach the other hosts that have guests
on them. Routers and security groups are to come on the same bridges.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from actors.guestdata.guest import HostShare
from actors.hostnet.dnsmasq import Lease
from actors.hostnet.forward_policy import forward_drops
from actors.hostnet.links import Links
from actors.hostnet.metadata_server import MetadataServer
from actors.hostnet.site import Site
from actors.hostnet.wiring import Wiring
from actors.model.errors import ComputeError
from actors.model.host_view import HostView
from actors.model.ids import NetworkId
from actors.model.instance import InstanceRecord
from actors.model.network import Network
from actors.ports.hypervisor import Attached, GuestDataSource

#: For a host that has no other to reach.
LOOPBACK: Final = IPv4Address("127.0.0.1")

_log = logging.getLogger(__name__)


class BridgeNetwork:
    """Every method may be called from any thread; networks do not wait for each other.

    What it makes outlives its process. What it needs to know of that lies in ``state_dir``, one
    folder for each network.
    """

    def __init__(
        self,
        state_dir: Path,
        share: HostShare,
        uplink: str | None = None,
        tunnel_address: IPv4Address = LOOPBACK,
    ) -> None:
        self._state_dir = state_dir
        self._tunnel_address = tunnel_address
        self._metadata = MetadataServer(share)
        self._links = Links()
        self._wiring = Wiring(self._links, uplink, tunnel_address)
        self._sites: dict[NetworkId, Site] = {}
        self._lock = threading.Lock()
        self._looked_at_policy = False
        self._tell: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"BridgeNetwork({list(self._sites.values())})"

    def open(self, data: GuestDataSource) -> None:
        """From now on guests get their data from the metadata service."""
        self._metadata.open(data)

    def on_change(self, tell: Callable[[], None]) -> None:
        """From now on say it when ``presence`` has changed; from any thread."""
        self._tell = tell

    def presence(self) -> Attached:
        """The networks with guests here, those that an earlier process served among them.

        Raises:
            HypervisorRefused: The kernel does not tell where frames go.
        """
        self._load()
        with self._lock:
            sites = tuple(self._sites.items())
        served = {name: (site, ports) for name, site in sites if (ports := site.ports) is not None}
        peers = {name: found for name, (site, _) in served.items() if (found := site.peers)}
        ports = frozenset(port for _, mine in served.values() for port in mine)
        return Attached(self._tunnel_address, frozenset(served), ports, peers)

    def follow(self, view: HostView) -> None:
        """Reach the hosts that the view names.

        Raises:
            HypervisorRefused: The host would not, for one network at least. The others are done.
        """
        tickets: list[tuple[Site, int]] = []
        for one in view.networks:
            with self._lock:
                site = self._sites.get(one.network.id)
            if site is not None:
                peers = frozenset(peer.tunnel_address for peer in one.peers)
                if ticket := site.follow(one.network, peers):
                    tickets.append((site, ticket))
        _converge(tickets)

    def ensure(self, record: InstanceRecord) -> dict[str, str]:
        """Bridge, DHCP namespace and DHCP entry for each card; bridge names by network id.

        Raises:
            HypervisorRefused: The host would not.
        """
        self._warn_once()
        bridges: dict[str, str] = {}
        for network, leases in _by_network(record):
            site = self._site(network)
            site.know(record)
            ticket = site.admit(network, record.id, leases)
            site.converge(ticket)
            if ticket:
                self._tell()
            bridges[network.id] = site.bridge
        return bridges

    def remove(self, record: InstanceRecord) -> None:
        """Take the instance out of all networks; take those down that serve nobody any more.

        Raises:
            HypervisorRefused: The host would not.
        """
        # Not only those of the record: its cards may be gone from it already, and we may be new
        # here.
        self._load()
        for site in self._all():
            if ticket := site.dismiss(record.id):
                # First: others must stop sending here, also where something does not go.
                self._tell()
                site.converge(ticket)

    def restore(self, records: tuple[InstanceRecord, ...]) -> None:
        """Look at everything; build what is missing, finish what an earlier process took down.

        Guests that ``records`` does not name keep their DHCP entries. It is cheap enough to be
        called now and then: a dnsmasq that died is started again.

        Raises:
            HypervisorRefused: The host would not, for one network at least. The others are done.
        """
        self._warn_once()
        self._load()
        for record in records:
            for network, leases in _by_network(record):
                site = self._site(network)
                site.know(record)
                if site.admit(network, record.id, leases):
                    self._tell()
        for site in self._all():
            site.doubt()
        _converge((site, 0) for site in self._all())

    def close(self) -> None:
        """Let go of sockets and processes. Networks and DHCP servers stay as they are."""
        for site in self._all():
            site.close()
        self._metadata.close()
        self._links.close()

    def _site(self, network: Network) -> Site:
        with self._lock:
            site = self._sites.get(network.id)
            if site is None:
                site = Site(self._state_dir / network.id, network, self._wiring, self._metadata)
                self._sites[network.id] = site
            return site

    def _load(self) -> None:
        """Know the networks that an earlier process left."""
        with self._lock:
            for folder in sorted(self._state_dir.glob("*/")):
                network = NetworkId(folder.name)
                if network in self._sites:
                    continue
                if site := Site.load(folder, self._wiring, self._metadata):
                    self._sites[network] = site

    def _all(self) -> tuple[Site, ...]:
        with self._lock:
            return tuple(self._sites.values())

    def _warn_once(self) -> None:
        with self._lock:
            if self._looked_at_policy:
                return
            self._looked_at_policy = True
        if why := forward_drops():
            _log.warning("guests may not reach each other: %s", why)


def _converge(tickets: Iterable[tuple[Site, int]]) -> None:
    """Bring each of these there; what one fails at is raised once all are done."""
    failures: list[ComputeError] = []
    for site, ticket in tickets:
        try:
            site.converge(ticket)
        except ComputeError as error:
            _log.error("%r: %s", site, error)
            failures.append(error)
    if failures:
        raise failures[0]


def _by_network(record: InstanceRecord) -> list[tuple[Network, list[Lease]]]:
    networks: dict[NetworkId, Network] = {}
    leases: defaultdict[NetworkId, list[Lease]] = defaultdict(list)
    for nic in record.nics:
        networks[nic.network.id] = nic.network
        leases[nic.network.id].append(Lease(nic.address, nic.mac, record.id, nic.port))
    return [(network, leases[network.id]) for network in networks.values()]
