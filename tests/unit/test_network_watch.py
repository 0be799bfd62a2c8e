"""Hosts that wait at the NetworkActor for what concerns them."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network

from actors.model.errors import Unavailable
from actors.model.flat_network import default_network
from actors.model.host_view import HostPresence, HostView
from actors.model.ids import HostId, InstanceId, NetworkId, PortId, ProjectId
from actors.model.network import Network, NetworkKind
from actors.model.reply import unwrap
from actors.ports.network import PortRelease, PortRequest
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.network_actor import PlainNetworkActor, network_actor

PROJECT = ProjectId("demo")
CREATED = datetime(2026, 1, 5, tzinfo=UTC)
#: Nobody waits so long: what is answered is answered for another reason.
LONG = 3600.0
SHORT = 0.01


def network(number: int = 1) -> Network:
    name = NetworkId(f"network{number}")
    made = default_network(name, CREATED, IPv4Network(f"10.{number}.0.0/24"), 1450)
    return made.evolve(label=f"n{number}", kind=NetworkKind.VXLAN, vni=number)


def presence(host: int, *networks: Network, ports: tuple[str, ...] = ()) -> HostPresence:
    return HostPresence(
        host_id=HostId(f"host{host}"),
        host=f"h{host}",
        tunnel_address=IPv4Address(f"192.0.2.{host}"),
        networks=frozenset(one.id for one in networks),
        ports=frozenset(map(PortId, ports)),
    )


async def started(
    *networks: Network, store: MemoryStore | None = None, poll_seconds: float = LONG
) -> PlainNetworkActor:
    actor = network_actor(store or MemoryStore(), FakeClock(), poll_seconds)
    for one in networks:
        await actor.ensure_network(one)
    return actor


def peers(view: HostView) -> list[str]:
    return [str(peer.tunnel_address) for one in view.networks for peer in one.peers]


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def watching(actor: PlainNetworkActor, said: HostPresence) -> "asyncio.Task[HostView]":
    """A host that has seen all there is, and waits."""
    first = await actor.watch(said)
    waiting = asyncio.create_task(actor.watch(said.evolve(seen=first.version)))
    await settled()
    assert not waiting.done()
    return waiting


async def within(call: Awaitable[HostView]) -> HostView:
    async with asyncio.timeout(30):
        return await call


async def test_the_first_answer_comes_at_once() -> None:
    net = network()
    view = await within((await started(net)).watch(presence(1, net)))
    assert [one.network for one in view.networks] == [net]
    assert peers(view) == []


async def test_a_host_with_the_network_is_told_of_another_and_of_its_leave() -> None:
    net = network()
    actor = await started(net)
    waiting = await watching(actor, presence(1, net))
    second = await within(actor.watch(presence(2, net)))
    assert peers(second) == ["192.0.2.1"]
    first = await within(waiting)
    assert peers(first) == ["192.0.2.2"]
    waiting = await watching(actor, presence(1, net))
    await within(actor.watch(presence(2)))
    assert peers(await within(waiting)) == []


async def test_a_host_without_the_network_is_left_alone() -> None:
    net, other = network(1), network(2)
    actor = await started(net, other)
    waiting = await watching(actor, presence(1, other))
    await within(actor.watch(presence(2, net)))
    await actor.allocate_many((PortRequest(InstanceId("vm"), PROJECT, 1),))
    await actor.ensure_network(network(3))
    await settled()
    assert not waiting.done()
    waiting.cancel()


async def test_a_host_is_told_of_its_ports_once_they_are_durable() -> None:
    net, store = network(), MemoryStore()
    actor = await started(net, store=store)
    request = PortRequest(InstanceId("vm"), PROJECT, 1)
    (reply,) = await actor.allocate_many((request,))
    (nic,) = unwrap(reply)
    said = presence(1, net, ports=(nic.port,))
    view = await within(actor.watch(said))
    assert [(one.port, one.address, one.mac) for one in view.ports] == [
        (nic.port, nic.address, nic.mac)
    ]
    waiting = await watching(actor, said)
    store.hold()
    releasing = asyncio.create_task(actor.release_many((PortRelease(InstanceId("vm"), 1),)))
    await settled()
    assert not waiting.done()
    store.let_go()
    await releasing
    assert (await within(waiting)).ports == ()


async def test_a_newer_watch_answers_the_older_one() -> None:
    net = network()
    actor = await started(net)
    older = await watching(actor, presence(1, net))
    newer = await watching(actor, presence(1))
    assert (await within(older)).networks == (), "with what it is by then"
    await settled()
    assert not newer.done()
    newer.cancel()


async def test_with_nothing_new_the_answer_is_what_it_was() -> None:
    net = network()
    actor = await started(net, poll_seconds=SHORT)
    first = await within(actor.watch(presence(1, net)))
    again = await within(actor.watch(presence(1, net).evolve(seen=first.version)))
    assert again == first


async def test_one_that_starts_again_knows_all_once_all_have_spoken() -> None:
    net, store = network(), MemoryStore()
    before = await started(net, store=store)
    await within(before.watch(presence(2, net)))
    view = await within(before.watch(presence(1, net)))
    assert peers(view) == ["192.0.2.2"]
    actor = await started(store=store)
    first = await within(actor.watch(presence(1, net)))
    assert peers(first) == []
    waiting = asyncio.create_task(actor.watch(presence(1, net).evolve(seen=first.version)))
    await within(actor.watch(presence(2, net)))
    assert await within(waiting) == view


async def test_one_that_starts_again_takes_no_peer_away_that_has_not_spoken_yet() -> None:
    net, store = network(), MemoryStore()
    await started(net, store=store)
    actor = await started(store=store)
    said = presence(1, net).evolve(peers={net.id: frozenset({IPv4Address("192.0.2.2")})})
    first = await within(actor.watch(said))
    assert peers(first) == ["192.0.2.2"]
    waiting = asyncio.create_task(actor.watch(said.evolve(seen=first.version)))
    await within(actor.watch(presence(2)))
    assert peers(await within(waiting)) == [], "it has spoken, and has no guest there"


async def test_a_commit_that_failed_leaves_views_as_what_is_durable() -> None:
    net, store = network(), MemoryStore()
    actor = await started(net, store=store)
    waiting = await watching(actor, presence(1, net))
    store.fail_next(Unavailable("away"))
    await actor.allocate_many((PortRequest(InstanceId("vm"), PROJECT, 1),))
    assert await actor.networks() == (net,)
    await settled()
    assert not waiting.done(), "it was loaded again, and nothing is new"
    waiting.cancel()


async def test_who_gives_up_waiting_is_heard_all_the_same() -> None:
    net = network()
    actor = await started(net)
    waiting = await watching(actor, presence(1, net))
    waiting.cancel()
    await settled()
    assert peers(await within(actor.watch(presence(2, net)))) == ["192.0.2.1"]
