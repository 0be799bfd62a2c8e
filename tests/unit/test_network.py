"""NetworkActor over a store in memory: batches, fencing, and what happens when a commit fails."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from uuid import uuid4

import pytest

from actors.model import port_ledger
from actors.model.errors import (
    AlreadyExists,
    Cancelled,
    ComputeError,
    Exhausted,
    Internal,
    Invalid,
    NotFound,
    Stale,
    Unavailable,
)
from actors.model.flat_network import default_network
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.network import Network, Nic
from actors.model.reply import Err, unwrap
from actors.ports.network import PortRelease, PortRequest
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.network_actor import PlainNetworkActor, network_actor

PROJECT = ProjectId("demo")
CREATED = datetime(2026, 1, 5, tzinfo=UTC)


def network(cidr: str = "10.0.0.0/28", **changes: object) -> Network:
    made = default_network(NetworkId(str(uuid4())), CREATED, IPv4Network(cidr))
    return made.evolve(**changes)


def request(name: str, sequence: int = 1) -> PortRequest:
    return PortRequest(InstanceId(name), PROJECT, sequence)


def release(name: str, sequence: int = 1) -> PortRelease:
    return PortRelease(InstanceId(name), sequence)


async def started(store: MemoryStore, *networks: Network) -> PlainNetworkActor:
    actor = network_actor(store, FakeClock())
    for one in networks:
        await actor.ensure_network(one)
    return actor


async def card(actor: PlainNetworkActor, name: str, sequence: int = 1) -> Nic:
    (reply,) = await actor.allocate_many((request(name, sequence),))
    (nic,) = unwrap(reply)
    return nic


async def give_back(actor: PlainNetworkActor, name: str, sequence: int = 1) -> None:
    (reply,) = await actor.release_many((release(name, sequence),))
    unwrap(reply)


def stored_addresses(store: MemoryStore) -> set[object]:
    return {put.columns[-1] for put in store.rows[Table.PORTS].values()}


async def test_a_card_knows_its_network_and_leaves_the_services_their_addresses() -> None:
    net = network()
    nic = await card(await started(MemoryStore(), net), "vm")
    assert nic.network == net
    assert nic.address == IPv4Address("10.0.0.3")
    assert nic.mac.startswith("fa:16:3e:")


async def test_one_call_is_one_batch_with_an_answer_for_each() -> None:
    store = MemoryStore()
    actor = await started(store, network("10.0.0.0/29"))  # .3 to .6 are free
    before = len(store.commits)
    replies = await actor.allocate_many(tuple(request(f"vm{n}") for n in range(5)))
    assert len(store.commits) == before + 1
    addresses = [unwrap(reply)[0].address for reply in replies[:4]]
    assert addresses == [IPv4Address(f"10.0.0.{n}") for n in (3, 4, 5, 6)]
    assert isinstance(replies[4], Err)
    assert isinstance(replies[4].error, Exhausted)


async def test_asking_again_writes_nothing() -> None:
    store = MemoryStore()
    actor = await started(store, network())
    first = await card(actor, "vm")
    written = len(store.commits)
    assert await card(actor, "vm") == first
    assert await card(actor, "vm", sequence=0) == first
    assert len(store.commits) == written


async def test_the_same_instance_twice_in_one_call_is_one_row() -> None:
    store = MemoryStore()
    actor = await started(store, network())
    first, second = await actor.allocate_many((request("vm", 1), request("vm", 2)))
    assert unwrap(first) == unwrap(second)
    await give_back(actor, "vm", sequence=1)
    assert stored_addresses(store) == {"10.0.0.3"}, "the second request spoke for the port"


async def test_an_older_release_takes_nothing_away_also_after_a_restart() -> None:
    store = MemoryStore()
    actor = await started(store, network())
    nic = await card(actor, "vm", sequence=1)
    assert await card(actor, "vm", sequence=3) == nic
    restarted = await started(store)
    for late in (actor, restarted):
        await asyncio.gather(late.release_many((release("vm", 2),)))
    assert stored_addresses(store) == {str(nic.address)}


async def test_an_older_allocate_after_a_release_gets_nothing() -> None:
    actor = await started(MemoryStore(), network())
    await give_back(actor, "vm", sequence=2)
    with pytest.raises(Cancelled):
        await card(actor, "vm", sequence=1)
    again = await card(actor, "vm", sequence=2)  # a second attempt of the same operation
    assert again.network.label == "private"


async def test_releases_are_remembered_through_a_failed_commit_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_ledger, "REMEMBERED_RELEASES", 2)
    store = MemoryStore()
    actor = await started(store, network())
    await give_back(actor, "vm", sequence=2)
    store.fail_next(Unavailable("away"))
    with pytest.raises(Unavailable):
        await card(actor, "other")
    with pytest.raises(Cancelled):
        await card(actor, "vm", sequence=1)
    await actor.release_many((release("a"), release("b")))
    assert (await card(actor, "vm", sequence=1)).network.label == "private"


async def test_releasing_nothing_is_no_error() -> None:
    actor = await started(MemoryStore(), network())
    assert [unwrap(r) for r in await actor.release_many((release("vm"), release("vm")))] == [
        None
    ] * 2


@pytest.mark.parametrize("written", [False, True])
async def test_an_unknown_outcome_is_settled_by_the_store(written: bool) -> None:
    store = MemoryStore()
    actor = await started(store, network())
    store.fail_next(Unavailable("away"), after_writing=written)
    store.refuse_next_load(Unavailable("still away"))
    for reply in await actor.allocate_many((request("a"), request("b"))):
        assert isinstance(reply, Err)
        assert isinstance(reply.error, Unavailable)
    other = await card(actor, "c")
    assert str(other.address) in stored_addresses(store)
    assert len(stored_addresses(store)) == (3 if written else 1)
    again = await card(actor, "a")
    assert len({other.address, again.address}) == 2


@pytest.mark.parametrize("error", [Stale("old"), AlreadyExists("taken"), Internal("bug")])
async def test_callers_see_no_failure_that_is_the_writers_own(error: ComputeError) -> None:
    store = MemoryStore()
    actor = await started(store, network())
    store.fail_next(error)
    with pytest.raises(Unavailable):
        await card(actor, "vm")
    assert (await card(actor, "vm")).network.label == "private"


async def test_a_replaced_writer_stops() -> None:
    store = MemoryStore()
    old = await started(store, network())
    new = await started(store)
    nic = await card(new, "vm")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await card(old, "other")
    with pytest.raises(Unavailable):
        await old.networks()
    assert await card(new, "vm") == nic, "the old one has not fenced the new one"


async def test_a_cancelled_caller_leaves_memory_and_store_agreed() -> None:
    store = MemoryStore()
    actor = await started(store, network())
    store.hold()
    call = asyncio.create_task(actor.allocate_many((request("a"),)))
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    store.let_go()
    nic = await card(actor, "b")
    assert stored_addresses(store) == {str(nic.address)}


async def test_nothing_is_shown_or_answered_before_it_is_durable() -> None:
    store = MemoryStore()
    actor = await started(store)
    store.hold()
    making = asyncio.create_task(actor.ensure_network(network()))
    asking = asyncio.create_task(actor.networks())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not making.done()
    assert not asking.done()
    store.let_go()
    assert await asking == (await making,)


async def test_it_waits_for_the_store() -> None:
    store = MemoryStore()
    for _ in range(3):
        store.refuse_next_load(Unavailable("not yet"))
    assert await (await started(store)).networks() == ()


async def test_a_load_that_failed_is_tried_again_by_the_next_caller() -> None:
    store = MemoryStore()
    store.refuse_next_load(Internal("a bug"))
    actor = await started(store)
    with pytest.raises(Internal):
        await actor.networks()
    assert await actor.networks() == ()


async def test_a_restart_knows_networks_and_ports() -> None:
    store = MemoryStore()
    actor = await started(store, network())
    nics = [await card(actor, name) for name in ("a", "b")]
    networks = await actor.networks()
    restarted = await started(store)
    assert await restarted.networks() == networks
    assert [await card(restarted, name) for name in ("a", "b")] == nics
    assert (await card(restarted, "c")).address not in {nic.address for nic in nics}


async def test_a_network_is_made_once_by_label() -> None:
    first, second = network(), network("10.9.0.0/24")
    actor = await started(MemoryStore(), first)
    assert await actor.ensure_network(second) == first
    assert await actor.networks() == (first,)


async def test_a_network_id_is_not_taken_twice() -> None:
    first = network()
    actor = await started(MemoryStore(), first)
    with pytest.raises(AlreadyExists):
        await actor.ensure_network(first.evolve(label="other"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cidr": IPv4Network("10.0.0.0/30")}, "cidr"),
        ({"cidr": IPv4Network("0.0.0.0/7")}, "cidr"),
        ({"gateway": IPv4Address("192.0.2.1")}, "gateway"),
        ({"dhcp": IPv4Address("10.0.0.15")}, "dhcp"),
        ({"dhcp": IPv4Address("10.0.0.1")}, "dhcp"),
    ],
)
async def test_a_network_that_cannot_work_is_refused(
    changes: dict[str, object], field: str
) -> None:
    actor = await started(MemoryStore())
    with pytest.raises(Invalid) as refused:
        await actor.ensure_network(network().evolve(**changes))
    assert field in refused.value.metadata


async def test_a_project_uses_its_own_network_before_a_shared_one_and_no_other_projects() -> None:
    actor = await started(MemoryStore(), network())
    own = network("10.1.0.0/24", label="own", project=PROJECT, shared=False)
    strange = network("10.2.0.0/24", label="strange", project=ProjectId("x"), shared=False)
    for one in (strange, own):
        await actor.ensure_network(one)
    assert (await card(actor, "vm")).network == own


async def test_without_a_network_there_is_no_port() -> None:
    with pytest.raises(NotFound):
        await card(await started(MemoryStore()), "vm")


async def test_a_bug_in_a_decision_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    actor = await started(store, network())
    with monkeypatch.context() as patched:
        patched.setattr(port_ledger, "mac_for", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await actor.allocate_many((request("vm"),))
    assert (await card(actor, "vm")).address == IPv4Address("10.0.0.3")
