"""Networks between throw-away hosts, with real frames. Namespaces stand in for guests."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from threading import get_native_id

import pytest

from actors.hostnet.bridge_network import BridgeNetwork
from actors.hostnet.plan import Plan
from actors.model.errors import HypervisorRefused
from actors.model.flat_network import default_network
from actors.model.host_view import HostPresence
from actors.model.host_views import HostViews
from actors.model.ids import HostId, InstanceId, NetworkId, PortId
from actors.model.instance import InstanceRecord
from actors.model.mac import mac_for
from actors.model.network import Network, NetworkKind, Nic
from cluster import purge
from cluster.config import Settings
from tests.live.test_hostnet import CREATED, SHARE, STATE, HostNetworks, ThrowAwayHost, instance

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root"),
]

UNDERLAY = IPv4Network("192.0.2.0/24")
CIDR = IPv4Network("10.0.0.0/24")


def network(number: int) -> Network:
    """All have the same range."""
    made = default_network(
        NetworkId(f"{number:08d}-d958-409a-b310-78d58320ff2c"), CREATED, CIDR, 1450
    )
    return made.evolve(kind=NetworkKind.VXLAN, vni=number)


RED, BLUE = network(1), network(2)


def guest(number: int, address: int, on: Network = RED) -> InstanceRecord:
    """One whose address ends in ``address``."""
    found = on.cidr[address]
    port = PortId(f"{number:08d}-0000-0000-0000-000000000000")
    nic = Nic(port=port, network=on, mac=mac_for(on, found), address=found)
    name = InstanceId(f"00000000-0000-0000-0000-{number:012d}")
    return instance(address).evolve(id=name, nics=(nic,))


class Member:
    """A host, and its networks."""

    def __init__(self, number: int, host: ThrowAwayHost) -> None:
        self.id = HostId(f"host{number}")
        self.address = UNDERLAY[number]
        self.host = host
        self.networks = HostNetworks(host)
        self.runs = True
        self.start()

    def start(self) -> None:
        """A new process: it knows what the one before it has left in its folder."""
        self.stop()
        self.networks.plain = self.host.do(
            lambda: BridgeNetwork(STATE, SHARE, tunnel_address=self.address)
        )
        self.runs = True

    def stop(self) -> None:
        """Its process ends."""
        if self.runs:
            self.networks.close()
        self.runs = False

    def boot(self, record: InstanceRecord) -> str:
        """A guest that has its address; its name."""
        (nic,) = record.nics
        name = f"g{int(nic.port[:8])}"
        self.networks.ensure(record)
        self.host.add_guest(name, nic.mac, Plan.of(nic.network).bridge, nic.device)
        self.host.run("ip", "-n", name, "link", "set", name, "mtu", "1450")
        length = nic.network.cidr.prefixlen
        self.host.run("ip", "-n", name, "address", "add", f"{nic.address}/{length}", "dev", name)
        return name

    def delete(self, record: InstanceRecord) -> None:
        (nic,) = record.nics
        self.host.run("ip", "link", "delete", nic.device)
        self.host.run("ip", "netns", "delete", f"g{int(nic.port[:8])}")
        self.networks.remove(record)

    def floods(self, on: Network = RED) -> set[str]:
        """Where frames for everybody go."""
        shown = self.host.run("bridge", "fdb", "show", "dev", Plan.of(on).tunnel, check=False)
        return {
            line.split()[line.split().index("dst") + 1]
            for line in shown.splitlines()
            if line.startswith("00:00:00:00:00:00 ")
        }


class Fleet:
    """Hosts on one wire, and what tells them of each other."""

    def __init__(self, hosts: list[ThrowAwayHost], wire: ThrowAwayHost) -> None:
        wire.run("ip", "link", "add", "fab0", "type", "bridge")
        wire.run("ip", "link", "set", "fab0", "up")
        for number, host in enumerate(hosts, 1):
            thread = host.do(get_native_id)
            wire.run(
                "ip", "link", "add", f"h{number}", "type", "veth",
                "peer", "name", "eth0", "netns", str(thread),
            )  # fmt: skip
            wire.run("ip", "link", "set", f"h{number}", "master", "fab0", "up")
            host.run("ip", "address", "add", f"{UNDERLAY[number]}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                host.run("ip", "link", "set", link, "up")
            host.before = host.inventory()
        self.members = [Member(number, host) for number, host in enumerate(hosts, 1)]
        self.views = HostViews(0.0)
        self.views.learn([RED, BLUE])

    def follow(self) -> None:
        """Every host says what it has, and does what it is told."""
        for member in self.members:
            here = member.host.do(member.networks.plain.presence)
            assert here.tunnel_address == member.address
            self.views.hear(
                HostPresence(
                    host_id=member.id,
                    host=member.id,
                    tunnel_address=here.tunnel_address,
                    networks=here.networks,
                    ports=here.ports,
                    peers=dict(here.peers),
                ),
                0.0,
            )
        for member in self.members:
            self.told(member)

    def told(self, member: Member) -> None:
        view = self.views.view(member.id)
        member.host.do(lambda: member.networks.plain.follow(view))

    def close(self) -> None:
        for member in self.members:
            member.stop()


def reaches(member: Member, name: str, address: str | IPv4Address) -> bool:
    """Whether a guest is answered. A machine that is busy is given time for it."""
    deadline = time.monotonic() + 30
    while not member.host.ping(name, address):
        if time.monotonic() > deadline:
            return False
    return True


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        hosts = []
        for _ in range(4):
            host = ThrowAwayHost()
            stack.callback(host.close)
            hosts.append(host)
        made = Fleet(hosts[:3], hosts[3])
        stack.callback(made.close)
        yield made


def test_guests_of_one_network_meet_across_hosts_and_those_of_two_do_not(fleet: Fleet) -> None:
    first, second, _ = fleet.members
    red = guest(1, 5), guest(2, 6)
    blue = guest(3, 5, BLUE), guest(4, 7, BLUE)
    for member, records in ((first, (red[0], blue[0])), (second, (red[1], blue[1]))):
        for record in records:
            member.boot(record)
    fleet.follow()
    # The same addresses on both hosts, in two networks: each guest sees its own.
    assert reaches(first, "g1", "10.0.0.6")
    assert reaches(first, "g3", "10.0.0.7")
    assert reaches(second, "g2", "10.0.0.5")
    assert not first.host.ping("g1", "10.0.0.7")
    assert not first.host.ping("g3", "10.0.0.6")
    large = first.host.inside("g1", "busybox", "ping", "-c1", "-W5", "-s", "1422", "10.0.0.6")
    assert "1 packets received" in large, "as much as the network's MTU takes"
    for member, records in ((first, (red[0], blue[0])), (second, (red[1], blue[1]))):
        for record in records:
            member.delete(record)
        assert member.host.inventory() == member.host.before


def test_every_host_serves_its_own_guests(fleet: Fleet) -> None:
    first, second, _ = fleet.members
    first.boot(guest(1, 5))
    name = second.boot(guest(2, 6))
    fleet.follow()
    assert reaches(second, name, RED.dhcp)
    second.host.run("ip", "link", "set", Plan.of(RED).port, "down")
    second.host.run("ip", "-n", name, "neigh", "flush", "all")
    assert not second.host.ping(name, RED.dhcp), "the first host's must not answer"
    assert reaches(second, name, "10.0.0.5")


def test_peers_come_and_go_with_the_first_and_last_guest(fleet: Fleet) -> None:
    first, second, third = fleet.members
    records = [guest(number, 4 + number) for number in (1, 2, 3, 4)]
    first.boot(records[0])
    fleet.follow()
    assert first.floods() == set()
    second.boot(records[1])
    third.boot(records[2])
    third.boot(records[3])
    fleet.follow()
    assert first.floods() == {"192.0.2.2", "192.0.2.3"}
    assert third.floods() == {"192.0.2.1", "192.0.2.2"}
    assert reaches(first, "g1", "10.0.0.8")
    third.delete(records[3])
    fleet.follow()
    assert first.floods() == {"192.0.2.2", "192.0.2.3"}, "it has another guest there"
    third.delete(records[2])
    fleet.follow()
    assert first.floods() == {"192.0.2.2"}
    assert second.floods() == {"192.0.2.1"}
    learned = first.host.run("bridge", "fdb", "show", "dev", Plan.of(RED).tunnel)
    assert "192.0.2.3" not in learned
    assert third.host.inventory() == third.host.before
    assert reaches(first, "g1", "10.0.0.6")


def test_a_new_process_keeps_the_peers_until_it_is_told(fleet: Fleet) -> None:
    first, second, third = fleet.members
    for number, member in enumerate(fleet.members, 1):
        member.boot(guest(number, 4 + number))
    fleet.follow()
    both = {"192.0.2.2", "192.0.2.3"}
    link = first.host.run("ip", "link", "show", Plan.of(RED).tunnel)
    first.start()
    first.networks.restore(guest(1, 5))
    assert first.host.do(first.networks.plain.presence).ports == {guest(1, 5).nics[0].port}
    assert first.floods() == both
    assert first.host.run("ip", "link", "show", Plan.of(RED).tunnel) == link, "the same link"
    # The NetworkActor is new too, and has heard of nobody else.
    fleet.views = HostViews(0.0)
    fleet.views.learn([RED])
    fleet.members = [first]
    fleet.follow()
    assert first.floods() == both
    assert reaches(first, "g1", "10.0.0.6")
    fleet.members = [first, second]
    third.delete(guest(3, 7))
    fleet.follow()
    assert first.floods() == both, "the third has not said that it has no guest any more"
    fleet.members = [first, second, third]
    fleet.follow()
    assert first.floods() == {"192.0.2.2"}


@pytest.mark.parametrize(
    "damage",
    [
        ("ip", "link", "delete", Plan.of(RED).tunnel),
        ("ip", "link", "set", Plan.of(RED).tunnel, "nomaster"),
        ("ip", "link", "set", Plan.of(RED).tunnel, "down"),
        ("bridge", "fdb", "del", "00:00:00:00:00:00", "dst", "192.0.2.2", "dev", "DEV"),
        ("bridge", "fdb", "append", "00:00:00:00:00:00", "dst", "192.0.2.77", "dev", "DEV"),
        ("ip", "link", "delete", Plan.of(RED).bridge),
    ],
    ids=" ".join,
)
def test_what_was_damaged_is_mended(fleet: Fleet, damage: tuple[str, ...]) -> None:
    first, second, _ = fleet.members
    first.boot(guest(1, 5))
    second.boot(guest(2, 6))
    fleet.follow()
    first.host.run(*(Plan.of(RED).tunnel if word == "DEV" else word for word in damage))
    first.networks.restore(guest(1, 5))
    device = guest(1, 5).nics[0].device
    first.host.run("ip", "link", "set", device, "master", Plan.of(RED).bridge)
    assert first.floods() == {"192.0.2.2"}
    assert reaches(first, "g1", "10.0.0.6")


def test_a_host_that_starts_anew_is_built_again(fleet: Fleet) -> None:
    first, second, _ = fleet.members
    first.boot(guest(1, 5))
    second.boot(guest(2, 6))
    fleet.follow()
    plan = Plan.of(RED)
    first.stop()
    for link in (plan.tunnel, plan.port, plan.bridge, guest(1, 5).nics[0].device):
        first.host.run("ip", "link", "delete", link)
    first.host.run("ip", "netns", "delete", plan.namespace)
    first.host.run("ip", "netns", "delete", "g1")
    first.start()
    first.networks.restore(guest(1, 5))
    fleet.follow()
    first.boot(guest(1, 5))
    assert reaches(first, "g1", "10.0.0.6")
    first.delete(guest(1, 5))
    assert first.host.inventory() == first.host.before


def test_a_tunnel_address_that_was_changed_is_followed(fleet: Fleet) -> None:
    first, second, _ = fleet.members
    first.boot(guest(1, 5))
    second.boot(guest(2, 6))
    fleet.follow()
    first.host.run("ip", "address", "add", "192.0.2.101/24", "dev", "eth0")
    first.address = IPv4Address("192.0.2.101")
    first.start()
    first.networks.restore(guest(1, 5))
    fleet.follow()
    assert "local 192.0.2.101" in first.host.run("ip", "-d", "link", "show", Plan.of(RED).tunnel)
    assert second.floods() == {"192.0.2.101"}
    assert reaches(first, "g1", "10.0.0.6")


@pytest.mark.parametrize(
    ("name", "number", "why"),
    [("their1", RED.vni, "VXLAN 1"), (Plan.of(RED).tunnel, 77, "not ours")],
    ids=["its number", "its name"],
)
def test_links_of_others_are_refused_and_left(
    fleet: Fleet, name: str, number: int, why: str
) -> None:
    first = fleet.members[0]
    first.host.run(
        "ip", "link", "add", name, "type", "vxlan", "id", str(number),
        "dstport", "4789", "local", str(first.address),
    )  # fmt: skip
    before = first.host.run("ip", "-d", "link", "show", name)
    with pytest.raises(HypervisorRefused, match=why):
        first.networks.ensure(guest(1, 5))
    with suppress(HypervisorRefused):
        first.networks.remove(guest(1, 5))
    assert first.host.run("ip", "-d", "link", "show", name) == before
    first.host.run("ip", "link", "delete", name)
    first.networks.remove(guest(1, 5))
    assert first.host.inventory() == first.host.before


def test_a_link_of_others_beside_ours_is_left(fleet: Fleet) -> None:
    first = fleet.members[0]
    theirs = ("id", "77", "dstport", "4789", "local", str(first.address))
    first.host.run("ip", "link", "add", "their1", "type", "vxlan", *theirs)
    first.host.before = first.host.inventory()
    first.boot(guest(1, 5))
    fleet.follow()
    first.networks.restore(guest(1, 5))
    first.delete(guest(1, 5))
    assert first.host.inventory() == first.host.before
    assert "vxlan id 77 " in first.host.run("ip", "-d", "link", "show", "their1")


def test_a_host_without_the_tunnel_address_says_so(fleet: Fleet) -> None:
    first = fleet.members[0]
    first.address = IPv4Address("198.51.100.1")
    first.start()
    with pytest.raises(HypervisorRefused, match="NOVARAY_TUNNEL_ADDRESS"):
        first.networks.ensure(guest(1, 5))
    first.networks.remove(guest(1, 5))
    assert first.host.inventory() == first.host.before


def test_no_guest_reaches_the_tunnel(fleet: Fleet) -> None:
    first, second, _ = fleet.members
    first.boot(guest(1, 5))
    second.boot(guest(2, 6))
    fleet.follow()
    # One that nothing keeps from speaking as it likes, with an address of the hosts' own network.
    first.host.add_guest("evil", "02:00:00:00:00:66", Plan.of(RED).bridge)
    first.host.run("ip", "-n", "evil", "address", "add", "192.0.2.66/24", "dev", "evil")
    for member in (first, second):
        assert not first.host.ping("evil", member.address)
    assert reaches(first, "g1", "10.0.0.6")
    first.host.remove_guest("evil")


def test_a_purge_takes_the_tunnel_along(fleet: Fleet) -> None:
    first = fleet.members[0]
    first.boot(guest(1, 5))
    first.stop()
    first.host.run("ip", "link", "delete", guest(1, 5).nics[0].device)
    first.host.run("ip", "netns", "delete", "g1")
    folders = (STATE / RED.id,)
    settings = Settings(state_dir=Path("/run/novaray"), tunnel_address=first.address)
    first.host.do(lambda: purge._take_down_networks(settings, folders))
    assert first.host.inventory() == first.host.before
