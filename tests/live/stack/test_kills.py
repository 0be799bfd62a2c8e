"""Actors and whole clusters killed while real guests boot: what was asked for still comes about."""

from collections.abc import Sequence
from itertools import chain

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Boot, Instance
from tests.live.stack.cloud import (
    BLANK,
    UEC,
    Cloud,
    close_gate,
    eventually,
    names,
    open_gates,
    reached,
)

pytestmark = pytest.mark.timeout(900)

#: All points of a boot, in the order it comes to them: before and after each step.
OF_INSTANCE = ("claim", "ports")
OF_HOST = ("ensure_image", "ensure_network", "ensure_disk", "ensure_running")
POINTS = tuple(
    f"create.{step}.{when}" for step in OF_INSTANCE + OF_HOST for when in ("before", "after")
)


@pytest.mark.parametrize(("kind", "image"), [("HostActor", UEC), ("InstanceActor", BLANK)])
def test_killed_at_every_step_of_a_boot(cloud: Cloud, kind: str, image: str) -> None:
    host, client = cloud.head, cloud.client
    before = sight.traces(host), sight.records(host)
    # One boot is held at each point: the last point's first, so that the others do not meet it.
    boots: list[Boot] = []
    for point in reversed(POINTS):
        close_gate(host, point)
        boots.append(cloud.boot(BLANK if boots else image, host, point))
        reached(host, point)

    victim = sight.actor(host, kind)
    sight.kill([victim])
    open_gates(host)

    client.succeeded(*(boot.operation for boot in boots), seconds=300)
    ran_on(cloud, boots)
    assert sight.actor(host, kind) != victim
    if image == UEC:
        client.log_in_appears([boots[0].instance])
    client.succeeded(*[client.delete(boot.instance).name for boot in boots])
    eventually(lambda: (sight.traces(host), sight.records(host)) == before, "no trace")


def ran_on(cloud: Cloud, boots: Sequence[Boot]) -> None:
    """Each is ACTIVE, and has exactly one domain, which runs, in all of the cluster."""
    domains = list(chain.from_iterable(sight.domains(host).items() for host in cloud.hosts))
    for boot in boots:
        instance = cloud.client.get(boot.instance)
        assert instance.state == Instance.STATE_ACTIVE, instance
        assert [runs for name, runs in domains if name == instance.uid] == [True]


def test_all_of_ray_killed_at_once(cloud: Cloud) -> None:
    client, head = cloud.client, cloud.head
    guests = cloud.guests()
    pids = [guest.pid for guest in guests]
    ending = cloud.booted(BLANK, cloud.other)
    points = ("create.ports.after", "create.ensure_disk.after", "create.ensure_running.after")
    boots: list[Boot] = []
    for point in reversed(points):
        close_gate(head, point)
        boots.append(cloud.boot(UEC if "running" in point else BLANK, head, point))
        reached(head, point)
    close_gate(cloud.other, "stop.ensure_stopped.before")
    stop = client.stop(ending.name, grace_seconds=0)
    reached(cloud.other, "stop.ensure_stopped.before")

    # More than once: a raylet may just have started a process.
    while found := set().union(*map(sight.ray_processes, cloud.hosts)):
        sight.kill(found)
    for host in cloud.hosts:
        open_gates(host)
    assert [guest.pid for guest in guests] == pids
    assert all(sight.pings(guest.host, guest.address) for guest in guests)

    cloud.up()
    cloud.join()
    client.succeeded(*(boot.operation for boot in boots), stop.name, seconds=300)
    ran_on(cloud, boots)
    client.log_in_appears([boots[0].instance, *names(guests)])
    after = client.instances()
    for guest in guests:
        assert after[guest.name].state == Instance.STATE_ACTIVE
        assert after[guest.name].power_state == Instance.POWER_STATE_RUNNING
        assert sight.pings(guest.host, guest.address)
    assert [guest.pid for guest in guests] == pids
