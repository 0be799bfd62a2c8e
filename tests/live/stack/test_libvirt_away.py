"""libvirtd stopped, killed and started again under a host that is at work."""

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance, metadata
from tests.live.stack.cloud import BLANK, Cloud, eventually

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_operations_wait_for_libvirt_and_go_on(cloud: Cloud, kill: bool) -> None:
    host, client = cloud.other, cloud.client
    guest = cloud.guest_on(host)
    pids = sight.qemus(host)
    victim = cloud.booted(BLANK, host, "victim")

    host.stop_libvirtd(kill=kill)
    eventually(lambda: not cloud.is_up(host), "the host is down")
    assert "libvirt" in client.hosts()[host.name].trouble
    assert host.name in (said := cloud.manage(cloud.head, "host", "list"))
    assert "libvirt" in said

    # Where nobody asks for this host, another one is chosen; who asks for it is told why not.
    elsewhere = [cloud.booted(BLANK) for _ in range(3)]
    assert {other.host.name for other in elsewhere} == {cloud.head.name}
    refused = cloud.boot(BLANK, host)
    assert client.ended(refused.operation).HasField("error")
    why = client.get(refused.instance).fault.hosts[host.name]
    # That libvirtd closed the connection, or that it broke: whichever is heard first.
    assert why.startswith("ComputeFilter: is down: libvirt: ")

    stop = client.stop(victim.name, grace_seconds=0)
    eventually(lambda: "libvirt" in metadata(client.operation(stop.name)).waiting_for, "it says so")
    assert sight.pings(host, guest.address)

    host.start_libvirtd()
    client.succeeded(stop.name)
    assert client.get(victim.name).state == Instance.STATE_SHUTOFF
    assert not sight.domains(host)[victim.id]
    eventually(lambda: cloud.is_up(host), "the host is up")
    assert sight.qemus(host) == pids
    assert client.get(guest.name).state == Instance.STATE_ACTIVE


def test_deletes_right_after_a_restart(cloud: Cloud) -> None:
    """A restarted libvirtd lists guests before it has reconnected to them."""
    host, client = cloud.other, cloud.client
    before = sight.traces(host), sight.records(cloud.head)
    boots = [cloud.boot(BLANK, host) for _ in range(6)]
    client.succeeded(*(boot.operation for boot in boots))
    host.stop_libvirtd(kill=True)
    deletes = [client.delete(boot.instance).name for boot in boots[:3]]
    stops = [client.stop(boot.instance, grace_seconds=0).name for boot in boots[3:]]
    host.start_libvirtd()
    client.succeeded(*deletes, *stops)
    for boot in boots[3:]:
        instance = client.get(boot.instance)
        assert instance.state == Instance.STATE_SHUTOFF
        assert instance.power_state == Instance.POWER_STATE_SHUTDOWN
    client.succeeded(*[client.delete(boot.instance).name for boot in boots[3:]])
    eventually(lambda: (sight.traces(host), sight.records(cloud.head)) == before, "no trace")
