"""The actor around the ledger: groups, durability, restarts, fencing."""

import asyncio

import pytest

from actors.model.errors import AlreadyExists, ComputeError, NotFound, Stale, Unavailable
from actors.model.host import Claim, HostRecord, HostState
from actors.model.ids import InstanceId
from actors.model.reply import Err, Ok, unwrap
from actors.placement.ledger import ClaimLedger
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.scheduler_actor import PlainSchedulerActor, scheduler_actor
from tests.unit.placement.fleets import needs, report, request


class Bench:
    """A scheduler over a store that outlives it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.scheduler = self.restart()

    def restart(self) -> PlainSchedulerActor:
        self.scheduler = scheduler_actor(self.store, self.clock)
        return self.scheduler

    async def with_hosts(self, *names: str) -> "Bench":
        for name in names:
            await self.scheduler.report(report(name))
        return self

    async def claim(self, asked: ClaimRequest) -> Claim:
        (reply,) = await self.scheduler.claim_many((asked,))
        return unwrap(reply)

    async def release(self, instance: str, sequence: int) -> None:
        (reply,) = await self.scheduler.release_many((Release(InstanceId(instance), sequence),))
        unwrap(reply)

    def stored_claims(self) -> dict[str, Claim]:
        rows = self.store.rows[Table.CLAIMS]
        return {key: Claim.model_validate_json(row.body) for key, row in rows.items()}

    def stored_host(self, name: str) -> HostRecord:
        return HostRecord.model_validate_json(self.store.rows[Table.HOSTS][f"id-{name}"].body)

    async def used(self) -> dict[str, int]:
        return {usage.record.name: usage.instances for usage in await self.scheduler.hosts()}


async def bench(*names: str) -> Bench:
    return await Bench().with_hosts(*names)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_claim_is_durable_when_it_is_answered() -> None:
    b = await bench("h1")
    claim = await b.claim(request())
    assert b.stored_claims() == {"i": claim}
    assert (claim.host, claim.host_id, claim.generation) == ("h1", "id-h1", 1)
    await b.release("i", 2)
    assert b.stored_claims() == {}


async def test_one_call_is_one_commit_and_one_failure_says_nothing_of_its_neighbours() -> None:
    b = await bench("h1")
    before = len(b.store.commits)
    replies = await b.scheduler.claim_many(
        (request("a"), request("b", resources=needs(99)), request("c"), request("a"))
    )
    assert [type(reply) for reply in replies] == [Ok, Err, Ok, Ok]
    assert replies[0] == replies[3]
    assert len(b.store.commits) == before + 1
    assert set(b.stored_claims()) == {"a", "c"}


async def test_calls_that_gather_while_a_batch_is_written_share_the_next() -> None:
    b = await bench("h1")
    before = len(b.store.commits)
    b.store.hold()
    calls = [asyncio.create_task(b.claim(request("first")))]
    await settle()
    calls += [asyncio.create_task(b.claim(request(f"i{n}"))) for n in range(3)]
    disabling = asyncio.create_task(b.scheduler.set_enabled("h1", False, "full"))
    await settle()
    assert not any(call.done() for call in (*calls, disabling))
    b.store.let_go()
    await asyncio.gather(*calls, disabling)
    assert len(b.store.commits) == before + 2
    assert len(b.stored_claims()) == 4


async def test_more_calls_than_a_group_takes_are_all_answered() -> None:
    b = await bench("h1")
    small = needs(0, 1, 0)
    calls = (b.claim(request(f"i{n}", resources=small)) for n in range(300))
    assert len(await asyncio.gather(*calls)) == 300
    assert await b.used() == {"h1": 300}


async def test_a_caller_that_gives_up_does_not_hold_up_the_others() -> None:
    b = await bench("h1")
    b.store.hold()
    gone = asyncio.create_task(b.claim(request("gone")))
    waits = asyncio.create_task(b.claim(request("waits")))
    await settle()
    gone.cancel()
    b.store.let_go()
    assert (await waits).instance == "waits"
    assert (await b.claim(request("next"))).instance == "next"


async def test_a_repeat_writes_nothing() -> None:
    b = await bench("h1")
    claim = await b.claim(request())
    before = len(b.store.commits)
    assert await b.claim(request()) == claim
    await b.scheduler.report(report("h1"))
    assert len(b.store.commits) == before


async def test_a_restart_finds_everything_in_the_store() -> None:
    b = await bench("h1", "h2")
    claim = await b.claim(request())
    b.restart()
    assert await b.claim(request()) == claim
    assert (await b.used())[claim.host] == 1
    await b.release("i", 1)
    assert set((await b.used()).values()) == {0}


async def test_it_waits_for_a_store_that_is_away() -> None:
    b = await bench("h1")
    for _ in range(3):
        b.store.refuse_next_load(Unavailable("away"))
    b.restart()
    assert await b.used() == {"h1": 0}


@pytest.mark.parametrize("written", [False, True])
async def test_after_a_commit_that_failed_memory_is_what_the_store_holds(written: bool) -> None:
    b = await bench("h1")
    b.store.fail_next(Unavailable("conductor away"), after_writing=written)
    with pytest.raises(Unavailable):
        await b.claim(request())
    assert (await b.used()) == {"h1": int(written)}
    claim = await b.claim(request())
    assert b.stored_claims() == {"i": claim}
    assert (await b.used()) == {"h1": 1}


@pytest.mark.parametrize("error", [Stale("x"), AlreadyExists("x")])
async def test_callers_see_that_they_may_try_again(error: ComputeError) -> None:
    b = await bench("h1")
    b.store.fail_next(error)
    with pytest.raises(Unavailable):
        await b.claim(request())
    assert (await b.claim(request())).host == "h1"


async def test_a_bug_in_a_decision_answers_everybody_and_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = await bench("h1")

    def broken(self: ClaimLedger, release: Release, now: object) -> None:
        raise KeyError("bug")

    with monkeypatch.context() as patch:
        patch.setattr(ClaimLedger, "release", broken)
        with pytest.raises(ComputeError) as raised:
            await b.release("i", 1)
    assert raised.value.reason == "INTERNAL"
    assert (await b.claim(request())).host == "h1"


async def test_a_replaced_scheduler_stops() -> None:
    b = await bench("h1")
    old = b.scheduler
    new = b.restart()
    await new.hosts()
    with pytest.raises(Unavailable, match="replaced"):
        await old.claim_many((request(),))
    for call in (old.hosts(), old.report(report("h1")), old.release_many(())):
        with pytest.raises(Unavailable, match="replaced"):
            await call
    assert b.stored_claims() == {}
    assert (await b.claim(request())).host == "h1"


async def test_a_replaced_scheduler_does_not_take_the_epoch_back() -> None:
    b = await bench("h1")
    old = b.scheduler
    await b.restart().hosts()
    b.store.fail_next(Unavailable("cut off"))
    with pytest.raises(Unavailable):
        await old.claim_many((request(),))
    with pytest.raises(Unavailable, match="replaced"):
        await old.hosts()
    assert (await b.claim(request())).host == "h1"


async def test_a_host_that_falls_silent_is_down_and_that_is_written_once() -> None:
    b = await bench("h1", "h2")
    b.clock.advance(10)
    await b.scheduler.report(report("h2"))
    before = len(b.store.commits)
    b.clock.advance(10)
    states = {u.record.name: u.record.state for u in await b.scheduler.hosts()}
    assert states == {"h1": HostState.DOWN, "h2": HostState.UP}
    assert (await b.claim(request())).host == "h2"
    assert b.stored_host("h1").state is HostState.DOWN
    assert len(b.store.commits) == before + 1
    await b.scheduler.report(report("h1"))
    assert b.stored_host("h1").state is HostState.UP


async def test_another_hosts_heartbeat_is_enough_to_notice_silence() -> None:
    b = await bench("h1", "h2")
    b.clock.advance(16)
    await b.scheduler.report(report("h2"))
    assert b.stored_host("h1").state is HostState.DOWN
    assert b.stored_host("h2").state is HostState.UP


async def test_heartbeats_are_not_written() -> None:
    b = await bench("h1")
    before = len(b.store.commits)
    for _ in range(20):
        b.clock.advance(5)
        await b.scheduler.report(report("h1"))
    assert len(b.store.commits) == before


async def test_a_second_host_of_a_name_is_refused() -> None:
    b = await bench("h1")
    with pytest.raises(AlreadyExists):
        await b.scheduler.report(report("h1", "other"))
    assert list(b.store.rows[Table.HOSTS]) == ["id-h1"]


async def test_disabling_is_durable_and_unknown_hosts_are_not_found() -> None:
    b = await bench("h1")
    usage = await b.scheduler.set_enabled("h1", False, "disks")
    assert usage.record == b.stored_host("h1")
    with pytest.raises(NotFound):
        await b.scheduler.set_enabled("h2", False, "")


async def test_nothing_waits_where_there_is_nothing_to_do() -> None:
    b = Bench()
    assert await b.scheduler.claim_many(()) == ()
    assert await b.scheduler.hosts() == ()
    assert repr(b.scheduler) == "Scheduler(hosts are down after 15 s)"
