"""Bridges, DHCP namespaces and dnsmasq for real, on a throw-away host: namespaces of a thread."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from actors.guestdata.guest import HostShare
from actors.hostnet.bridge_network import BridgeNetwork
from actors.hostnet.plan import Plan
from actors.model.errors import HypervisorRefused
from actors.model.flat_network import default_network
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.ids import ImageId, InstanceId, NetworkId, PortId, ProjectId, RequestId, UserId
from actors.model.image import BootFile, BootSource, DiskFormat
from actors.model.instance import InstanceRecord
from actors.model.mac import mac_for
from actors.model.network import Network, Nic
from tools.testhosts import namespaces

if TYPE_CHECKING:
    from actors.model.guest_data import GuestData

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root"),
]

ROOT = Path(__file__).parents[2]
CREATED = datetime(2026, 1, 5, tzinfo=UTC)
NETWORK = default_network(
    NetworkId("7b293cb1-d958-409a-b310-78d58320ff2c"), CREATED, IPv4Network("10.0.0.0/24"), 1400
)
PLAN = Plan.of(NETWORK)
SHARE = HostShare(b"secret", {})
#: On the throw-away host's own /run, where dnsmasq can run as nobody.
STATE = Path("/run/novaray/networks")
#: What udhcpc calls with the lease in its environment.
SCRIPT = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
busybox ip address add "$ip/$mask" dev "$interface"
env > "/run/lease-$interface"
"""
ACTOR = """
import sys, time
from pathlib import Path
from actors.guestdata.guest import HostShare
from actors.hostnet.bridge_network import BridgeNetwork
from actors.model.instance import InstanceRecord
hosts = BridgeNetwork(Path(sys.argv[1]), HostShare(b"secret", {}))
hosts.ensure(InstanceRecord.model_validate_json(sys.argv[2]))
print("ready", flush=True)
time.sleep(100)
"""

Result = TypeVar("Result")


def instance(number: int, network: Network = NETWORK) -> InstanceRecord:
    """An instance whose address ends in ``number``."""
    name = InstanceId(f"00000000-0000-0000-0000-{number:012d}")
    address = network.cidr[number]
    port = PortId(f"{number:08d}-0000-0000-0000-000000000000")
    disk = BootFile(image=ImageId("i"), sha256="0" * 64, size=1, disk_format=DiskFormat.QCOW2)
    return InstanceRecord(
        id=name,
        project=ProjectId("demo"),
        user=UserId("demo"),
        name="ignore",  # means something to dnsmasq
        request_id=RequestId("r"),
        flavor=DEFAULT_FLAVORS[0],
        source=BootSource(image=ImageId("i"), image_name="i", disk=disk, virtual_size=1),
        nics=(Nic(port=port, network=network, mac=mac_for(network, address), address=address),),
        created=CREATED,
        updated=CREATED,
    )


class ThrowAwayHost:
    """A network and a mount namespace that one thread is in, with a /run of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._enter).result()
        self.before = self.inventory()

    def _enter(self) -> None:
        namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
        namespaces.mount("", "/", flags=namespaces.MS_REC | namespaces.MS_SLAVE)
        namespaces.mount("hostnet-test", "/run", "tmpfs", 0, "mode=755")
        script = Path("/run/udhcpc.sh")
        script.write_text(SCRIPT)
        script.chmod(0o755)

    def do(self, what: Callable[[], Result]) -> Result:
        """Run this on the host."""
        return self._thread.submit(what).result()

    def run(self, *command: str, check: bool = True) -> str:
        return self.do(
            partial(
                subprocess.run, command, capture_output=True, text=True, check=check, timeout=120
            )
        ).stdout

    def inside(self, namespace: str, *command: str, check: bool = True) -> str:
        return self.run("ip", "netns", "exec", namespace, *command, check=check)

    def inventory(self) -> tuple[set[str], set[str], set[int], bool]:
        """Links, namespaces, dnsmasqs and whether there is state."""
        links = set(self.run("ls", "/proc/self/net/dev_snmp6").split())
        names = set(self.run("ip", "netns", "list").split())
        state = self.do(lambda: STATE.is_dir() and any(STATE.iterdir()))
        return links, names, set(self.dnsmasqs()), state

    def dnsmasqs(self) -> list[int]:
        """Running ones that serve our state folder, in whatever namespace, of this host."""
        mine = self.do(lambda: os.stat(f"/proc/{threading.get_native_id()}/ns/mnt").st_ino)
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    entry.name.isdecimal()
                    and (entry / "cmdline").read_bytes().startswith(b"dnsmasq\0")
                    and (entry / "ns/mnt").stat().st_ino == mine
                ):
                    found.append(int(entry.name))
        return found

    def ping(self, namespace: str, address: object) -> bool:
        answer = self.inside(namespace, "busybox", "ping", "-c1", "-W5", str(address), check=False)
        return "1 packets received" in answer

    def add_guest(
        self, name: str, mac: str, bridge: str | None = PLAN.bridge, end: str = ""
    ) -> None:
        """A namespace whose card is on the bridge, as a tap device would be."""
        self.run("ip", "netns", "add", name)
        end = end or f"tap-{name}"
        self.run(
            "ip", "link", "add", end, "type", "veth",
            "peer", "name", name, "address", mac, "netns", name,
        )  # fmt: skip
        self.run("ip", "link", "set", end, "up", *(("master", bridge) if bridge else ()))
        self.run("ip", "-n", name, "link", "set", name, "up")

    def remove_guest(self, name: str) -> None:
        self.run("ip", "link", "delete", f"tap-{name}")
        self.run("ip", "netns", "delete", name)

    def lease(self, name: str) -> dict[str, str]:
        """What the DHCP client of a guest was given; empty when it got no answer."""
        self.inside(
            name, "busybox", "udhcpc", "-i", name, "-nqf", "-t", "5", "-T", "2",
            "-O", "mtu", "-O", "staticroutes", "-x", "hostname:stolen", "-s", "/run/udhcpc.sh",
            check=False,
        )  # fmt: skip
        text = self.run("cat", f"/run/lease-{name}", check=False)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def close(self) -> None:
        for pid in self.dnsmasqs():
            os.kill(pid, signal.SIGKILL)
        self._thread.shutdown()


class HostNetworks:
    """BridgeNetwork, called on the throw-away host."""

    def __init__(self, host: ThrowAwayHost, uplink: str | None = None) -> None:
        self.host = host
        self.plain = host.do(lambda: BridgeNetwork(STATE, SHARE, uplink))

    def ensure(self, record: InstanceRecord) -> dict[str, str]:
        return self.host.do(lambda: self.plain.ensure(record))

    def remove(self, record: InstanceRecord) -> None:
        self.host.do(lambda: self.plain.remove(record))

    def restore(self, *records: InstanceRecord) -> None:
        self.host.do(lambda: self.plain.restore(records))

    def close(self) -> None:
        self.host.do(self.plain.close)


@pytest.fixture
def host() -> Iterator[ThrowAwayHost]:
    made = ThrowAwayHost()
    yield made
    made.close()


@pytest.fixture
def networks(host: ThrowAwayHost) -> Iterator[HostNetworks]:
    made = HostNetworks(host)
    yield made
    made.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z (" in _state(pid))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "Z ("


def test_a_guest_gets_its_address_and_answers(host: ThrowAwayHost, networks: HostNetworks) -> None:
    first, second = instance(5), instance(6)
    assert networks.ensure(first) == {NETWORK.id: PLAN.bridge}
    host.add_guest("g5", first.nics[0].mac)
    lease = host.lease("g5")
    assert lease["ip"] == "10.0.0.5"
    assert lease["mask"] == "24"
    assert lease["router"] == "10.0.0.1"
    assert lease["dns"] == "10.0.0.2"
    assert lease["mtu"] == "1400"
    assert lease["lease"] == "86400"
    assert lease["staticroutes"] == "169.254.169.254/32 10.0.0.2 0.0.0.0/0 10.0.0.1"
    assert lease["hostname"] == "host-10-0-0-5"
    assert lease["domain"] == "novalocal"
    assert host.ping(PLAN.namespace, "10.0.0.5")
    # The second comes while dnsmasq runs: it has to read its hosts file again.
    networks.ensure(second)
    host.add_guest("g6", second.nics[0].mac)
    assert host.lease("g6")["ip"] == "10.0.0.6"
    assert host.ping("g5", "10.0.0.6")
    found = host.inside("g6", "busybox", "nslookup", "host-10-0-0-5.novalocal", "10.0.0.2")
    assert "10.0.0.5" in found
    stolen = host.inside("g6", "busybox", "nslookup", "stolen.novalocal", "10.0.0.2", check=False)
    assert not {"10.0.0.5", "10.0.0.6"} & set(stolen.split())


def told(host: ThrowAwayHost, guest: str, path: str = "/latest/meta-data/instance-id") -> str:
    """What the metadata service answers a guest; empty where nobody does."""
    url = f"http://169.254.169.254{path}"
    return host.inside(guest, "timeout", "15", "busybox", "wget", "-q", "-O", "-", url, check=False)


def nothing(record: InstanceRecord) -> "Future[GuestData | None]":
    """No guest is told anything beside its record."""
    answer: Future[GuestData | None] = Future()
    answer.set_result(None)
    return answer


def test_each_guest_is_told_of_itself_also_by_the_next_process(host: ThrowAwayHost) -> None:
    records = [instance(number) for number in (5, 6)]
    for start in ("ensure", "restore"):
        networks = HostNetworks(host)
        networks.plain.open(nothing)
        if start == "ensure":
            for number, record in zip((5, 6), records, strict=True):
                networks.ensure(record)
                host.add_guest(f"g{number}", record.nics[0].mac)
                host.lease(f"g{number}")
                route = ("route", "add", "169.254.169.254/32", "via", "10.0.0.2")
                host.inside(f"g{number}", "ip", *route)
        else:
            networks.restore(*records)
        for number in (5, 6):
            assert told(host, f"g{number}") == "i-00000000000000000"
            uuid = told(host, f"g{number}", "/openstack/latest/meta_data.json")
            assert f'"uuid": "00000000-0000-0000-0000-{number:012d}"' in uuid
        if start == "restore":
            networks.remove(records[0])
            assert told(host, "g5") == ""
            assert told(host, "g6")
            networks.remove(records[1])
            assert PLAN.namespace not in host.run("ip", "netns", "list")
        networks.close()
        assert told(host, "g6") == ""


def test_no_guest_speaks_as_another(host: ThrowAwayHost, networks: HostNetworks) -> None:
    networks.plain.open(nothing)
    guests = {f"g{number}": instance(number) for number in (5, 6)}
    for name, record in guests.items():
        networks.ensure(record)
        (nic,) = record.nics
        host.add_guest(name, nic.mac, end=nic.device)
        assert host.lease(name)["ip"] == str(nic.address)
        host.inside(name, "ip", "route", "add", "169.254.169.254/32", "via", "10.0.0.2")
    victim, thief = guests["g5"].nics[0], guests["g6"].nics[0]

    def becomes(mac: str, address: str) -> None:
        host.inside("g6", "ip", "link", "set", "g6", "address", mac)
        host.inside("g6", "ip", "address", "flush", "dev", "g6")
        host.inside("g6", "ip", "address", "add", f"{address}/24", "dev", "g6")
        host.inside("g6", "ip", "route", "replace", "169.254.169.254/32", "via", "10.0.0.2")

    for mac in (thief.mac, victim.mac):
        becomes(mac, str(victim.address))
        assert told(host, "g6") == ""
        assert told(host, "g5", "/latest/meta-data/local-ipv4") == "10.0.0.5"
    becomes(thief.mac, str(thief.address))
    assert told(host, "g6", "/latest/meta-data/local-ipv4") == "10.0.0.6"
    assert host.ping("g5", "10.0.0.6")
    for record in guests.values():
        networks.remove(record)
    assert "novaray" not in host.run("nft", "list", "tables")


def test_the_next_process_keeps_guests_to_what_is_theirs(host: ThrowAwayHost) -> None:
    first, second, third = (instance(number) for number in (5, 6, 7))
    before = HostNetworks(host)
    for record in (first, second):
        before.ensure(record)

    def guarded() -> set[str]:
        rules = host.run("nft", "list", "ruleset", "bridge")
        return {address for address in ("10.0.0.5", "10.0.0.6", "10.0.0.7") if address in rules}

    assert guarded() == {"10.0.0.5", "10.0.0.6"}
    before.close()
    after = HostNetworks(host)
    after.ensure(third)
    assert guarded() == {"10.0.0.5", "10.0.0.6"}, "it has not heard of the others yet"
    after.restore(first, second, third)
    assert guarded() == {"10.0.0.5", "10.0.0.6", "10.0.0.7"}
    after.close()
    # One that has no record any more does not keep the others from being guarded.
    last = HostNetworks(host)
    last.restore(second)
    last.ensure(third)
    assert guarded() == {"10.0.0.6", "10.0.0.7"}
    last.close()


def test_a_server_with_leases_reads_its_hosts_file_again_and_again(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    records = [instance(number) for number in (5, 6)]
    for number, record in zip((5, 6), records, strict=True):
        networks.ensure(record)
        host.add_guest(f"g{number}", record.nics[0].mac)
        assert host.lease(f"g{number}")["ip"] == f"10.0.0.{number}"
    pids = host.dnsmasqs()
    networks.remove(records[0])
    # The address goes to another instance, and with it the MAC.
    heir = records[0].evolve(id=InstanceId("00000000-0000-0000-0000-0000000000ff"))
    networks.ensure(heir)
    host.run("rm", "/run/lease-g5")
    host.inside("g5", "ip", "address", "flush", "dev", "g5")
    assert host.lease("g5")["ip"] == "10.0.0.5"
    for number in range(20, 30):
        networks.ensure(instance(number))
    networks.remove(records[1])
    assert host.lease("g5")["ip"] == "10.0.0.5"
    assert host.dnsmasqs() == pids


def test_a_stranger_gets_nothing_and_the_host_has_no_address(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    networks.ensure(instance(5))
    host.add_guest("stranger", "fa:16:3e:ff:ff:ff")
    assert host.lease("stranger") == {}
    for link in (PLAN.bridge, PLAN.port):
        assert "inet" not in host.run("ip", "address", "show", "dev", link)


def test_dnsmasq_runs_without_privilege_in_a_session_of_its_own(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    networks.ensure(instance(5))
    (pid,) = host.dnsmasqs()
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)
    status = Path(f"/proc/{pid}/status").read_text()
    assert "\nUid:\t0" not in status


def test_what_did_not_change_is_left_alone(host: ThrowAwayHost, networks: HostNetworks) -> None:
    networks.ensure(instance(5))
    hosts_file = STATE / NETWORK.id / "hosts"
    before = host.do(hosts_file.stat), host.dnsmasqs(), host.run("ip", "link")
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        networks.ensure(instance(5))
        seconds.append(time.perf_counter() - begin)
    # The quickest: what else the machine does is no concern of this test.
    assert min(seconds) < 0.1
    after = host.do(hosts_file.stat), host.dnsmasqs(), host.run("ip", "link")
    assert [before[0].st_mtime_ns, *before[1:]] == [after[0].st_mtime_ns, *after[1:]]


@pytest.mark.parametrize("how", ["ensure", "restore"])
def test_a_dnsmasq_that_died_is_started_again(
    host: ThrowAwayHost, networks: HostNetworks, how: str
) -> None:
    record = instance(5)
    networks.ensure(record)
    (old,) = host.dnsmasqs()
    kill(old)
    networks.ensure(record) if how == "ensure" else networks.restore()
    (new,) = host.dnsmasqs()
    assert new != old
    host.add_guest("g5", record.nics[0].mac)
    assert host.lease("g5")["ip"] == "10.0.0.5"


def test_a_new_process_adopts_what_runs(host: ThrowAwayHost) -> None:
    first, second = instance(5), instance(6)
    actor = host.do(
        lambda: subprocess.Popen(
            [sys.executable, "-c", ACTOR, str(STATE), first.model_dump_json()],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
    )
    assert actor.stdout is not None
    with actor:
        assert actor.stdout.readline() == b"ready\n"
        os.killpg(actor.pid, signal.SIGKILL)  # as Ray does
    (pid,) = host.dnsmasqs()
    links = host.run("ip", "link")
    networks = HostNetworks(host)
    try:
        # Nobody has told it of the first: it must not forget it.
        networks.ensure(second)
        assert host.dnsmasqs() == [pid]
        assert host.run("ip", "link") == links
        for number, record in ((5, first), (6, second)):
            host.add_guest(f"g{number}", record.nics[0].mac)
            assert host.lease(f"g{number}")["ip"] == f"10.0.0.{number}"
            host.remove_guest(f"g{number}")
        networks.remove(first)
        networks.remove(second)
        assert host.inventory() == host.before
    finally:
        networks.close()


def test_nothing_is_left_when_the_last_guest_has_gone(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    host.run("ip", "link", "add", "brqelse", "type", "bridge")
    host.run("ip", "netns", "add", "qdhcp-else")
    before = host.inventory()
    for number in (5, 6):
        networks.ensure(instance(number))
    networks.remove(instance(5))
    assert len(host.dnsmasqs()) == 1
    # Its cards are gone from the record by now, and it goes twice.
    for _ in range(2):
        networks.remove(instance(6).evolve(nics=()))
        assert host.inventory() == before
    networks.restore()
    assert host.inventory() == before
    assert networks.ensure(instance(5)) == {NETWORK.id: PLAN.bridge}


def test_a_removal_that_was_interrupted_is_finished(host: ThrowAwayHost) -> None:
    interrupted = HostNetworks(host)
    interrupted.ensure(instance(5))
    interrupted.close()
    host.do(lambda: (STATE / NETWORK.id / "hosts").write_text(""))
    host.run("ip", "link", "delete", PLAN.port)
    networks = HostNetworks(host)
    networks.restore()
    networks.close()
    assert host.inventory() == host.before


def test_many_at_once_share_one_server(host: ThrowAwayHost, networks: HostNetworks) -> None:
    records = [instance(number) for number in range(10, 40)]

    def burst() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(networks.plain.ensure, records))

    host.do(burst)
    assert len(host.dnsmasqs()) == 1
    lines = host.run("cat", str(STATE / NETWORK.id / "hosts")).splitlines()
    assert len(lines) == len(records)

    def leave() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(networks.plain.remove, records))

    host.do(leave)
    assert host.inventory() == host.before


@pytest.mark.parametrize(
    "damage",
    [
        ("ip", "link", "delete", PLAN.bridge),
        ("ip", "link", "delete", PLAN.port),
        ("ip", "netns", "delete", PLAN.namespace),
        ("umount", f"/run/netns/{PLAN.namespace}"),
        ("ip", "-n", PLAN.namespace, "link", "delete", PLAN.device),
        ("ip", "link", "set", PLAN.port, "nomaster"),
    ],
    ids=" ".join,
)
def test_what_was_damaged_is_mended(
    host: ThrowAwayHost, networks: HostNetworks, damage: tuple[str, ...]
) -> None:
    record = instance(5)
    networks.ensure(record)
    host.run(*damage)
    networks.ensure(record)
    host.add_guest("g5", record.nics[0].mac)
    assert host.lease("g5")["ip"] == "10.0.0.5"
    assert len(host.dnsmasqs()) == 1
    host.remove_guest("g5")
    networks.remove(record)
    assert host.inventory() == host.before


def test_an_address_that_was_changed_is_put_right(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    networks.ensure(instance(5))
    device = ("dev", PLAN.device)
    host.run("ip", "-n", PLAN.namespace, "address", "add", "10.0.0.77/24", *device)
    networks.restore(instance(5))
    shown = host.run("ip", "-n", PLAN.namespace, "-4", "address", "show", *device)
    assert "10.0.0.2/24" in shown
    assert "10.0.0.77" not in shown


def test_links_of_others_are_refused_and_left(host: ThrowAwayHost, networks: HostNetworks) -> None:
    host.run("ip", "link", "add", PLAN.bridge, "type", "bridge")
    before = host.run("ip", "-d", "link", "show", PLAN.bridge)
    with pytest.raises(HypervisorRefused, match="not ours"):
        networks.ensure(instance(5))
    with pytest.raises(HypervisorRefused, match="not ours"):
        networks.remove(instance(5))
    assert host.run("ip", "-d", "link", "show", PLAN.bridge) == before
    host.run("ip", "link", "delete", PLAN.bridge)
    networks.remove(instance(5))  # tried again
    assert host.inventory() == host.before


def test_a_link_that_was_not_marked_in_time_is_known_by_its_mac(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    host.run("ip", "link", "add", PLAN.bridge, "address", PLAN.bridge_mac, "type", "bridge")
    assert networks.ensure(instance(5)) == {NETWORK.id: PLAN.bridge}
    assert PLAN.alias in host.run("ip", "link", "show", PLAN.bridge)


def test_a_bridge_with_a_strangers_port_stays(host: ThrowAwayHost, networks: HostNetworks) -> None:
    networks.ensure(instance(5))
    host.add_guest("g5", instance(5).nics[0].mac)
    networks.remove(instance(5))
    assert host.dnsmasqs() == []
    assert "tap-g5" in host.run("ip", "link", "show", "master", PLAN.bridge)
    host.remove_guest("g5")
    networks.restore()
    assert host.inventory() == host.before


def test_a_process_that_got_the_number_of_a_dead_dnsmasq_lives(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    networks.ensure(instance(5))
    (pid,) = host.dnsmasqs()
    kill(pid)
    folder = STATE / NETWORK.id
    with subprocess.Popen(["sleep", "60"]) as innocent:
        record = host.run("cat", str(folder / "process")).split()
        text = " ".join([str(innocent.pid), *record[1:]])
        host.do(lambda: (folder / "process").write_text(text))
        host.do(lambda: (folder / "dnsmasq.pid").write_text(f"{innocent.pid}\n"))
        networks.restore()
        networks.remove(instance(5))
        assert innocent.poll() is None
        innocent.kill()


def test_a_newer_network_is_followed(host: ThrowAwayHost, networks: HostNetworks) -> None:
    networks.ensure(instance(5))
    newer = NETWORK.evolve(mtu=1300, generation=2)
    networks.ensure(instance(6, newer))
    networks.ensure(instance(5))  # still has the old copy
    for number in (5, 6):
        host.add_guest(f"g{number}", instance(number).nics[0].mac)
        lease = host.lease(f"g{number}")
        assert (lease["ip"], lease["mtu"]) == (f"10.0.0.{number}", "1300")
    assert "mtu 1300" in host.run("ip", "link", "show", PLAN.bridge)
    assert "mtu 1300" in host.run("ip", "-n", PLAN.namespace, "link", "show", PLAN.device)


def test_an_uplink_carries_guests_but_not_the_dhcp_server(host: ThrowAwayHost) -> None:
    host.add_guest("outside", "02:00:00:00:00:01", bridge=None)
    networks = HostNetworks(host, uplink="tap-outside")
    try:
        record = instance(5)
        networks.ensure(record)
        host.add_guest("g5", record.nics[0].mac)
        assert host.lease("g5")["ip"] == "10.0.0.5"
        host.run("ip", "-n", "outside", "address", "add", "10.0.0.200/24", "dev", "outside")
        assert host.ping("outside", "10.0.0.5")
        assert host.ping(PLAN.namespace, "10.0.0.5")
        assert not host.ping("outside", NETWORK.dhcp), "it would meet the other hosts'"
        host.remove_guest("g5")
        networks.remove(record)
        assert "master" not in host.run("ip", "link", "show", "tap-outside")
    finally:
        networks.close()


def test_an_uplink_with_the_hosts_address_is_refused(host: ThrowAwayHost) -> None:
    host.add_guest("outside", "02:00:00:00:00:01", bridge=None)
    host.run("ip", "address", "add", "192.0.2.1/24", "dev", "tap-outside")
    networks = HostNetworks(host, uplink="tap-outside")
    with pytest.raises(HypervisorRefused, match="address of the host"):
        networks.ensure(instance(5))
    networks.close()


def test_hosts_that_share_namespace_names_are_told(
    host: ThrowAwayHost, networks: HostNetworks
) -> None:
    networks.ensure(instance(5))
    (pid,) = host.dnsmasqs()
    caught: list[HypervisorRefused] = []

    def second_host() -> None:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        other = BridgeNetwork(Path("/run/other"), SHARE)
        try:
            other.ensure(instance(6))
        except HypervisorRefused as error:
            caught.append(error)
        with suppress(HypervisorRefused):
            other.remove(instance(6))
        other.close()

    def start() -> None:
        thread = threading.Thread(target=second_host)
        thread.start()
        thread.join()

    host.do(start)
    assert "share /run/netns" in str(caught[0])
    assert host.dnsmasqs() == [pid], "the first host's still runs"
    host.add_guest("g5", instance(5).nics[0].mac)
    assert host.lease("g5")["ip"] == "10.0.0.5"
