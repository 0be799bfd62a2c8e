"""A guest's life on a real host, from the kernel's first line to no trace of it."""

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance
from tests.live.stack.cloud import DISK, UEC, Cloud, eventually

pytestmark = pytest.mark.timeout(900)


def test_from_boot_to_no_trace(cloud: Cloud) -> None:
    client, host = cloud.client, cloud.head
    before = sight.traces(host), sight.records(host)
    boots = [cloud.boot(UEC, host, "uec"), cloud.boot(DISK, host, "disk")]
    client.succeeded(*(boot.operation for boot in boots))
    guests = [cloud.guest(boot.instance) for boot in boots]
    for guest in guests:
        instance = client.get(guest.name)
        assert instance.state == Instance.STATE_ACTIVE
        assert instance.power_state == Instance.POWER_STATE_RUNNING
        assert instance.addresses[0].network == "private"
        assert sight.domains(host)[guest.id]

    uec, disk = (guest.name for guest in guests)
    client.log_in_appears([uec, disk])
    for guest in guests:
        assert sight.pings(host, guest.address)
        assert f"eth0,{guest.address}/" in client.console(guest.name)

    # The button, not the plug: the guest says what it does.
    stop = client.stop(uec)
    assert cloud.stop_by_handle(guests[1]) == "succeeded"
    client.succeeded(stop.name)
    for guest in guests:
        assert client.get(guest.name).state == Instance.STATE_SHUTOFF
        assert not sight.domains(host)[guest.id]
        assert "reboot: Power down" in client.console(guest.name)
    client.succeeded(client.start(uec).name)
    assert client.get(uec).state == Instance.STATE_ACTIVE
    client.log_in_appears([uec], times=2)
    assert sight.pings(host, guests[0].address)

    client.succeeded(client.delete(uec).name, client.delete(disk).name)
    assert client.is_gone(uec)
    assert client.is_gone(disk)
    eventually(lambda: (sight.traces(host), sight.records(host)) == before, "no trace")
