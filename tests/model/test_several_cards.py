"""Instances with cards on several networks, some with addresses by name: none twice, none lost."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.model.address_pool import AddressPool
from actors.model.errors import Conflict, Exhausted, Invalid, Unavailable
from actors.model.flat_network import default_network
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.network import AddressRange, Nic, Port, WantedCard
from actors.model.reply import Err, Ok, Reply
from actors.ports.network import PortRelease, PortRequest
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.network_actor import PlainNetworkActor, network_actor

PROJECT = ProjectId("p")
CIDR = IPv4Network("10.0.0.0/29")
POOLS = (
    AddressRange(first=CIDR[2], last=CIDR[3]),
    AddressRange(first=CIDR[5], last=CIDR[5]),
)
#: The second gives three addresses by itself, of which the DHCP server has one.
NETWORKS = [
    default_network(NetworkId(f"{number}"), datetime(2026, 1, 5, tzinfo=UTC), CIDR).evolve(
        label=f"net{number}", pools=pools
    )
    for number, pools in enumerate(((), POOLS))
]
INSTANCES = [InstanceId(f"vm{number}") for number in range(6)]
#: Network, broadcast, gateway and DHCP address.
NOBODYS = {CIDR[0], CIDR[1], CIDR[2], CIDR[7]}
BY_THEMSELVES = [set(CIDR) - NOBODYS, {CIDR[3], CIDR[5]}]

cards = st.builds(
    WantedCard,
    network=st.sampled_from([network.id for network in NETWORKS]),
    address=st.one_of(st.none(), st.sampled_from([*CIDR, IPv4Address("192.0.2.1")])),
)


class SeveralCards(RuleBasedStateMachine):
    """An actor, restarted and failed at will, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = MemoryStore()
        #: What a caller was told and has not given back: must hold.
        self.held: dict[InstanceId, tuple[Nic, ...]] = {}
        #: A call whose outcome the caller does not know.
        self.unsure: set[InstanceId] = set()

    @initialize()
    def begin(self) -> None:
        self.restart()
        for network in NETWORKS:
            self.runner.run(self.actor.ensure_network(network))

    def teardown(self) -> None:
        self.runner.close()

    @rule()
    def restart(self) -> None:
        async def start() -> PlainNetworkActor:
            return network_actor(self.store, FakeClock())

        self.actor = self.runner.run(start())

    @rule(name=st.sampled_from(INSTANCES), wanted=st.lists(cards, min_size=1, max_size=3))
    def allocate(self, name: InstanceId, wanted: list[WantedCard]) -> None:
        free, taken = self.free(), self.taken()
        had = name in {row.instance for row in self.rows()}
        match self.ask(name, wanted):
            case Ok(nics):
                assert self.held.setdefault(name, nics) == nics
                if not had:
                    as_wanted(nics, wanted)
                self.unsure.discard(name)
            case Err(Exhausted()):
                assert any(
                    len(free[number]) < sum(card.network == network.id for card in wanted)
                    for number, network in enumerate(NETWORKS)
                ), "there was room"
            case Err(Conflict()):
                named = [(card.network, card.address) for card in wanted if card.address]
                reserved = any(address in NOBODYS for _, address in named)
                assert reserved or len(set(named)) < len(named) or set(named) & taken
            case Err(Invalid()):
                assert any(card.address not in set(CIDR.hosts()) for card in wanted if card.address)
            case answer:
                raise AssertionError(answer)

    @rule(name=st.sampled_from(INSTANCES))
    def release(self, name: InstanceId) -> None:
        (reply,) = self.runner.run(self.actor.release_many((PortRelease(name, 1),)))
        assert isinstance(reply, Ok)
        self.held.pop(name, None)
        self.unsure.discard(name)

    @rule(
        name=st.sampled_from(INSTANCES),
        wanted=st.lists(cards, min_size=1, max_size=3),
        written=st.booleans(),
    )
    def failing(self, name: InstanceId, wanted: list[WantedCard], written: bool) -> None:
        self.store.fail_next(Unavailable("away"), after_writing=written)
        match self.ask(name, wanted):
            case Err(Unavailable()):
                self.unsure.add(name)
            case _:
                assert len(self.store._failures) == 1, "nothing to write is nothing to fail"
        # A failure that nothing used up would hit the next commit.
        self.store._failures.clear()

    def ask(self, name: InstanceId, wanted: list[WantedCard]) -> Reply[tuple[Nic, ...]]:
        request = PortRequest(name, PROJECT, 1, tuple(wanted))
        (reply,) = self.runner.run(self.actor.allocate_many((request,)))
        return reply

    def rows(self) -> list[Port]:
        return [Port.model_validate_json(put.body) for put in self.store.rows[Table.PORTS].values()]

    def taken(self) -> set[tuple[NetworkId, IPv4Address]]:
        return {(row.network, row.address) for row in self.rows()}

    def free(self) -> list[set[IPv4Address]]:
        taken = self.taken()
        return [
            {address for address in ours if (network.id, address) not in taken}
            for network, ours in zip(NETWORKS, BY_THEMSELVES, strict=True)
        ]

    @invariant()
    def held_addresses_are_stored_once_and_none_is_lost(self) -> None:
        rows = self.rows()
        assert len({(row.network, row.address) for row in rows}) == len(rows)
        assert len({row.id for row in rows}) == len(rows)
        assert not NOBODYS & {row.address for row in rows}
        for name, nics in self.held.items():
            mine = sorted((row for row in rows if row.instance == name), key=lambda r: r.position)
            assert [(row.network, row.address) for row in mine] == [
                (nic.network.id, nic.address) for nic in nics
            ]
        assert {row.instance for row in rows} <= set(self.held) | self.unsure

    @invariant()
    def memory_and_store_agree_on_what_is_free(self) -> None:
        actor: Any = self.actor
        ledger = self.runner.run(actor._owner.state())
        for network, free in zip(NETWORKS, self.free(), strict=True):
            pool = ledger._pools[network.id]
            assert (pool.free, pool.held) == (
                len(free),
                sum(row.network == network.id for row in self.rows()),
            )


def as_wanted(nics: tuple[Nic, ...], wanted: list[WantedCard]) -> None:
    assert [nic.network.id for nic in nics] == [card.network for card in wanted]
    for nic, card in zip(nics, wanted, strict=True):
        if card.address is None:
            assert nic.address in BY_THEMSELVES[int(nic.network.id)]
        else:
            assert nic.address == card.address


TestSeveralCards = SeveralCards.TestCase
TestSeveralCards.settings = settings(stateful_step_count=25)


#: What to do with a pool: take any, take or give back a certain one.
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "take this", "give back"]), st.integers(0, 15)), max_size=80
)


@given(STEPS, st.lists(st.integers(1, 14), min_size=0, max_size=4, unique=True))
def test_a_pool_with_addresses_by_name(steps: list[tuple[str, int]], ends: list[int]) -> None:
    cidr = IPv4Network("10.0.0.0/28")
    low, high = sorted(ends)[:2] if len(ends) > 1 else (1, 14)
    pools = (AddressRange(first=cidr[low], last=cidr[high]),) if len(ends) > 1 else ()
    pool = AddressPool(cidr, (cidr[1], cidr[2]), (), pools)
    by_itself = {cidr[n] for n in range(low, high + 1)} - {cidr[1], cidr[2]}
    held: set[IPv4Address] = set()
    for step, number in steps:
        address = cidr[number]
        if step == "take":
            found = pool.take()
            assert (found in by_itself - held) if found else by_itself <= held
            held |= {found} if found else set()
        elif step == "take this":
            fine = 3 <= number <= 14 and address not in held
            assert pool.take_this(address) == fine
            held |= {address} if fine else set()
        else:
            pool.give_back(address)
            held.discard(address)
        assert pool.free == len(by_itself - held)
        assert pool.held == len(held)
        # Each free address stands in the queue once, whatever was taken by name and given back.
        assert sum(last - first + 1 for first, last in pool._ranges) <= len(by_itself)


def test_a_wide_pool_gives_as_fast_when_much_of_it_was_taken_by_name() -> None:
    """Each is passed over once: 65,000 of them cost 65,000 steps in all, not each time."""
    cidr = IPv4Network("10.0.0.0/16")
    pool = AddressPool(cidr)
    for number in range(1, 65_000):
        assert pool.take_this(IPv4Address(int(cidr[0]) + number))
    assert pool.take() == cidr[65_000]
    assert not pool._passed_over
    assert len(pool._ranges) == 1
