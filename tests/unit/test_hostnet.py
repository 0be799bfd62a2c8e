"""What hostnet decides without touching the host; the rest is in tests/live/test_hostnet.py."""

import asyncio
import os
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from actors.guestdata.guest import HostShare
from actors.hostnet import forward_policy, state_file
from actors.hostnet.bridge_network import BridgeNetwork
from actors.hostnet.command import run
from actors.hostnet.dnsmasq import Dnsmasq, Lease
from actors.hostnet.forward_policy import dropping_chains, forward_drops
from actors.hostnet.links import Links
from actors.hostnet.no_network import NoNetwork
from actors.hostnet.plan import Plan
from actors.hostnet.process import Process
from actors.hostnet.site import Site
from actors.hostnet.spoof_guard import Card, ruleset, table_of
from actors.hostnet.wiring import Built, Wiring
from actors.model.errors import HypervisorRefused
from actors.model.flat_network import default_network
from actors.model.host_view import HostView
from actors.model.ids import InstanceId, NetworkId, PortId
from actors.model.network import Network, NetworkKind
from actors.ports.hypervisor import HostNetwork

if TYPE_CHECKING:
    from actors.model.instance import InstanceRecord

NETWORK = default_network(
    NetworkId("7b293cb1-d958-409a-b310-78d58320ff2c"),
    datetime(2026, 1, 5, tzinfo=UTC),
    IPv4Network("10.0.0.0/24"),
)
SHARE = HostShare(b"secret", {})
PLAN = Plan.of(NETWORK)
LEASE = Lease(IPv4Address("10.0.0.5"), "fa:16:3e:00:00:05", InstanceId("vm"))


def test_names_fit_the_kernel_and_tell_the_network() -> None:
    plan = Plan.of(NETWORK)
    assert plan.bridge == "brq7b293cb1-d9"
    assert plan.namespace == f"qdhcp-{NETWORK.id}"
    assert all(len(name) <= 15 for name in (plan.bridge, plan.port, plan.device))
    assert len({plan.bridge, plan.port, plan.device}) == 3
    assert NETWORK.id in plan.alias
    assert plan.address == "10.0.0.2/24"
    assert len({plan.bridge_mac, plan.port_mac, plan.device_mac}) == 3


def test_guests_are_told_of_the_networks_name_servers(tmp_path: Path) -> None:
    named = NETWORK.evolve(dns=(IPv4Address("9.9.9.9"), IPv4Address("1.1.1.1")))
    for network, servers in ((NETWORK, "10.0.0.2"), (named, "9.9.9.9,1.1.1.1")):
        command = Dnsmasq(tmp_path, network)._command()
        assert f"--dhcp-option=option:dns-server,{servers}" in command


def test_a_lease_is_written_and_read() -> None:
    line = LEASE.to_line()
    assert line.startswith("fa:16:3e:00:00:05,10.0.0.5,host-10-0-0-5 ")
    assert "set:" not in line, "dnsmasq 2.90 would crash"
    assert Lease.from_line(line.rstrip()) == LEASE
    ported = replace(LEASE, port=PortId("p"))
    assert Lease.from_line(ported.to_line().rstrip()) == ported


@pytest.mark.parametrize("line", ["", "a,b,c", "fa:16:3e:00:00:05,nowhere,host # vm"])
def test_a_line_that_is_none_of_ours_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of the fields is wrong does not matter
        Lease.from_line(line)


def test_a_state_file_is_replaced_only_by_something_else(tmp_path: Path) -> None:
    file = tmp_path / "made" / "hosts"
    assert state_file.read(file) == ""
    assert state_file.write(file, "")
    assert not state_file.write(file, "")
    assert state_file.write(file, "a")
    assert file.read_text() == "a"
    assert [entry.name for entry in file.parent.iterdir()] == ["hosts"]


def chain(family: str, hook: str, policy: str) -> dict[str, dict[str, object]]:
    return {
        "chain": {
            "family": family, "table": "filter", "name": hook.upper(),
            "hook": hook, "policy": policy,
        }
    }  # fmt: skip


def test_only_a_policy_that_drops_what_is_forwarded_counts() -> None:
    found: dict[str, list[dict[str, dict[str, object]]]] = {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            chain("ip", "forward", "drop"),
            chain("ip", "input", "drop"),
            chain("ip", "forward", "accept"),
            chain("ip6", "forward", "drop"),
        ]
    }
    (said,) = dropping_chains(found)
    assert "FORWARD" in said


def test_where_bridges_pass_no_filter_there_is_nothing_to_warn_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(forward_policy, "_CALLS_FILTER", tmp_path / "none")
    assert forward_drops() == ""


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(HypervisorRefused, match="broken"):
        run(("sh", "-c", "echo broken >&2; exit 3"))
    with pytest.raises(HypervisorRefused, match="No such file"):
        run(("novaray-no-such-program",))


def test_links_are_read_whatever_the_event_loop_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ray's actors run uvloop, whose loops open no netlink socket.
    monkeypatch.setattr(asyncio, "new_event_loop", uvloop.new_event_loop)
    links = Links()
    try:
        loopback = links.find("lo")
    finally:
        links.close()
    assert loopback is not None
    assert loopback.index == 1


def test_a_process_is_known_by_more_than_its_number() -> None:
    # It speaks once it runs: a program that is only being started has no command line yet.
    command = ["sh", "-c", "echo; read line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = Process.find(child.pid)
        assert found is not None
        assert found.alive
        assert found.command == tuple(command)
        assert found.started.isdecimal()
        assert found.namespace == os.stat("/proc/self/ns/net").st_ino
        found.signal(signal.SIGCONT)
        found.end(5)
        child.wait()
        # Whatever process has the number next is not asked.
        assert not any((found.alive, found.command, found.started, found.namespace))
        found.end(0)  # again is no error
        found.close()
        assert Process.find(child.pid) is None


class FakeWiring:
    """Records what is built; fails on demand."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.followed: list[frozenset[IPv4Address] | None] = []
        self.broken = False

    def build(self, plan: Plan, peers: frozenset[IPv4Address] | None) -> Built:
        self.calls.append("build")
        self.followed.append(peers)
        if self.broken:
            raise HypervisorRefused("broken")
        return Built(1, 2, 3)

    def reach(
        self, plan: Plan, peers: frozenset[IPv4Address], before: frozenset[IPv4Address] | None
    ) -> None:
        if self.broken:
            raise HypervisorRefused("broken")
        self.followed.append(peers)

    def reached(self, plan: Plan) -> frozenset[IPv4Address]:
        return far(9)

    def intact(self, plan: Plan, built: Built) -> bool:
        return True

    def own_namespace(self, plan: Plan) -> int:
        return 0

    def take_down(self, plan: Plan) -> bool:
        self.calls.append("take down")
        if self.broken:
            raise HypervisorRefused("broken")
        return True


class FakeDnsmasq:
    """In place of the server: whom it serves."""

    alive = True

    def __init__(self) -> None:
        self.served: list[set[str]] = []

    def serve(self, leases: tuple[Lease, ...], wire: str) -> None:
        self.served.append({lease.instance for lease in leases})

    def stop(self, namespace: int) -> None:
        self.served.append(set())


@pytest.fixture
def wiring() -> FakeWiring:
    return FakeWiring()


@pytest.fixture
def dnsmasq() -> FakeDnsmasq:
    return FakeDnsmasq()


@pytest.fixture
def site(tmp_path: Path, wiring: FakeWiring, dnsmasq: FakeDnsmasq) -> Site:
    made = Site(tmp_path / "site", NETWORK, cast("Wiring", wiring))
    made._dnsmasq = dnsmasq  # type: ignore[assignment]
    return made


def lease(number: int) -> Lease:
    return Lease(IPv4Address(f"10.0.0.{number}"), "mac", InstanceId(f"vm{number}"))


def admit(site: Site, number: int) -> int:
    return site.admit(NETWORK, InstanceId(f"vm{number}"), [lease(number)])


def test_wishes_that_gathered_are_served_at_once(site: Site, dnsmasq: FakeDnsmasq) -> None:
    tickets = [admit(site, number) for number in (5, 6, 7)]
    for ticket in tickets:
        site.converge(ticket)
    assert dnsmasq.served == [{"vm5", "vm6", "vm7"}]


def test_nothing_new_is_nothing_to_do(site: Site, wiring: FakeWiring, dnsmasq: FakeDnsmasq) -> None:
    for _ in range(3):
        site.converge(admit(site, 5))
    assert wiring.calls == ["build"]
    assert dnsmasq.served == [{"vm5"}]
    dnsmasq.alive = False
    site.converge(admit(site, 5))
    assert len(dnsmasq.served) == 2


def test_what_failed_is_tried_again(site: Site, wiring: FakeWiring, dnsmasq: FakeDnsmasq) -> None:
    wiring.broken = True
    for _ in range(2):
        with pytest.raises(HypervisorRefused):
            site.converge(admit(site, 5))
    wiring.broken = False
    site.converge(admit(site, 5))
    wiring.broken = True
    for _ in range(2):
        with pytest.raises(HypervisorRefused):
            site.converge(site.dismiss(InstanceId("vm5")))
    wiring.broken = False
    site.converge(site.dismiss(InstanceId("vm5")))
    assert wiring.calls[-1] == "take down"
    assert site.dismiss(InstanceId("vm5")) == 0


def test_an_address_has_one_holder(site: Site, dnsmasq: FakeDnsmasq) -> None:
    site.converge(admit(site, 5))
    heir = Lease(lease(5).address, "mac", InstanceId("heir"))
    site.converge(site.admit(NETWORK, heir.instance, [heir]))
    site.dismiss(InstanceId("vm5"))  # late news
    site.converge(0)
    assert dnsmasq.served[-1] == {"heir"}


VXLAN = NETWORK.evolve(kind=NetworkKind.VXLAN, vni=7, mtu=1450)


def far(*numbers: int) -> frozenset[IPv4Address]:
    return frozenset(IPv4Address(f"192.0.2.{number}") for number in numbers)


@pytest.fixture
def tunnelled(tmp_path: Path, wiring: FakeWiring, dnsmasq: FakeDnsmasq) -> Site:
    made = Site(tmp_path / "site", VXLAN, cast("Wiring", wiring))
    made._dnsmasq = dnsmasq  # type: ignore[assignment]
    made.converge(made.admit(VXLAN, InstanceId("vm5"), [lease(5)]))
    return made


def follow(site: Site, peers: frozenset[IPv4Address], network: Network = VXLAN) -> None:
    if ticket := site.follow(network, peers):
        site.converge(ticket)


def test_a_flat_network_has_no_tunnel() -> None:
    assert (PLAN.vni, Plan.of(VXLAN).vni) == (0, 7)
    assert len(Plan.of(VXLAN).tunnel) <= 15


def test_peers_are_followed_once_each(tunnelled: Site, wiring: FakeWiring) -> None:
    for peers in (far(2), far(2), far(2, 3)):
        follow(tunnelled, peers)
    assert wiring.followed == [None, far(2), far(2, 3)]
    assert wiring.calls == ["build"]
    tunnelled.doubt()
    tunnelled.converge(0)
    assert wiring.followed[-1] == far(2, 3), "what is built again reaches them"


def test_peers_that_the_host_refused_are_tried_again(tunnelled: Site, wiring: FakeWiring) -> None:
    wiring.broken = True
    with pytest.raises(HypervisorRefused):
        follow(tunnelled, far(2))
    wiring.broken = False
    follow(tunnelled, far(2))
    assert wiring.followed == [None, far(2)]


def test_a_network_without_guests_forgets_its_peers(tunnelled: Site, wiring: FakeWiring) -> None:
    follow(tunnelled, far(2))
    tunnelled.converge(tunnelled.dismiss(InstanceId("vm5")))
    tunnelled.converge(tunnelled.admit(VXLAN, InstanceId("vm6"), [lease(6)]))
    assert wiring.followed[-1] is None
    assert tunnelled.peers == far(9), "what the kernel has"


def test_a_site_tells_the_ports_of_its_guests(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", NETWORK, cast("Wiring", FakeWiring()))
    assert site.ports is None
    site.admit(NETWORK, InstanceId("vm5"), [replace(lease(5), port=PortId("p5"))])
    site.admit(NETWORK, InstanceId("vm6"), [lease(6)])
    assert site.ports == {"p5"}


def test_a_folder_that_is_not_to_be_read_is_passed_over(tmp_path: Path, wiring: FakeWiring) -> None:
    (tmp_path / "network.json").write_text("{")
    assert Site.load(tmp_path, cast("Wiring", wiring)) is None


def test_no_network_builds_nothing(tmp_path: Path) -> None:
    nothing, _ = networks = (NoNetwork(), BridgeNetwork(tmp_path, SHARE))
    _implement_the_port(*networks)
    record = cast("InstanceRecord", None)
    assert nothing.ensure(record) == {}
    nothing.remove(record)
    nothing.restore((record,))
    nothing.on_change(lambda: None)
    nothing.follow(HostView(version="1"))


def _implement_the_port(*networks: HostNetwork) -> None:
    """For the type checker."""


def test_the_rules_against_pretending_hold_all_cards_and_may_hold_none() -> None:
    card = Card("tap00000005-00", "fa:16:3e:00:00:05", IPv4Address("10.0.0.5"))
    text = ruleset(table_of(PLAN), frozenset({card}))
    assert text.startswith("table bridge novaray_brq7b293cb1_d9\n")
    assert '"tap00000005-00" . fa:16:3e:00:00:05' in text
    assert '"tap00000005-00" . 10.0.0.5' in text
    assert "elements" not in ruleset(table_of(PLAN), frozenset())
