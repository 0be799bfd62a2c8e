"""Which host must know what of networks, and whom a change concerns.

What a host has is its own word, and what there is the NetworkActor's records. A view is made of
both when it is asked for, from what the host has and not from all there is; it is kept until
something that it was made of changes.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeVar

from actors.model.host_view import (
    GroupView,
    HostPresence,
    HostView,
    NetworkView,
    Peer,
    PortView,
)
from actors.model.ids import HostId, NetworkId, PortId, SecurityGroupId
from actors.model.network import Network, NetworkKind, Port
from actors.model.security_group import SecurityGroup

#: How long a host that says nothing stays among its peers. Its guests run on without us, while its
#: actor is away, Ray is upgraded or its way to the head is cut: others must reach them. A peer that
#: is really gone costs a copy of each broadcast. So the time is that of a slow upgrade.
KEEP_SECONDS: Final = 3600.0


class _Kind(Enum):
    """What of a thing a view was made of."""

    NETWORK = auto()
    PEERS = auto()
    PORT = auto()
    RULES = auto()
    MEMBERS = auto()


_Key = TypeVar("_Key")
_Item = TypeVar("_Item")

#: Something a view was made of, and by which it is found again when that changes.
_Fact = tuple[_Kind, str]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a host has said, and when (``Clock.monotonic``)."""

    presence: HostPresence
    at: float


class HostViews:
    """The hosts' words, the records, and a view for each host."""

    def __init__(self, began: float, keep_seconds: float = KEEP_SECONDS) -> None:
        """Know nothing yet.

        Args:
            began: Now (``Clock.monotonic``). Who has not spoken since may still be there: for
                ``keep_seconds`` others' word for it counts.
            keep_seconds: How long a host that says nothing stays among its peers.
        """
        self._began = began
        self._keep_seconds = keep_seconds
        self._networks: dict[NetworkId, Network] = {}
        self._ports: dict[PortId, Port] = {}
        self._groups: dict[SecurityGroupId, SecurityGroup] = {}
        self._members: defaultdict[SecurityGroupId, set[PortId]] = defaultdict(set)
        #: Who has spoken longest ago comes first.
        self._heard: dict[HostId, _Heard] = {}
        #: Who has spoken since we began, and who has not but is said to be there by others.
        self._spoken: set[IPv4Address] = set()
        self._rumours: defaultdict[NetworkId, set[IPv4Address]] = defaultdict(set)
        self._hosts: defaultdict[NetworkId, set[HostId]] = defaultdict(set)
        self._views: dict[HostId, HostView] = {}
        #: What each kept view was made of, and the same seen from the other side.
        self._made_of: dict[HostId, set[_Fact]] = {}
        self._readers: defaultdict[_Fact, set[HostId]] = defaultdict(set)

    # --- what there is ------------------------------------------------------------------------

    def replace(
        self,
        networks: Iterable[Network],
        ports: Iterable[Port],
        groups: Iterable[SecurityGroup] = (),
    ) -> frozenset[HostId]:
        """These are all records, whatever was learned before. The hosts it may concern: all."""
        self._networks, self._ports, self._groups = {}, {}, {}
        self._members.clear()
        for host in tuple(self._views):
            self._drop(host)
        self.learn(networks, ports, groups)
        return frozenset(self._heard)

    def learn(
        self,
        networks: Iterable[Network] = (),
        ports: Iterable[Port] = (),
        groups: Iterable[SecurityGroup] = (),
        *,
        gone: Collection[NetworkId | PortId | SecurityGroupId] = (),
    ) -> frozenset[HostId]:
        """Records that were made or changed, and ids of those that were removed.

        Returns:
            The hosts whose views may be others now: each has something of what changed.
        """
        facts: set[_Fact] = set()
        for name in gone:
            if self._networks.pop(NetworkId(name), None):
                facts.add((_Kind.NETWORK, name))
            if self._groups.pop(SecurityGroupId(name), None):
                facts.add((_Kind.RULES, name))
            facts.update(self._port_changed(self._ports.pop(PortId(name), None), None))
        for network in networks:
            self._networks[network.id] = network
            facts.add((_Kind.NETWORK, network.id))
        for group in groups:
            self._groups[group.id] = group
            facts.add((_Kind.RULES, group.id))
        for port in ports:
            before = self._ports.get(port.id)
            self._ports[port.id] = port
            facts.update(self._port_changed(before, port))
        return self._stale(facts)

    def _port_changed(self, before: Port | None, after: Port | None) -> Iterator[_Fact]:
        # Who asks again for a port changes its record, and nothing that a host must know.
        if _shown(before) == _shown(after):
            return
        for port, join in ((before, False), (after, True)):
            if port is None:
                continue
            yield (_Kind.PORT, port.id)
            for group in port.groups:
                yield (_Kind.MEMBERS, group)
                _put(self._members, group, port.id, add=join)

    # --- what hosts say -----------------------------------------------------------------------

    def hear(self, presence: HostPresence, now: float) -> frozenset[HostId]:
        """A host has said what it has.

        Returns:
            The hosts whose views may be others now, those that a host left which has been silent
            for too long among them.
        """
        before = self._heard.pop(presence.host_id, None)
        self._heard[presence.host_id] = _Heard(presence, now)
        facts = self._moved(before.presence if before else None, presence)
        facts |= self._rumoured(presence, now)
        while (oldest := next(iter(self._heard.values()))).at <= now - self._keep_seconds:
            del self._heard[oldest.presence.host_id]
            self._drop(oldest.presence.host_id)
            facts |= self._moved(oldest.presence, None)
        stale = self._stale(facts)
        if before is None or _place(before.presence) != _place(presence):
            self._drop(presence.host_id)
            stale |= {presence.host_id}
        return frozenset(host for host in stale if host in self._heard)

    def _moved(self, before: HostPresence | None, after: HostPresence | None) -> set[_Fact]:
        left = _reached(before) - _reached(after)
        come = _reached(after) - _reached(before)
        for place, add in ((left, False), (come, True)):
            for network, host, _ in place:
                _put(self._hosts, network, host, add=add)
        return {(_Kind.PEERS, network) for network, _, _ in left | come}

    def _rumoured(self, presence: HostPresence, now: float) -> set[_Fact]:
        """Take a host's word for peers of which we have not heard; who speaks needs nobody's."""
        if now - self._began >= self._keep_seconds:
            changed = set(self._rumours)
            self._rumours.clear()
            self._spoken.clear()
        else:
            own = presence.tunnel_address
            self._spoken.add(own)
            changed = {name for name, said in self._rumours.items() if own in said}
            for name in changed:
                _put(self._rumours, name, own, add=False)
            for name, addresses in presence.peers.items():
                for address in addresses - self._rumours.get(name, set()) - self._spoken:
                    _put(self._rumours, name, address, add=True)
                    changed.add(name)
        return {(_Kind.PEERS, name) for name in changed}

    # --- views --------------------------------------------------------------------------------

    def view(self, host: HostId) -> HostView:
        """What the host must know.

        Raises:
            KeyError: It has not been heard of, or not for too long.
        """
        kept = self._views.get(host)
        if kept is None:
            kept = self._views[host] = self._make(self._heard[host].presence)
        return kept

    def _make(self, presence: HostPresence) -> HostView:
        facts = self._made_of[presence.host_id] = set()
        networks = tuple(self._network_views(presence, facts))
        ports = tuple(self._port_views(presence, facts))
        groups = tuple(self._group_views(ports, facts))
        for fact in facts:
            self._readers[fact].add(presence.host_id)
        view = HostView(version="", networks=networks, ports=ports, groups=groups)
        content = view.model_dump_json().encode()
        return view.evolve(version=hashlib.sha256(content).hexdigest()[:32])

    def _network_views(self, presence: HostPresence, facts: set[_Fact]) -> Iterator[NetworkView]:
        for name in sorted(presence.networks):
            facts.add((_Kind.NETWORK, name))
            if (network := self._networks.get(name)) is None:
                continue
            peers: tuple[Peer, ...] = ()
            if network.kind is NetworkKind.VXLAN:
                facts.add((_Kind.PEERS, name))
                peers = self._peers(name, presence.tunnel_address)
            yield NetworkView(network=network, peers=peers)

    def _peers(self, network: NetworkId, own: IPv4Address) -> tuple[Peer, ...]:
        """The other hosts, one for each address.

        Never the host's own, be it under the UUID that it had before it was made anew: what it
        sends there would come back to it.
        """
        found = dict.fromkeys(self._rumours.get(network, ()), HostId(""))
        for host in sorted(self._hosts.get(network, ()), reverse=True):
            found[self._heard[host].presence.tunnel_address] = host
        found.pop(own, None)
        return tuple(
            Peer(host_id=found[address], tunnel_address=address) for address in sorted(found)
        )

    def _port_views(self, presence: HostPresence, facts: set[_Fact]) -> Iterator[PortView]:
        for name in sorted(presence.ports):
            facts.add((_Kind.PORT, name))
            if (shown := _shown(self._ports.get(name))) is not None:
                yield shown

    def _group_views(self, ports: Iterable[PortView], facts: set[_Fact]) -> Iterator[GroupView]:
        """Groups of these ports with their rules; groups that those rules name, with members."""
        held = {group for port in ports for group in port.groups}
        facts |= {(_Kind.RULES, group) for group in held}
        known = {name: group.rules for name in held if (group := self._groups.get(name))}
        named = {rule.group for rules in known.values() for rule in rules if rule.group}
        facts |= {(_Kind.MEMBERS, group) for group in named}
        for name in sorted(known.keys() | named):
            members = self._addresses(name) if name in named else ()
            yield GroupView(id=name, rules=known.get(name, ()), members=members)

    def _addresses(self, group: SecurityGroupId) -> tuple[IPv4Address | IPv6Address, ...]:
        ports = [self._ports[port] for port in self._members.get(group, ())]
        found = {port.address for port in ports}
        found6 = {port.address6 for port in ports if port.address6 is not None}
        return (*sorted(found), *sorted(found6))

    def _stale(self, facts: Iterable[_Fact]) -> frozenset[HostId]:
        """Drop the views that were made of any of these; whose they were."""
        hosts = frozenset().union(*(self._readers.get(fact, ()) for fact in facts))
        for host in hosts:
            self._drop(host)
        return hosts

    def _drop(self, host: HostId) -> None:
        self._views.pop(host, None)
        for fact in self._made_of.pop(host, ()):
            _put(self._readers, fact, host, add=False)


def _put(index: dict[_Key, set[_Item]], key: _Key, item: _Item, *, add: bool) -> None:
    """Add to, or remove from, the set of a key; an empty set is not kept."""
    if add:
        index[key].add(item)
    elif found := index.get(key):
        found.discard(item)
        if not found:
            del index[key]


def _place(presence: HostPresence) -> tuple[object, ...]:
    """What of a presence its own view is made of."""
    return presence.tunnel_address, presence.networks, presence.ports


def _reached(presence: HostPresence | None) -> set[tuple[NetworkId, HostId, IPv4Address]]:
    """What others must know of a host."""
    if presence is None:
        return set()
    return {(name, presence.host_id, presence.tunnel_address) for name in presence.networks}


def _shown(port: Port | None) -> PortView | None:
    """What of a port its host is told."""
    if port is None:
        return None
    return PortView(
        port=port.id,
        network=port.network,
        instance=port.instance,
        mac=port.mac,
        address=port.address,
        address6=port.address6,
        groups=port.groups,
    )
