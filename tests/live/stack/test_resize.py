"""Real guests of another size: on their host, on another one, and back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance
from tests.live.stack.cloud import BLANK, UEC, Cloud, Guest, eventually, inside
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(900)

TINY = "flavors/1"
_KIB = 1024
_GIB = 1 << 30
#: A guest takes its time beside others under emulation.
_BOOT_SECONDS = 300
_GRACE_SECONDS = 2


@pytest.fixture
def guest(cloud: Cloud) -> Guest:
    """A guest that has asked who logs in, with a mark on its disk."""
    made = cloud.booted(UEC, cloud.head)
    cloud.client.log_in_appears([made.name], seconds=_BOOT_SECONDS)
    mark(made, "monday")
    return made


def mark(guest: Guest, word: str) -> None:
    inside(guest, f"sudo sh -c 'echo {word} > /home/cirros/mark; sync'")
    assert word in inside(guest, "cat /home/cirros/mark")


def size_of(guest: Guest) -> tuple[int, int]:
    """MiB of memory and bytes of disk, as the guest sees them."""
    said = inside(guest, "grep MemTotal /proc/meminfo; echo disk $(cat /sys/block/vda/size)")
    (memory,) = re.findall(r"MemTotal: +(\d+) kB", said)
    (sectors,) = re.findall(r"disk (\d+)", said)
    return int(memory) // _KIB, int(sectors) * 512


def resized(cloud: Cloud, guest: Guest) -> Guest:
    """The same guest, of another size, once it has asked who logs in."""
    client = cloud.client
    client.succeeded(
        client.ask("ResizeInstance", name=guest.name, flavor=TINY).name, seconds=_BOOT_SECONDS
    )
    instance = client.get(guest.name)
    assert (instance.state, instance.flavor.name) == (Instance.STATE_VERIFY_RESIZE, TINY)
    return cloud.guest(guest.name)


@contextmanager
def disabled(cloud: Cloud, host: TestHost) -> Iterator[None]:
    """A host that gets no more instances: whoever is resized leaves it."""
    cloud.manage(cloud.head, "host", "disable", host.name)
    try:
        yield
    finally:
        cloud.manage(cloud.head, "host", "enable", host.name)


def awake(cloud: Cloud, guest: Guest) -> None:
    """Wait until it answers to ssh."""
    eventually(lambda: "monday" in inside(guest, "cat /home/cirros/mark"), "ssh", _BOOT_SECONDS)


def traces(host: TestHost, guest: Guest) -> set[str]:
    """What the host has of the guest."""
    return {trace for trace in sight.traces(host) if guest.id in trace}


def test_a_guest_grows_on_its_host_and_shrinks_again(cloud: Cloud, guest: Guest) -> None:
    memory, disk = size_of(guest)
    assert memory < 128
    larger = resized(cloud, guest)
    assert larger.host is guest.host
    assert larger.address == guest.address
    awake(cloud, larger)
    grown_memory, grown_disk = size_of(larger)
    assert 400 < grown_memory < 512
    assert grown_disk == _GIB > disk
    mark(larger, "tuesday")

    client = cloud.client
    client.succeeded(client.ask("RevertInstanceResize", name=guest.name).name)
    assert client.get(guest.name).state == Instance.STATE_ACTIVE
    awake(cloud, guest)
    assert size_of(guest) == (memory, disk)


def test_a_guest_grows_for_good(cloud: Cloud, guest: Guest) -> None:
    larger = resized(cloud, guest)
    awake(cloud, larger)
    pid, client = larger.pid, cloud.client
    client.succeeded(client.ask("ConfirmInstanceResize", name=guest.name).name)
    instance = client.get(guest.name)
    assert (instance.state, instance.flavor.name) == (Instance.STATE_ACTIVE, TINY)
    assert larger.pid == pid, "it runs on"
    assert size_of(larger)[1] == _GIB


def test_a_guest_moves_with_its_address_and_comes_back(cloud: Cloud, guest: Guest) -> None:
    before, client = size_of(guest), cloud.client
    with disabled(cloud, cloud.head):
        there = resized(cloud, guest)
    assert there.host is cloud.other
    assert there.address == guest.address
    awake(cloud, there)
    assert sight.pings(there.host, there.address)
    assert size_of(there)[1] == _GIB
    assert guest.id not in sight.domains(cloud.head)
    mark(there, "tuesday")

    client.succeeded(client.ask("RevertInstanceResize", name=guest.name).name, seconds=60)
    assert cloud.guest(guest.name) == guest
    awake(cloud, guest)
    assert size_of(guest) == before
    assert traces(cloud.other, guest) == set()


@pytest.mark.parametrize("end", ["confirm", "delete"])
def test_nothing_stays_behind(cloud: Cloud, end: str) -> None:
    guest, client = cloud.booted(BLANK, cloud.head), cloud.client
    with disabled(cloud, cloud.head):
        there = resized(cloud, guest)
    assert there.host is cloud.other
    assert traces(cloud.head, guest) == {f"folder {guest.id}"}
    if end == "delete":
        client.succeeded(client.delete(guest.name).name)
        assert traces(cloud.other, guest) == set()
    else:
        client.succeeded(client.ask("ConfirmInstanceResize", name=guest.name).name)
        assert client.get(guest.name).state == Instance.STATE_ACTIVE
        assert sight.domains(cloud.other)[guest.id]
    assert traces(cloud.head, guest) == set()
