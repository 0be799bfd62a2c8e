"""Claims under any order of calls, failures and restarts, against a dictionary.

What must hold after every step: no host over its capacity, at most one claim for an instance,
with what a resize keeps of the host it came from; memory and store agree, and what the callers were
told is what there is.
"""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.model.errors import Cancelled, NoValidHost, Unavailable
from actors.model.flavor import Resources
from actors.model.host import Claim, HostRecord, HostState, HostUsage, Part, Share
from actors.model.ids import InstanceId
from actors.model.reply import Err, Ok, Reply, unwrap
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.scheduler_actor import scheduler_actor
from tests.unit.placement.fleets import inventory, needs, report, request

Answer = TypeVar("Answer")

HOSTS = ("h1", "h2", "h3")
HOST = st.sampled_from(HOSTS)
INSTANCE = st.sampled_from(("a", "b", "c", "d", "e"))
NUMBER = st.integers(1, 3)
NEED = st.builds(needs, st.integers(0, 3), st.sampled_from((512, 1024, 3000)), st.integers(0, 60))
RESIZE = st.builds(request, INSTANCE, NUMBER, NUMBER, NEED, lives_on=HOST, must_move=st.booleans())
REQUEST = st.builds(request, INSTANCE, NUMBER, NUMBER, NEED) | RESIZE
RELEASE = st.builds(Release, INSTANCE.map(InstanceId), NUMBER, st.booleans(), st.sampled_from(Part))


class Claims(RuleBasedStateMachine):
    """One scheduler at a time over one store."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.silent: set[str] = set()
        #: What each instance holds: host, operation, attempt, resources.
        self.held: dict[str, Claim] = {}
        #: The newest release this process has seen of each instance.
        self.fences: dict[str, int] = {}
        self.restart()

    def teardown(self) -> None:
        self.runner.close()

    def run(self, call: Coroutine[object, object, Answer]) -> Answer:
        return self.runner.run(call)

    @initialize()
    def hosts_join(self) -> None:
        for name in HOSTS:
            self.run(self.scheduler.report(report(name)))

    @rule()
    def restart(self) -> None:
        """The process dies; the next one reads the store. Its memory of releases is lost."""

        async def start() -> None:
            self.scheduler = scheduler_actor(self.store, self.clock)
            await self.scheduler.hosts()

        self.run(start())
        self.fences.clear()

    @rule(requests=st.lists(REQUEST, min_size=1, max_size=3))
    def claim(self, requests: list[ClaimRequest]) -> None:
        replies = self.run(self.scheduler.claim_many(requests))
        for asked, reply in zip(requests, replies, strict=True):
            self.answered(asked, reply)
        self.generations_are_the_store_s()
        (*_, last) = replies
        if len(replies) == 1 and isinstance(last, Err) and isinstance(last.error, NoValidHost):
            self.really_nowhere(requests[0])

    def answered(self, asked: ClaimRequest, reply: Reply[Claim]) -> None:
        if isinstance(reply, Ok):
            self.claimed(asked, reply.value)
        else:
            self.refused(asked, reply.error)

    def really_nowhere(self, asked: ClaimRequest) -> None:
        own = self.held.get(asked.instance)
        for usage in self.usages().values():
            name = usage.record.name
            if asked.must_move and usage.record.id == asked.lives_on:
                continue
            others = [s for c in self.held.values() if c != own for s in on(name, *c.shares)]
            others += on(name, *kept_beside(own, asked))
            capacity, used, need = usage.record.inventory.capacity, total(others), asked.resources
            room = (
                need.vcpus <= max(0, capacity.vcpus - used.vcpus)
                and need.memory_mb <= max(0, capacity.memory_mb - used.memory_mb)
                and need.disk_gb <= max(0, capacity.disk_gb - used.disk_gb)
            )
            assert not (usage.record.enabled and usage.record.state is HostState.UP and room)

    def claimed(self, asked: ClaimRequest, claim: Claim) -> None:
        held = self.held.get(asked.instance)
        assert (claim.sequence, claim.attempt) == (asked.sequence, asked.attempt)
        if held is None:
            assert asked.sequence >= self.fences.get(asked.instance, 0)
        else:
            assert (asked.sequence, asked.attempt) >= (held.sequence, held.attempt)
            if (asked.sequence, asked.attempt) == (held.sequence, held.attempt):
                assert claim == held
                return
        assert claim.resources == asked.resources
        assert claim.shares[1:] == kept_beside(held, asked)
        chosen = self.usage(claim.host).record
        assert chosen.enabled
        assert chosen.state is HostState.UP
        assert not (asked.must_move and chosen.id == asked.lives_on)
        self.held[asked.instance] = claim

    def refused(self, asked: ClaimRequest, error: Exception) -> None:
        held = self.held.get(asked.instance)
        if isinstance(error, Cancelled):
            newest = (held.sequence, held.attempt) if held else (self.fences[asked.instance], 0)
            assert (asked.sequence, asked.attempt) < newest
            return
        assert isinstance(error, NoValidHost)
        if held is not None and held.sequence == asked.sequence:
            if held.former is not None:
                self.held[asked.instance] = only(held, held.former)
            elif asked.lives_on is None:
                del self.held[asked.instance]

    @rule(releases=st.lists(RELEASE, min_size=1, max_size=3))
    def release(self, releases: list[Release]) -> None:
        for reply in self.run(self.scheduler.release_many(releases)):
            unwrap(reply)
        for one in releases:
            held = self.held.get(one.instance)
            if held is not None and one.sequence < held.sequence:
                continue
            if one.part is Part.ALL:
                self.held.pop(one.instance, None)
                newest = max(one.sequence, self.fences.get(one.instance, 0))
                self.fences[one.instance] = newest
            elif held is not None and held.former is not None:
                share = held.former if one.part is Part.NEW else held
                self.held[one.instance] = only(held, share).evolve(sequence=one.sequence)
        self.generations_are_the_store_s()

    def generations_are_the_store_s(self) -> None:
        """The answers to releases and refusals do not tell them."""
        for instance, stored in self.stored_claims().items():
            if instance in self.held:
                held = self.held[instance]
                self.held[instance] = held.evolve(generation=stored.generation)

    @rule(asked=REQUEST, written=st.booleans())
    def claim_while_the_store_fails(self, asked: ClaimRequest, written: bool) -> None:
        """The answer is lost, or the commit: a caller that asks again finds out which."""
        self.store.fail_next(Unavailable("away"), after_writing=written)
        try:
            (reply,) = self.run(self.scheduler.claim_many((asked,)))
        except Unavailable:
            stored = self.stored_claims().get(asked.instance)
            if stored is None:
                self.held.pop(asked.instance, None)
            else:
                self.held[asked.instance] = stored
        else:
            # Nothing had to be written.
            self.store.forget_failures()
            self.answered(asked, reply)

    @rule(name=HOST, memory_mb=st.sampled_from((2048, 4096)))
    def host_reports(self, name: str, memory_mb: int) -> None:
        self.silent.discard(name)
        size = inventory(memory_mb=memory_mb)
        self.run(self.scheduler.report(report(name, inventory=size)))

    @rule(names=st.sets(HOST, max_size=2))
    def hosts_fall_silent(self, names: set[str]) -> None:
        """All but these report, and then time passes that is too long for those."""
        self.silent |= names
        for _ in range(2):
            self.clock.advance(10)
            for name in set(HOSTS) - self.silent:
                record = self.usage(name).record
                self.run(self.scheduler.report(report(name, inventory=record.inventory)))
        down = {n for n, usage in self.usages().items() if usage.record.state is HostState.DOWN}
        assert down == self.silent

    @rule(name=HOST, enabled=st.booleans())
    def set_enabled(self, name: str, enabled: bool) -> None:
        self.run(self.scheduler.set_enabled(name, enabled, "test"))

    # What must hold

    def usages(self) -> dict[str, HostUsage]:
        return {usage.record.name: usage for usage in self.run(self.scheduler.hosts())}

    def usage(self, name: str) -> HostUsage:
        return self.usages()[name]

    def stored_claims(self) -> dict[str, Claim]:
        rows = self.store.rows[Table.CLAIMS]
        return {key: Claim.model_validate_json(row.body) for key, row in rows.items()}

    def stored_hosts(self) -> dict[str, HostRecord]:
        rows = self.store.rows[Table.HOSTS].values()
        records = [HostRecord.model_validate_json(row.body) for row in rows]
        return {record.name: record for record in records}

    @invariant()
    def callers_were_told_what_is_stored(self) -> None:
        assert self.stored_claims() == self.held

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        usages, stored = self.usages(), self.stored_hosts()
        assert usages.keys() == stored.keys()
        for name, usage in usages.items():
            mine = [share for claim in self.held.values() for share in on(name, *claim.shares)]
            assert usage.instances == len(on(name, *self.held.values()))
            assert usage.claimed == total(mine)
            # Silence may be known before it is written.
            why = stored[name].trouble or "it has not reported lately"
            silent = stored[name].evolve(state=HostState.DOWN, trouble=why)
            assert usage.record in (stored[name], silent)

    @invariant()
    def no_host_is_over_its_capacity(self) -> None:
        for usage in self.usages().values():
            capacity = inventory().capacity
            assert usage.claimed.vcpus <= capacity.vcpus
            assert usage.claimed.memory_mb <= capacity.memory_mb
            assert usage.claimed.disk_gb <= capacity.disk_gb


def on(host: str, *shares: Share) -> list[Share]:
    return [share for share in shares if share.host == host]


def only(claim: Claim, share: Share) -> Claim:
    """What is left of a claim when only this share is kept."""
    return claim.evolve(
        host_id=share.host_id, host=share.host, resources=share.resources, former=None
    )


def kept_beside(held: Claim | None, asked: ClaimRequest) -> tuple[Share, ...]:
    """What a resize keeps of what there was before it."""
    if held is None or asked.lives_on is None:
        return ()
    before = held.former or held
    return (Share(host_id=before.host_id, host=before.host, resources=before.resources),)


def total(shares: list[Share]) -> Resources:
    return Resources(
        vcpus=sum(share.resources.vcpus for share in shares),
        memory_mb=sum(share.resources.memory_mb for share in shares),
        disk_gb=sum(share.resources.disk_gb for share in shares),
    )


TestClaims = Claims.TestCase
