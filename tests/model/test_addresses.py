"""Addresses are never given twice and never lost: not by failures, not by restarts."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.model.address_pool import AddressPool
from actors.model.errors import Cancelled, Exhausted, Unavailable
from actors.model.flat_network import default_network
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.mac import mac_for
from actors.model.network import Port
from actors.model.reply import Err, Ok
from actors.ports.network import PortRelease, PortRequest
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.network_actor import PlainNetworkActor, network_actor

CIDR = IPv4Network("10.0.0.0/28")
NETWORK = default_network(NetworkId("net"), datetime(2026, 1, 5, tzinfo=UTC), CIDR)
#: A /28 less network, broadcast, gateway and DHCP address.
CAPACITY = 12
INSTANCES = [InstanceId(f"vm{number}") for number in range(CAPACITY + 4)]

instances = st.lists(st.sampled_from(INSTANCES), min_size=1, max_size=6)


class Addresses(RuleBasedStateMachine):
    """An actor, restarted and failed at will, against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = MemoryStore()
        self.sequences = dict.fromkeys(INSTANCES, 1)
        #: What a caller was told and has not given back: must hold.
        self.held: dict[InstanceId, IPv4Address] = {}
        #: A call whose outcome the caller does not know.
        self.unsure: set[InstanceId] = set()

    @initialize()
    def begin(self) -> None:
        self.restart()
        self.runner.run(self.actor.ensure_network(NETWORK))

    def teardown(self) -> None:
        self.runner.close()

    @rule()
    def restart(self) -> None:
        async def start() -> PlainNetworkActor:
            return network_actor(self.store, FakeClock())

        self.actor = self.runner.run(start())

    @rule(names=instances)
    def allocate(self, names: list[InstanceId]) -> None:
        requests = [PortRequest(name, ProjectId("p"), self.sequences[name]) for name in names]
        replies = self.runner.run(self.actor.allocate_many(tuple(requests)))
        for name, reply in zip(names, replies, strict=True):
            match reply:
                case Ok((nic,)):
                    assert self.held.setdefault(name, nic.address) == nic.address
                    assert nic.mac == mac_for(NETWORK, nic.address)
                    self.unsure.discard(name)
                case Err(Exhausted()):
                    assert name not in self.held
                    assert len(self.rows()) == CAPACITY
                case _:
                    raise AssertionError(reply)

    @rule(names=instances)
    def release(self, names: list[InstanceId]) -> None:
        releases = [PortRelease(name, self.sequences[name]) for name in names]
        replies = self.runner.run(self.actor.release_many(tuple(releases)))
        assert all(isinstance(reply, Ok) for reply in replies)
        for name in names:
            self.held.pop(name, None)
            self.unsure.discard(name)

    @rule(name=st.sampled_from(INSTANCES))
    def newer_operation(self, name: InstanceId) -> None:
        self.sequences[name] += 1
        self.allocate([name])

    @rule(name=st.sampled_from(INSTANCES))
    def late_release(self, name: InstanceId) -> None:
        if name in self.held:
            late = PortRelease(name, self.sequences[name] - 1)
            self.runner.run(self.actor.release_many((late,)))

    @rule(name=st.sampled_from(INSTANCES))
    def late_allocate(self, name: InstanceId) -> None:
        self.sequences[name] += 1
        self.release([name])
        late = PortRequest(name, ProjectId("p"), self.sequences[name] - 1)
        (reply,) = self.runner.run(self.actor.allocate_many((late,)))
        assert isinstance(reply, Err)
        assert isinstance(reply.error, Cancelled)

    @rule(names=instances, written=st.booleans(), allocates=st.booleans())
    def failing(self, names: list[InstanceId], written: bool, allocates: bool) -> None:
        self.store.fail_next(Unavailable("away"), after_writing=written)
        commits = len(self.store.commits)
        if allocates:
            requests = [PortRequest(name, ProjectId("p"), self.sequences[name]) for name in names]
            got = self.runner.run(self.actor.allocate_many(tuple(requests)))
            failed = any(isinstance(r, Err) and isinstance(r.error, Unavailable) for r in got)
        else:
            releases = [PortRelease(name, self.sequences[name]) for name in names]
            freed = self.runner.run(self.actor.release_many(tuple(releases)))
            failed = any(isinstance(r, Err) and isinstance(r.error, Unavailable) for r in freed)
        assert failed or len(self.store.commits) == commits, "nothing to write is nothing to fail"
        # A failure that nothing used up would hit the next commit.
        self.store._failures.clear()
        if failed:
            for name in names:
                self.unsure.add(name)
                if not allocates:
                    self.held.pop(name, None)

    def rows(self) -> list[Port]:
        return [Port.model_validate_json(put.body) for put in self.store.rows[Table.PORTS].values()]

    @invariant()
    def held_addresses_are_stored_once_and_none_is_lost(self) -> None:
        rows = self.rows()
        owners = {row.instance: row.address for row in rows}
        assert len(owners) == len(rows) == len({row.address for row in rows})
        assert len({row.mac for row in rows}) == len(rows)
        for name, address in self.held.items():
            assert owners[name] == address
        assert set(owners) <= set(self.held) | self.unsure
        assert all(row.address in CIDR for row in rows)
        outside = {CIDR[0], CIDR[-1], NETWORK.gateway, NETWORK.dhcp}
        assert not outside & set(owners.values())


TestAddresses = Addresses.TestCase
# Half of the default: 500 examples must fit the time limit on a machine that others load.
TestAddresses.settings = settings(stateful_step_count=25)


@given(st.lists(st.booleans(), max_size=80), st.sets(st.integers(0, 15), max_size=16))
def test_a_pool_gives_each_free_address_once(takes: list[bool], used: set[int]) -> None:
    reserved = (CIDR[1], CIDR[2])
    taken = {CIDR[number] for number in used} - {CIDR[0], CIDR[15], *reserved}
    pool = AddressPool(CIDR, reserved, taken)
    held = set(taken)
    for take in takes:
        assert pool.free == CAPACITY - len(held)
        if take:
            address = pool.take()
            if address is None:
                assert len(held) == CAPACITY
            else:
                assert address not in held
                assert address in CIDR
                assert address not in {CIDR[0], CIDR[15], *reserved}
                held.add(address)
        elif held:
            gone = min(held)
            held.remove(gone)
            pool.give_back(gone)
            pool.give_back(gone)  # twice is once


def test_what_is_given_back_is_used_last() -> None:
    pool = AddressPool(CIDR)
    first = pool.take()
    assert first is not None
    pool.give_back(first)
    rest = [pool.take() for _ in range(14)]
    assert rest[-1] == first
    assert pool.take() is None


def test_after_a_start_what_nobody_held_comes_first() -> None:
    pool = AddressPool(CIDR, taken=[CIDR[5], CIDR[9]])
    order = [pool.take() for _ in range(pool.free)]
    numbers = [int(address) - int(CIDR[0]) for address in order if address]
    assert numbers == [10, 11, 12, 13, 14, 1, 2, 3, 4, 6, 7, 8]


def test_addresses_that_are_not_the_pools_are_not_taken_in() -> None:
    pool = AddressPool(CIDR, [CIDR[1]], [CIDR[1], IPv4Address("192.0.2.1")])
    for address in (CIDR[0], CIDR[1], CIDR[15], IPv4Address("192.0.2.1")):
        pool.give_back(address)
    assert pool.free == 13
    assert {pool.take() for _ in range(13)} == {CIDR[number] for number in range(2, 15)}


@given(st.integers(8, 29), st.data())
def test_a_mac_belongs_to_one_address(prefix: int, data: st.DataObject) -> None:
    wide = NETWORK.evolve(cidr=IPv4Network(f"10.0.0.0/{prefix}"))
    numbers = st.integers(0, wide.cidr.num_addresses - 1)
    one, other = (wide.cidr[data.draw(numbers)] for _ in range(2))
    assert (mac_for(wide, one) == mac_for(wide, other)) == (one == other)
    assert mac_for(wide, one).startswith("fa:16:3e:")
    assert len(mac_for(wide, one)) == 17
