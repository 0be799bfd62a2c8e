"""NetworkActor over a store in memory: batches, fencing, and what happens when a commit fails."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from uuid import UUID, uuid4

import pytest

from actors.model import port_ledger
from actors.model.errors import (
    AlreadyExists,
    Cancelled,
    ComputeError,
    Conflict,
    Exhausted,
    Internal,
    Invalid,
    NotFound,
    QuotaExceeded,
    Stale,
    Unavailable,
)
from actors.model.flat_network import default_network
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.network import AddressRange, Network, NetworkKind, Nic, WantedCard
from actors.model.network_commands import NETWORK_LIMIT, CreateNetwork
from actors.model.port_ledger import PortLedger
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


# --- networks that users make -----------------------------------------------------------------


def wanting(label: str = "web", cidr: str = "10.1.0.0/24", **fields: object) -> CreateNetwork:
    values: dict[str, Any] = {
        "id": NetworkId(str(uuid4())),
        "project": PROJECT,
        "label": label,
        "cidr": IPv4Network(cidr),
        **fields,
    }
    return CreateNetwork(**values)


def on(*cards: Network | tuple[Network, str]) -> tuple[WantedCard, ...]:
    return tuple(
        WantedCard(network=card.id)
        if isinstance(card, Network)
        else WantedCard(network=card[0].id, address=IPv4Address(card[1]))
        for card in cards
    )


async def cards(
    actor: PlainNetworkActor, name: str, *wanted: Network | tuple[Network, str]
) -> tuple[Nic, ...]:
    asked = PortRequest(InstanceId(name), PROJECT, 1, on(*wanted))
    (reply,) = await actor.allocate_many((asked,))
    return unwrap(reply)


async def test_what_a_network_is_where_nobody_says() -> None:
    actor = await started(MemoryStore())
    made = await actor.create_network(wanting())
    assert (made.gateway, made.dhcp) == (IPv4Address("10.1.0.1"), IPv4Address("10.1.0.2"))
    assert (made.kind, made.mtu, made.shared) == (NetworkKind.VXLAN, 1450, False)
    assert made.name_servers == (made.dhcp,)
    flat = await actor.create_network(wanting(kind=NetworkKind.FLAT))
    assert (flat.kind, flat.vni, flat.mtu) == (NetworkKind.FLAT, 0, 1500)
    last = await actor.create_network(wanting(gateway=IPv4Address("10.1.0.1")))
    assert last.dhcp == IPv4Address("10.1.0.2")
    last = await actor.create_network(wanting(gateway=IPv4Address("10.1.0.254")))
    assert last.dhcp == IPv4Address("10.1.0.1")


async def test_a_network_is_made_once_and_found_again_after_a_restart() -> None:
    store = MemoryStore()
    actor = await started(store)
    command = wanting(dns=(IPv4Address("9.9.9.9"),))
    made = await actor.create_network(command)
    assert await actor.create_network(command) == made
    restarted = await started(store)
    assert await restarted.network(made.id) == made
    assert await restarted.create_network(command) == made
    assert await restarted.networks() == (made,)


async def test_two_networks_may_be_called_and_numbered_alike() -> None:
    actor = await started(MemoryStore())
    one, other = await actor.create_network(wanting()), await actor.create_network(wanting())
    assert one.id != other.id
    assert (one.label, one.cidr) == (other.label, other.cidr)
    first, second = await cards(actor, "vm", one, other)
    assert first.address == second.address
    assert first.mac != second.mac


async def test_a_vxlan_has_a_number_of_its_own() -> None:
    store = MemoryStore()
    actor = await started(store)
    # Networks whose ids lead to one number: 2 ** 96 is 1 in what is left of 2 ** 24 - 1.
    alike = [wanting(id=NetworkId(str(UUID(int=(n << 96) + 10 - n)))) for n in (1, 2, 3)]
    made = [await actor.create_network(one) for one in alike]
    assert [network.vni for network in made] == [11, 12, 13]
    await actor.delete_network(made[1].id)
    restarted = await started(store)
    # 12 is free, and a host that was away may still have it.
    assert (await restarted.create_network(wanting(id=NetworkId(str(UUID(int=5 << 96)))))).vni == 6


async def test_a_network_with_ports_stays() -> None:
    store = MemoryStore()
    actor = await started(store)
    net = await actor.create_network(wanting())
    await cards(actor, "vm", net)
    with pytest.raises(Conflict) as refused:
        await actor.delete_network(net.id)
    assert refused.value.reason == "NETWORK_IN_USE"
    await give_back(actor, "vm")
    for _ in range(2):
        await actor.delete_network(net.id)
    for one in (actor, await started(store)):
        assert await one.networks() == ()
        with pytest.raises(NotFound):
            await one.network(net.id)


async def test_a_project_has_its_share_of_networks() -> None:
    actor = await started(MemoryStore())
    for _ in range(NETWORK_LIMIT):
        await actor.create_network(wanting())
    with pytest.raises(QuotaExceeded) as refused:
        await actor.create_network(wanting())
    assert refused.value.reason == "NETWORK_QUOTA_EXCEEDED"
    await actor.create_network(wanting(project=ProjectId("other")))


async def test_no_two_networks_have_links_of_one_name() -> None:
    """A tenant chooses what an id is made from, and may look for one that is in another's way."""
    actor = await started(MemoryStore())
    first = await actor.create_network(wanting())
    alike = NetworkId(first.id[:11] + str(uuid4())[11:])
    with pytest.raises(AlreadyExists) as refused:
        await actor.create_network(wanting(id=alike))
    assert refused.value.reason == "NETWORK_ID_TAKEN"
    assert await actor.networks() == (first,)


def pool(first: str, last: str) -> AddressRange:
    return AddressRange(first=IPv4Address(first), last=IPv4Address(last))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cidr": IPv4Network("10.0.0.0/30")}, "cidr"),
        ({"cidr": IPv4Network("10.0.0.1/32")}, "cidr"),
        ({"cidr": IPv4Network("8.0.0.0/7")}, "cidr"),
        ({"cidr": IPv4Network("127.0.1.0/24")}, "cidr"),
        ({"cidr": IPv4Network("169.254.0.0/16")}, "cidr"),
        ({"cidr": IPv4Network("224.0.0.0/24")}, "cidr"),
        ({"cidr": IPv4Network("255.255.255.0/24")}, "cidr"),
        ({"cidr": IPv4Network("0.0.0.0/8")}, "cidr"),
        ({"gateway": IPv4Address("10.1.1.1")}, "gateway"),
        ({"gateway": IPv4Address("10.1.0.0")}, "gateway"),
        ({"dhcp": IPv4Address("10.1.0.255")}, "dhcp"),
        ({"dhcp": IPv4Address("10.1.0.1")}, "dhcp"),
        ({"dns": (IPv4Address("127.0.0.1"),)}, "dns"),
        ({"dns": (IPv4Address("9.9.9.9"), IPv4Address("224.0.0.251"))}, "dns"),
        ({"pools": (pool("10.1.0.9", "10.1.0.8"),)}, "pools"),
        ({"pools": (pool("10.1.0.9", "10.1.1.8"),)}, "pools"),
        ({"pools": (pool("10.1.0.0", "10.1.0.8"),)}, "pools"),
        ({"pools": (pool("10.1.0.20", "10.1.0.30"), pool("10.1.0.9", "10.1.0.20"))}, "pools"),
        ({"mtu": 1451}, "mtu"),
        ({"mtu": 1501, "kind": NetworkKind.FLAT}, "mtu"),
    ],
)
async def test_a_network_that_users_cannot_make(fields: dict[str, Any], field: str) -> None:
    store = MemoryStore()
    actor = await started(store)
    with pytest.raises(Invalid) as refused:
        await actor.create_network(wanting(**fields))
    assert (refused.value.reason, set(refused.value.metadata)) == ("FIELD_INVALID", {field})
    assert not store.commits
    assert await actor.networks() == ()


def test_cards_that_are_too_small_for_a_tunnel() -> None:
    ledger = PortLedger([], [])
    with pytest.raises(Invalid) as refused:
        ledger.create_network(wanting(), 600, CREATED)
    assert "at most 550 on a vxlan network" in refused.value.message
    assert ledger.create_network(wanting(kind=NetworkKind.FLAT), 600, CREATED).mtu == 600


async def test_addresses_come_from_the_pools_and_outside_by_name() -> None:
    actor = await started(MemoryStore())
    pools = (pool("10.1.0.20", "10.1.0.20"), pool("10.1.0.1", "10.1.0.3"))
    net = await actor.create_network(wanting(pools=pools))
    found = [(await cards(actor, name, net))[0].address for name in "ab"]
    assert sorted(map(str, found)) == ["10.1.0.20", "10.1.0.3"]
    with pytest.raises(Exhausted):
        await cards(actor, "c", net)
    (outside,) = await cards(actor, "c", (net, "10.1.0.200"))
    assert outside.address == IPv4Address("10.1.0.200")
    await give_back(actor, "c")
    with pytest.raises(Exhausted):
        await cards(actor, "d", net)


async def test_several_cards_in_the_order_asked_for_also_after_a_restart() -> None:
    store = MemoryStore()
    actor = await started(store)
    nets = [await actor.create_network(wanting(str(number))) for number in range(3)]
    wanted = (nets[2], nets[0], (nets[1], "10.1.0.9"), nets[0])
    found = await cards(actor, "vm", *wanted)
    assert [nic.network.label for nic in found] == ["2", "0", "1", "0"]
    assert str(found[2].address) == "10.1.0.9"
    assert len({nic.port for nic in found}) == len({nic.mac for nic in found}) == 4
    assert len({nic.device for nic in found}) == 4
    restarted = await started(store)
    assert await cards(restarted, "vm", *wanted) == found
    await give_back(restarted, "vm")
    assert not stored_addresses(store)


async def test_no_card_takes_what_another_of_the_same_instance_must_have() -> None:
    actor = await started(MemoryStore())
    net = await actor.create_network(wanting())
    found = await cards(actor, "vm", net, (net, "10.1.0.3"))
    assert [str(nic.address) for nic in found] == ["10.1.0.4", "10.1.0.3"]


async def test_all_cards_or_none() -> None:
    store = MemoryStore()
    actor = await started(store)
    roomy = await actor.create_network(wanting())
    full = await actor.create_network(wanting("full", "10.2.0.0/29"))
    for name in "abcd":
        await cards(actor, name, full)
    before = stored_addresses(store)
    for wanted in ((roomy, full), ((roomy, "10.1.0.9"), (full, "10.2.0.3"))):
        with pytest.raises((Exhausted, Conflict)):
            await cards(actor, "vm", *wanted)
    assert stored_addresses(store) == before
    (nic,) = await cards(actor, "vm", (roomy, "10.1.0.9"))
    assert str(nic.address) == "10.1.0.9"


@pytest.mark.parametrize(
    ("address", "kind", "reason"),
    [
        ("10.1.0.1", Conflict, "ADDRESS_IN_USE"),
        ("10.1.0.2", Conflict, "ADDRESS_IN_USE"),
        ("10.1.0.77", Conflict, "ADDRESS_IN_USE"),
        ("10.1.1.77", Invalid, "ADDRESS_OUTSIDE_SUBNET"),
        ("10.1.0.0", Invalid, "ADDRESS_OUTSIDE_SUBNET"),
        ("10.1.0.255", Invalid, "ADDRESS_OUTSIDE_SUBNET"),
    ],
)
async def test_an_address_that_cannot_be_had(
    address: str, kind: type[ComputeError], reason: str
) -> None:
    store = MemoryStore()
    actor = await started(store)
    net = await actor.create_network(wanting())
    await cards(actor, "holder", (net, "10.1.0.77"))
    before = len(store.commits)
    asked = PortRequest(InstanceId("vm"), PROJECT, 1, on((net, address)))
    with pytest.raises(kind) as refused:
        await actor.check(asked)
    assert refused.value.reason == reason
    with pytest.raises(kind) as refused:
        await cards(actor, "vm", (net, address))
    assert refused.value.reason == reason
    assert len(store.commits) == before


async def test_a_check_takes_nothing_and_knows_its_own() -> None:
    store = MemoryStore()
    actor = await started(store)
    net = await actor.create_network(wanting())
    asked = PortRequest(InstanceId("vm"), PROJECT, 1, on((net, "10.1.0.3"), net))
    before = len(store.commits)
    for _ in range(3):
        await actor.check(asked)
    assert len(store.commits) == before
    twice = PortRequest(InstanceId("vm"), PROJECT, 1, on((net, "10.1.0.3"), (net, "10.1.0.3")))
    with pytest.raises(Conflict):
        await actor.check(twice)
    found = await cards(actor, "vm", (net, "10.1.0.3"), net)
    assert [str(nic.address) for nic in found] == ["10.1.0.3", "10.1.0.4"]
    await actor.check(asked)
    with pytest.raises(Conflict):
        await actor.check(PortRequest(InstanceId("other"), PROJECT, 1, asked.wanted))


async def test_nobody_is_on_another_projects_network() -> None:
    actor = await started(MemoryStore())
    other = ProjectId("other")
    theirs = await actor.create_network(wanting(project=other))
    shared = await actor.create_network(wanting(project=other, shared=True))
    for wanted in (theirs, theirs.evolve(id=NetworkId(str(uuid4())))):
        for call in (
            actor.check(PortRequest(InstanceId("vm"), PROJECT, 1, on(shared, wanted))),
            cards(actor, "vm", shared, wanted),
        ):
            with pytest.raises(NotFound) as refused:
                await call
            assert (refused.value.reason, refused.value.metadata) == (
                "NETWORK_NOT_FOUND",
                {"network": wanted.id},
            )
    (nic,) = await cards(actor, "vm", shared)
    assert nic.network == shared


async def test_a_tenants_network_does_not_stand_in_for_the_clusters() -> None:
    actor = await started(MemoryStore())
    theirs = await actor.create_network(wanting("private"))
    ours = await actor.ensure_network(network())
    assert ours.id != theirs.id
    assert ours.shared


async def test_records_of_the_release_before_can_be_read() -> None:
    """What was stored before networks had kinds and ports had places."""
    store = MemoryStore()
    actor = await started(store, network())
    nic = await card(actor, "vm")
    for table, added in (
        (Table.NETWORKS, ("kind", "vni", "dns", "pools", "ipv6")),
        (Table.PORTS, ("position", "address6", "groups")),
    ):
        for key, put in store.rows[table].items():
            body = json.loads(put.body)
            for name in added:
                del body[name]
            store.rows[table][key] = dataclasses.replace(put, body=json.dumps(body))
    restarted = await started(store)
    assert await card(restarted, "vm") == nic
