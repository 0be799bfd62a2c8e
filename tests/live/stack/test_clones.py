"""Clones of real guests: they boot from what their origins have, which notice nothing."""

import re
import sys
import time

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Boot, Instance, metadata
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, inside
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(900)

_BOOT_SECONDS = 300
#: From the request to the end of the operation, on a machine that does many other things as well.
#: Seldom more than one; the output says.
_READY_SECONDS = 60.0
_COUNT = "sh -c 'while :; do n=$((n+1)); echo $n > /tmp/count; sleep 1; done' > /dev/null 2>&1 &"


@pytest.fixture
def origin(cloud: Cloud) -> Guest:
    """A guest that has asked who logs in, with a mark on its disk and a process that counts."""
    made = cloud.booted(UEC, cloud.head, "origin")
    cloud.client.log_in_appears([made.name], seconds=_BOOT_SECONDS)
    inside(made, _COUNT)
    mark(made, "monday")
    return made


def mark(guest: Guest, word: str) -> None:
    inside(guest, f"sudo sh -c 'echo {word} > /home/cirros/mark; sync'")
    assert word in inside(guest, "cat /home/cirros/mark")


def count(guest: Guest) -> int:
    """How far the guest has counted, in its memory."""
    numbers: list[str] = []

    def read() -> bool:
        # Not there yet, or just emptied for the next number.
        numbers[:] = re.findall(r"count (\d+)", inside(guest, "echo count $(cat /tmp/count)"))
        return bool(numbers)

    eventually(read, "the count")
    return int(numbers[0])


def clone(cloud: Cloud, origin: Guest) -> Boot:
    """A clone, once its operation has ended well."""
    begun = time.monotonic()
    operation = cloud.client.ask("CloneInstance", name=origin.name, display_name="clone")
    cloud.client.succeeded(operation.name)
    took = time.monotonic() - begun
    sys.stdout.write(f"the clone was ready after {took:.2f} s\n")
    assert took < _READY_SECONDS
    return Boot(metadata(operation).instance, operation.name)


def awake(guest: Guest, word: str) -> None:
    """Wait until it answers to ssh, with this mark."""
    eventually(lambda: word in inside(guest, "cat /home/cirros/mark"), "ssh", _BOOT_SECONDS)


def delete(cloud: Cloud, *guests: Guest) -> None:
    """For good."""
    for guest in guests:
        asked = cloud.client.ask("DeleteInstance", name=guest.name, force=True)
        cloud.client.succeeded(asked.name)


def layers(host: TestHost) -> set[str]:
    """The names of the host's layers."""
    done = host.run(["sh", "-c", f"ls {sight.STATE}/layers 2>/dev/null"])
    return set(str(done.stdout).split())


def test_a_clone_of_a_guest_that_runs(cloud: Cloud, origin: Guest) -> None:
    client, pid, before = cloud.client, origin.pid, count(origin)
    there = client.get(origin.name)
    boot = clone(cloud, origin)
    assert (origin.pid, client.get(origin.name).etag) == (pid, there.etag)
    first = cloud.guest(boot.instance)
    assert first.host is origin.host
    assert first.address != origin.address
    assert layers(origin.host) == {f"{first.id}.qcow2"}

    client.log_in_appears([boot.instance], seconds=_BOOT_SECONDS)
    awake(first, "monday")
    eventually(lambda: count(origin) > before, "the origin goes on")
    mark(origin, "tuesday")
    mark(first, "wednesday")
    assert "tuesday" in inside(origin, "cat /home/cirros/mark")

    # Another one, of what there is by now; then the origin goes, and the clones stay.
    second = cloud.guest(clone(cloud, origin).instance)
    delete(cloud, origin)
    client.succeeded(client.stop(first.name, grace_seconds=0).name)
    client.succeeded(client.start(first.name).name)
    awake(first, "wednesday")
    awake(second, "tuesday")
    delete(cloud, first, second)
    assert layers(origin.host) == set()


def test_a_clone_of_a_guest_that_is_off(cloud: Cloud, origin: Guest) -> None:
    client = cloud.client
    client.succeeded(client.stop(origin.name, grace_seconds=0).name)
    copy = cloud.guest(clone(cloud, origin).instance)
    assert client.get(origin.name).state == Instance.STATE_SHUTOFF
    awake(copy, "monday")
    mark(copy, "tuesday")
    client.succeeded(client.start(origin.name).name)
    awake(origin, "monday")
    delete(cloud, origin, copy)
    assert layers(origin.host) == set()


def test_a_disk_is_gone_back_to(cloud: Cloud, origin: Guest) -> None:
    """Snapshots of a guest that runs and counts on; then back, and forth."""
    client, pid, before = cloud.client, origin.pid, count(origin)
    for word in ("monday", "tuesday"):
        mark(origin, word)
        taken = client.ask("TakeInstanceSnapshot", name=origin.name, snapshot=word)
        client.succeeded(taken.name)
    mark(origin, "wednesday")
    assert origin.pid == pid
    assert count(origin) > before
    for word in ("monday", "tuesday"):
        begun = time.monotonic()
        restored = client.ask(
            "RestoreInstanceSnapshot", name=origin.name, snapshot=word, grace_seconds=0
        )
        client.succeeded(restored.name)
        sys.stdout.write(f"the disk was back after {time.monotonic() - begun:.2f} s\n")
        assert client.get(origin.name).state == Instance.STATE_ACTIVE
        awake(origin, word)
    deleted = client.ask("DeleteInstanceSnapshot", name=origin.name, snapshot="monday")
    client.succeeded(deleted.name)
    (left,) = client.get(origin.name).snapshots
    assert left.display_name == "tuesday"
    delete(cloud, origin)
    assert layers(origin.host) == set()
