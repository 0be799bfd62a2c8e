"""Two hosts in one cluster, and what becomes of one that goes away."""

import time

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance
from tests.live.stack.cloud import BLANK, Cloud, Guest, eventually, inside

pytestmark = pytest.mark.timeout(900)

#: Events tell it at once. A comparison with libvirt, one a minute, would take longer on average.
SOON_SECONDS = 20


def test_guests_land_on_both_hosts_and_answer_there(cloud: Cloud) -> None:
    guests = cloud.guests()
    assert len(guests) == 4
    assert {guest.host.name for guest in guests} == {host.name for host in cloud.hosts}
    assert len({guest.address for guest in guests}) == 4
    for guest in guests:
        assert sight.pings(guest.host, guest.address)
        assert " login: " in cloud.client.console(guest.name)
        assert inside(guest, "hostname -i; uname -n").strip()
    hosts = cloud.client.hosts()
    for host in cloud.hosts:
        mine = sum(guest.host is host for guest in guests)
        assert hosts[host.name].instances == mine == len(sight.qemus(host))


def test_a_host_whose_ray_is_killed_comes_back_as_itself(cloud: Cloud) -> None:
    host, client = cloud.other, cloud.client
    guest = cloud.guest_on(host)
    pids = sight.qemus(host)
    victim = cloud.booted(BLANK, host, "victim")
    uuid = client.hosts()[host.name].uid
    host.kill_processes("raylet")
    eventually(lambda: not cloud.is_up(host), "the host is down")
    assert client.hosts()[host.name].trouble
    assert cloud.is_up(cloud.head)
    assert sight.qemus(host) == {**pids, victim.id: victim.pid}
    assert sight.pings(host, guest.address)
    # The host may be back any moment: it is waited for.
    stop = client.stop(victim.name, grace_seconds=0)

    cloud.join()
    assert cloud.is_up(host)
    assert client.hosts()[host.name].uid == uuid
    assert sight.actor(host, "HostActor")
    client.succeeded(stop.name)
    assert client.get(victim.name).state == Instance.STATE_SHUTOFF
    client.succeeded(client.start(victim.name).name)
    assert sight.qemus(host) == {**pids, victim.id: victim.pid}
    client.succeeded(client.delete(victim.name).name)
    assert client.get(guest.name).state == Instance.STATE_ACTIVE
    assert sight.pings(host, guest.address)


def test_a_guest_that_powers_itself_off_shows_it_at_once(cloud: Cloud) -> None:
    guest = cloud.guest_on(cloud.other)
    inside(guest, "sudo poweroff")
    eventually(lambda: not sight.domains(guest.host)[guest.id], "the guest has ended")
    assert shut_off_within(cloud, guest) < SOON_SECONDS
    cloud.forget(guest)


def test_a_guest_that_is_destroyed_shows_it_at_once(cloud: Cloud) -> None:
    guest = cloud.booted(BLANK, cloud.other)
    guest.host.run(["virsh", "destroy", guest.id], check=True)
    assert shut_off_within(cloud, guest) < SOON_SECONDS
    cloud.client.succeeded(cloud.client.start(guest.name).name)
    assert sight.domains(guest.host)[guest.id]


def shut_off_within(cloud: Cloud, guest: Guest) -> float:
    """Seconds until its user sees that it is off."""
    begun = time.monotonic()

    def is_off() -> bool:
        instance = cloud.client.get(guest.name)
        return (
            instance.state == Instance.STATE_SHUTOFF
            and instance.power_state == Instance.POWER_STATE_SHUTDOWN
        )

    eventually(is_off, "SHUTOFF")
    return time.monotonic() - begun
