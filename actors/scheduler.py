"""SchedulerActor: owns the host table and every claim on a host's resources.

Decides in memory (``placement/ledger.py``) and answers once the store has it. What gathers while a
batch is being written is decided together and shares the next one. One writer: two claims never
race. Never talks to a host; what hosts report comes to it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import ray

from actors.model.errors import ComputeError
from actors.model.host import Claim, HostRecord, HostReport, HostUsage
from actors.model.reply import Err, Ok, Reply, reply_to, unwrap
from actors.placement.ledger import ClaimLedger, Heard
from actors.ports.clock import Clock
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Remove, Store, Table
from actors.store.owner import Owner
from actors.store.tables import put_claim, put_host

WRITER: Final = "scheduler"

#: Calls that share one batch. A handle puts up to 128 claims in each, the store takes 10,000 rows.
_GROUP_LIMIT: Final = 32

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Job(Generic[Answer]):
    """One call's part of a group."""

    def __init__(self, decide: Callable[[ClaimLedger], Answer]) -> None:
        self._decide = decide
        self._reply: Reply[Answer] | None = None
        self.answer: asyncio.Future[Reply[Answer]] = asyncio.get_running_loop().create_future()

    def decide(self, ledger: ClaimLedger) -> None:
        """Act on memory, and keep the reply until that is durable."""
        self._reply = _reply(self._decide, ledger)

    def settle(self, written: Reply[None]) -> None:
        """Answer the caller, unless it has gone."""
        reply = written if isinstance(written, Err) else self._reply
        if reply is not None and not self.answer.done():
            self.answer.set_result(reply)


class SchedulerActor:
    """Hosts and claims. A host that is silent for ``down_after_seconds`` counts as down."""

    def __init__(self, store: Store, clock: Clock, down_after_seconds: float = 15.0) -> None:
        self._store = store
        self._clock = clock
        self._down_after = down_after_seconds
        self._heard = Heard()
        self._jobs: list[_Job[Any]] = []
        self._writing: asyncio.Task[None] | None = None
        self._owner = Owner(WRITER, store, clock, self._load)

    def __repr__(self) -> str:
        return f"Scheduler({self._owner!r})"

    @ray.method
    async def claim_many(self, requests: Sequence[ClaimRequest]) -> tuple[Reply[Claim], ...]:
        """Durable claims, decided in order; an answer for each in its place."""
        return await self._decide(lambda ledger: _each(ledger.claim, requests))

    @ray.method
    async def release_many(self, releases: Sequence[Release]) -> tuple[Reply[None], ...]:
        """Give claims back, durably; an answer for each in its place."""
        now = self._clock.now()
        return await self._decide(
            lambda ledger: _each(lambda one: ledger.release(one, now), releases)
        )

    @ray.method
    async def report(self, report: HostReport) -> None:
        """A host says how it is. Written only if something other than the time has changed.

        Raises:
            AlreadyExists: Another host has its name.
        """
        ledger, at = await self._owner.state(), self._clock.monotonic()
        if not ledger.heard(report, at):
            await self._decide(lambda ledger: ledger.report(report, self._clock.now(), at))
        elif ledger.overdue(at):
            # Other hosts' silence is found out by those that do report.
            await self._decide(lambda _ledger: None)

    @ray.method
    async def hosts(self) -> tuple[HostUsage, ...]:
        """All hosts by name, with what is claimed of each."""
        return (await self._owner.state()).usages(self._clock.monotonic())

    @ray.method
    async def set_enabled(self, host: str, enabled: bool, reason: str) -> HostUsage:
        """Take a host (by name or id) out of placement, or back in.

        Raises:
            NotFound: No host has that name or id.
        """
        return await self._decide(
            lambda ledger: ledger.set_enabled(host, enabled, reason, self._clock.now())
        )

    async def _decide(self, decide: Callable[[ClaimLedger], Answer]) -> Answer:
        """Decide with the next group; answer once its batch is durable."""
        job = _Job(decide)
        self._jobs.append(job)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_groups(), name="scheduler: write")
        return unwrap(await job.answer)

    async def _write_groups(self) -> None:
        while self._jobs:
            loaded = await reply_to(self._owner.state())
            # Only now: what came while the store was read belongs to this group.
            group, self._jobs = self._jobs[:_GROUP_LIMIT], self._jobs[_GROUP_LIMIT:]
            written = await reply_to(self._write(loaded, group))
            if isinstance(written, Err):
                _log.warning("scheduler: %d calls failed: %s", len(group), written.error)
            for job in group:
                job.settle(written)

    async def _write(self, loaded: Reply[ClaimLedger], group: list[_Job[Any]]) -> None:
        ledger = unwrap(loaded)
        try:
            ledger.expire(self._clock.now(), self._clock.monotonic())
            for job in group:
                job.decide(ledger)
        except Exception:
            # A bug of ours has left memory half changed.
            self._owner.load_again()
            raise
        changes = ledger.take_changes()
        await self._owner.commit(
            (*map(put_host, changes.hosts), *map(put_claim, changes.claims)),
            tuple(Remove(Table.CLAIMS, instance) for instance in changes.released),
        )

    async def _load(self) -> ClaimLedger:
        hosts = await self._store.load(Table.HOSTS)
        claims = await self._store.load(Table.CLAIMS)
        return ClaimLedger(
            map(HostRecord.model_validate_json, hosts),
            map(Claim.model_validate_json, claims),
            self._heard,
            self._clock.monotonic(),
            self._down_after,
        )


def _each(decide: Callable[[Item], Answer], items: Sequence[Item]) -> tuple[Reply[Answer], ...]:
    return tuple(_reply(decide, item) for item in items)


def _reply(decide: Callable[[Item], Answer], item: Item) -> Reply[Answer]:
    try:
        return Ok(decide(item))
    except ComputeError as error:
        return Err(error)
