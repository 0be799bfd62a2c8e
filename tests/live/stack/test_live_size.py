"""A real guest that is given memory, and gives it back, while it works on."""

import re

import pytest
from google.rpc import code_pb2

from tests.live.stack.client import Instance, metadata
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, inside

pytestmark = pytest.mark.timeout(400)

#: A guest whose memory can grow boots with 64 MiB less for its own use: Linux sets buffers aside
#: for devices that reach 4 GiB only.
OWN, MOST = 256, 768
_BOOT_SECONDS = 120
_KIB = 1024
#: What tells the guest's kernel to use what it is given, and to use it for what can be moved.
_ONLINE = "echo online_movable > /sys/devices/system/memory/auto_online_blocks"
_COUNTER = (
    "(n=0; while :; do n=$((n+1)); echo $n > /tmp/next; mv /tmp/next /tmp/count; sleep 0.2; done) "
    ">&- 2>&- &"
)


@pytest.fixture
def guest(cloud: Cloud) -> Guest:
    """A guest that uses what it is given, and counts in a process of its own."""
    flavor = cloud.client.new_flavor(
        "t.grows", OWN, novaray__max_memory_mb=str(MOST), novaray__max_vcpus="2"
    )
    try:
        boot = cloud.client.boot("vm", cloud.image(UEC), host=cloud.head.name, flavor=flavor)
    finally:
        cloud.client.delete_flavor(flavor)  # the cloud's other tests know its flavors
    cloud.client.succeeded(boot.operation)
    made = cloud.guest(boot.instance)
    cloud.client.log_in_appears([made.name], seconds=_BOOT_SECONDS)
    eventually(lambda: "ready" in inside(made, "echo ready"), "ssh", _BOOT_SECONDS)
    inside(made, f"sudo sh -c '{_ONLINE}'; {_COUNTER}")
    counts_on(made, 0)
    return made


def memory_of(guest: Guest) -> int:
    """MiB, as the guest's kernel counts what it may use."""
    (said,) = re.findall(r"MemTotal: +(\d+) kB", inside(guest, "grep MemTotal /proc/meminfo"))
    return int(said) // _KIB


def count_of(guest: Guest) -> int:
    """How far its process has counted; 0 before the first."""
    said = re.findall(r"^(\d+)$", inside(guest, "cat /tmp/count"), re.MULTILINE)
    return int(said[0]) if said else 0


def counts_on(guest: Guest, before: int) -> None:
    eventually(lambda: count_of(guest) > before, "the same process goes on")


def held(cloud: Cloud) -> int:
    """MiB that the guests of its host have claimed."""
    return cloud.client.hosts()[cloud.head.name].claimed.memory_mb


def test_a_guest_grows_and_shrinks_while_it_works(cloud: Cloud, guest: Guest) -> None:
    client, pid, own = cloud.client, guest.pid, memory_of(guest)
    count, claimed = count_of(guest), held(cloud)

    client.succeeded(client.ask("ChangeInstanceSize", name=guest.name, memory_mb=MOST).name)
    eventually(lambda: memory_of(guest) == own + MOST - OWN, "the guest has it all")
    instance = client.get(guest.name)
    assert (instance.memory_mb, instance.flavor.memory_mb) == (MOST, OWN)
    assert held(cloud) == claimed + MOST - OWN
    assert client.diagnostics(guest.name).memory.maximum_mb == MOST
    counts_on(guest, count)

    client.succeeded(
        client.ask("ChangeInstanceSize", name=guest.name, memory_mb=OWN + 128).name, seconds=150
    )
    assert memory_of(guest) == own + 128
    assert held(cloud) == claimed + 128

    refused = client.ended(client.ask("ChangeInstanceSize", name=guest.name, vcpus=2).name)
    assert refused.error.code == code_pb2.FAILED_PRECONDITION
    assert "QEMU 7.2 crashes" in refused.error.message
    instance = client.get(guest.name)
    assert (instance.state, instance.memory_mb, instance.vcpus) == (
        Instance.STATE_ACTIVE,
        OWN + 128,
        1,
    )
    assert held(cloud) == claimed + 128
    assert guest.pid == pid
    counts_on(guest, count_of(guest))

    # It stays so over a stop; and what it was started with, it can give back as well.
    client.succeeded(client.stop(guest.name, grace_seconds=1).name)
    client.succeeded(client.start(guest.name).name)
    assert client.diagnostics(guest.name).memory.maximum_mb == OWN + 128
    assert held(cloud) == claimed + 128
    client.log_in_appears([guest.name], times=2, seconds=_BOOT_SECONDS)
    shrunk = client.ask("ChangeInstanceSize", name=guest.name, memory_mb=OWN)
    client.succeeded(shrunk.name, seconds=150)
    assert metadata(client.operation(shrunk.name)).action == metadata(shrunk).ACTION_CHANGE_SIZE
    assert client.diagnostics(guest.name).memory.maximum_mb == OWN
    assert held(cloud) == claimed
