"""What hosts are told, against a view made anew from everything there is."""

from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.model.flat_network import default_network
from actors.model.host_view import GroupView, HostPresence, HostView, PortView
from actors.model.host_views import HostViews
from actors.model.ids import HostId, InstanceId, NetworkId, PortId, ProjectId, SecurityGroupId
from actors.model.network import Network, NetworkKind, Port
from actors.model.security_group import Direction, SecurityGroup, SecurityRule

CREATED = datetime(2026, 1, 5, tzinfo=UTC)
KEEP = 100.0
HOSTS = [HostId(f"host{n}") for n in range(4)]
NETWORKS = [NetworkId(f"network{n}") for n in range(3)]
PORTS = [PortId(f"port{n}") for n in range(6)]
GROUPS = [SecurityGroupId(f"group{n}") for n in range(3)]


def network(number: int, kind: NetworkKind = NetworkKind.VXLAN, mtu: int = 1450) -> Network:
    made = default_network(NETWORKS[number], CREATED, IPv4Network("10.0.0.0/24"), mtu)
    return made.evolve(kind=kind, vni=number + 1 if kind is NetworkKind.VXLAN else 0)


def port(number: int, on: int = 0, address: int = 0, groups: Iterable[int] = ()) -> Port:
    return Port(
        id=PORTS[number],
        instance=InstanceId(f"vm{number}"),
        project=ProjectId("demo"),
        network=NETWORKS[on],
        mac=f"fa:16:3e:00:00:{number:02x}",
        address=IPv4Address("10.0.0.10") + (address or number),
        groups=tuple(GROUPS[group] for group in groups),
    )


def group(number: int, names: Iterable[int] = ()) -> SecurityGroup:
    rules = [
        SecurityRule(id=f"{number}-{other}", direction=Direction.INGRESS, group=GROUPS[other])
        for other in names
    ]
    return SecurityGroup(
        id=GROUPS[number],
        project=ProjectId("demo"),
        name=f"g{number}",
        rules=tuple(rules),
        created=CREATED,
    )


def presence(
    number: int, networks: Iterable[int] = (), ports: Iterable[int] = (), address: int = 0
) -> HostPresence:
    return HostPresence(
        host_id=HOSTS[number],
        host=f"h{number}",
        tunnel_address=IPv4Address("192.0.2.1") + (address or number),
        networks=frozenset(NETWORKS[one] for one in networks),
        ports=frozenset(PORTS[one] for one in ports),
    )


class Content(NamedTuple):
    """A view without its version."""

    networks: dict[NetworkId, tuple[Network, tuple[IPv4Address, ...]]]
    ports: tuple[PortView, ...]
    groups: tuple[GroupView, ...]


def content(view: HostView) -> Content:
    networks = {
        one.network.id: (one.network, tuple(peer.tunnel_address for peer in one.peers))
        for one in view.networks
    }
    return Content(networks, view.ports, view.groups)


class Everything:
    """All there is, in plain dictionaries, and what each host should be told of it."""

    def __init__(self) -> None:
        self.networks: dict[NetworkId, Network] = {}
        self.ports: dict[PortId, Port] = {}
        self.groups: dict[SecurityGroupId, SecurityGroup] = {}
        self.heard: dict[HostId, tuple[HostPresence, float]] = {}
        #: Who is said to be there and has not spoken.
        self.rumours: set[tuple[NetworkId, IPv4Address]] = set()
        self.spoken: set[IPv4Address] = set()

    def told(self, host: HostId) -> Content:
        mine = self.heard[host][0]
        networks = {}
        for name in mine.networks & self.networks.keys():
            peers = {
                other.tunnel_address for other, _ in self.heard.values() if name in other.networks
            }
            peers |= {address for on, address in self.rumours if on == name}
            reached = sorted(peers - {mine.tunnel_address})
            vxlan = self.networks[name].kind is NetworkKind.VXLAN
            networks[name] = (self.networks[name], tuple(reached) if vxlan else ())
        ports = [self.ports[name] for name in sorted(mine.ports & self.ports.keys())]
        held = {name for one in ports for name in one.groups} & self.groups.keys()
        named = {
            rule.group
            for name in held
            for rule in self.groups[name].rules
            if rule.group is not None
        }
        groups = [
            GroupView(
                id=name,
                rules=self.groups[name].rules if name in held else (),
                members=tuple(
                    sorted(one.address for one in self.ports.values() if name in one.groups)
                )
                if name in named
                else (),
            )
            for name in sorted(held | named)
        ]
        shown = [
            PortView(
                port=one.id, network=one.network, instance=one.instance, mac=one.mac,
                address=one.address, groups=one.groups,
            )
            for one in ports
        ]  # fmt: skip
        return Content(networks, tuple(shown), tuple(groups))


numbers = st.integers(0, 3)
some = {size: st.frozensets(st.integers(0, size - 1)) for size in (3, 6)}


class Views(RuleBasedStateMachine):
    """Hosts that speak and records that change, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.views = HostViews(self.now, KEEP)
        self.all = Everything()
        #: What each host was last shown, as one that watches has seen it.
        self.shown: dict[HostId, Content] = {}

    @initialize()
    def begin(self) -> None:
        for number in range(3):
            self.make_network(number, NetworkKind.VXLAN, 1450)

    def _after(self, woken: frozenset[HostId], concerned: set[HostId]) -> None:
        """Nobody who must know is left asleep, and nobody is woken who has nothing of it."""
        assert woken <= concerned
        for host in self.all.heard.keys() - woken:
            if host in self.shown:
                assert self.shown[host] == self.all.told(host)

    def _with(self, network: NetworkId) -> set[HostId]:
        return {host for host, (one, _) in self.all.heard.items() if network in one.networks}

    def _at(self, ports: Iterable[PortId]) -> set[HostId]:
        wanted = set(ports)
        return {host for host, (one, _) in self.all.heard.items() if wanted & one.ports}

    def _asking(self, groups: Iterable[SecurityGroupId]) -> set[HostId]:
        """Hosts with a port in a group whose rules name one of these."""
        wanted = set(groups)
        asking = {
            one.id
            for one in self.all.groups.values()
            if wanted & {rule.group for rule in one.rules if rule.group is not None}
        }
        return self._at(name for name, one in self.all.ports.items() if asking & set(one.groups))

    @rule(
        number=st.integers(0, 2),
        kind=st.sampled_from(NetworkKind),
        mtu=st.sampled_from([1450, 1400]),
    )
    def make_network(self, number: int, kind: NetworkKind, mtu: int) -> None:
        made = network(number, kind, mtu)
        woken = self.views.learn(networks=[made])
        self.all.networks[made.id] = made
        self._after(woken, self._with(made.id))

    @rule(number=st.integers(0, 2))
    def remove_network(self, number: int) -> None:
        woken = self.views.learn(gone=[NETWORKS[number]])
        self.all.networks.pop(NETWORKS[number], None)
        self._after(woken, self._with(NETWORKS[number]))

    @rule(number=st.integers(0, 5), address=st.integers(1, 9), groups=some[3])
    def make_port(self, number: int, address: int, groups: frozenset[int]) -> None:
        made = port(number, number % 3, address=10 * number + address, groups=sorted(groups))
        before = self.all.ports.get(made.id)
        concerned = self._at([made.id]) | self._asking(before.groups if before else ())
        woken = self.views.learn(ports=[made])
        self.all.ports[made.id] = made
        self._after(woken, concerned | self._asking(made.groups))

    @rule(number=st.integers(0, 5))
    def ask_again_for_a_port(self, number: int) -> None:
        if made := self.all.ports.get(PORTS[number]):
            again = made.evolve(sequence=made.sequence + 1, generation=made.generation + 1)
            self.all.ports[made.id] = again
            assert self.views.learn(ports=[again]) == frozenset()

    @rule(number=st.integers(0, 5))
    def remove_port(self, number: int) -> None:
        before = self.all.ports.get(PORTS[number])
        concerned = self._at([PORTS[number]]) | self._asking(before.groups if before else ())
        woken = self.views.learn(gone=[PORTS[number]])
        self.all.ports.pop(PORTS[number], None)
        self._after(woken, concerned)

    @rule(number=st.integers(0, 2), names=some[3])
    def make_group(self, number: int, names: frozenset[int]) -> None:
        made = group(number, sorted(names))
        woken = self.views.learn(groups=[made])
        self.all.groups[made.id] = made
        held = [name for name, one in self.all.ports.items() if made.id in one.groups]
        self._after(woken, self._at(held))

    @rule(number=st.integers(0, 2))
    def remove_group(self, number: int) -> None:
        woken = self.views.learn(gone=[GROUPS[number]])
        self.all.groups.pop(GROUPS[number], None)
        held = [name for name, one in self.all.ports.items() if GROUPS[number] in one.groups]
        self._after(woken, self._at(held))

    @rule(
        number=numbers,
        networks=some[3],
        ports=some[6],
        address=numbers,
        reached=st.dictionaries(st.integers(0, 2), st.frozensets(numbers, max_size=2), max_size=2),
    )
    def speak(
        self,
        number: int,
        networks: frozenset[int],
        ports: frozenset[int],
        address: int,
        reached: dict[int, frozenset[int]],
    ) -> None:
        said = presence(number, networks, ports, address)
        claims = {
            NETWORKS[on]: frozenset(IPv4Address("192.0.2.1") + one for one in there)
            for on, there in reached.items()
        }
        said = said.evolve(peers=claims)
        before = self.all.heard.pop(said.host_id, None)
        gone = {h: p for h, (p, at) in self.all.heard.items() if at <= self.now - KEEP}
        moved = [*gone.values()]
        if before is None or before[0] != said:
            moved += [said] + ([before[0]] if before else [])
        rumoured = self._rumoured(said)
        touched = {name for one in moved for name in one.networks} | rumoured
        woken = self.views.hear(said, self.now)
        for host in gone:
            del self.all.heard[host]
            self.shown.pop(host, None)
        self.all.heard[said.host_id] = (said, self.now)
        concerned = {host for name in touched for host in self._with(name)} | {said.host_id}
        self._after(woken, concerned)

    def _rumoured(self, said: HostPresence) -> set[NetworkId]:
        """What others' words are good for now; the networks where that has changed."""
        before = set(self.all.rumours)
        self.all.spoken.add(said.tunnel_address)
        if self.now >= KEEP:
            self.all.rumours.clear()
        else:
            claimed = {
                (on, one) for on, there in said.peers.items() for one in there - self.all.spoken
            }
            kept = {(on, one) for on, one in before if one != said.tunnel_address}
            self.all.rumours = kept | claimed
        return {on for on, _ in before ^ self.all.rumours}

    @rule(seconds=st.sampled_from([1.0, 30.0, KEEP]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def load_again(self) -> None:
        woken = self.views.replace(
            self.all.networks.values(), self.all.ports.values(), self.all.groups.values()
        )
        assert woken == self.all.heard.keys()

    @invariant()
    def every_view_is_as_made_from_scratch(self) -> None:
        versions: dict[str, HostView] = {}
        for host in self.all.heard:
            view = self.views.view(host)
            self.shown[host] = content(view)
            assert self.shown[host] == self.all.told(host)
            assert versions.setdefault(view.version, view) == view, "a version names a content"


TestViews = Views.TestCase


def heard(*presences: HostPresence, now: float = 0.0) -> HostViews:
    views = HostViews(0.0, KEEP)
    views.learn([network(0), network(1), network(2, NetworkKind.FLAT)], [port(0), port(1)])
    for one in presences:
        views.hear(one, now)
    return views


def peers(views: HostViews, host: int) -> list[str]:
    view = views.view(HOSTS[host])
    return [str(peer.tunnel_address) for one in view.networks for peer in one.peers]


def test_hosts_of_one_network_are_peers_and_others_are_not() -> None:
    views = heard(presence(0, [0]), presence(1, [0, 2]), presence(2, [1, 2]))
    assert peers(views, 0) == ["192.0.2.2"]
    assert peers(views, 1) == ["192.0.2.1"]
    assert peers(views, 2) == [], "a flat network has a card, not peers"


def test_a_host_that_moved_under_another_uuid_is_not_its_own_peer() -> None:
    views = heard(presence(0, [0], address=9), presence(1, [0], address=9), presence(2, [0]))
    assert peers(views, 1) == ["192.0.2.3"]
    assert peers(views, 2) == ["192.0.2.10"]


def test_a_silent_host_keeps_its_place_for_a_while() -> None:
    views = heard(presence(0, [0]), presence(1, [0]))
    assert views.hear(presence(1, [0]), KEEP - 1) == frozenset()
    assert peers(views, 1) == ["192.0.2.1"]
    assert views.hear(presence(1, [0]), KEEP) == {HOSTS[1]}
    assert peers(views, 1) == []
    with pytest.raises(KeyError):
        views.view(HOSTS[0])


def test_a_peer_that_has_not_spoken_is_there_by_others_word_for_a_while() -> None:
    word = {NETWORKS[0]: frozenset({IPv4Address("192.0.2.3")})}
    views = heard(presence(0, [0]).evolve(peers=word), presence(1, [0]))
    assert peers(views, 0) == ["192.0.2.2", "192.0.2.3"]
    assert peers(views, 1) == ["192.0.2.1", "192.0.2.3"]
    assert views.hear(presence(2, [1]), 1.0) == {HOSTS[0], HOSTS[1], HOSTS[2]}
    assert peers(views, 1) == ["192.0.2.1"], "it has spoken for itself"
    views = heard(presence(0, [0]).evolve(peers=word), presence(1, [0]))
    views.hear(presence(0, [0]).evolve(peers=word), KEEP - 1)
    assert peers(views, 0) == ["192.0.2.2", "192.0.2.3"]
    views.hear(presence(0, [0]).evolve(peers=word), KEEP)
    assert peers(views, 0) == []


def test_a_view_costs_what_the_host_has_and_is_kept() -> None:
    views = heard(presence(0, [0], [0]), presence(1, [1], [1]))
    views.learn(ports=[port(5, on=1, address=200 + n) for n in range(50)])
    first = views.view(HOSTS[0])
    views.learn(networks=[network(1, mtu=1400)], ports=[port(1, address=7)])
    assert views.view(HOSTS[0]) is first, "nothing of this host's has changed"


@given(st.permutations(range(4)))
def test_the_version_does_not_depend_on_the_order_of_things(order: list[int]) -> None:
    views = heard(*(presence(number, [0, 1], [0, 1]) for number in order))
    assert views.view(HOSTS[0]) == heard(
        *(presence(number, [0, 1], [0, 1]) for number in range(4))
    ).view(HOSTS[0])
