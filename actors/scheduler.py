"""SchedulerActor: owns the host table and every claim on a host's resources.

Decides in memory (``placement/ledger.py``) and answers once the store has it. What gathers while a
batch is being written is decided together and shares the next one. One writer: two claims never
race. Never talks to a host; what hosts report comes to it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import ray

from actors.handles.remote import Group
from actors.model.errors import ComputeError
from actors.model.host import Claim, HostRecord, HostReport, HostUsage
from actors.model.reply import Err, Ok, Reply
from actors.placement.ledger import ClaimLedger, Heard
from actors.ports.clock import Clock
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Remove, Store, Table
from actors.store.owner import Owner
from actors.store.tables import put_claim, put_host

WRITER: Final = "scheduler"

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


#: One call's part of a group.
Decision = Callable[[ClaimLedger], Any]


class SchedulerActor:
    """Hosts and claims.

    A host that is silent for ``down_after_seconds`` counts as down. Without ``resize_to_same_host``
    each resize moves its instance to another host.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        down_after_seconds: float = 15.0,
        *,
        resize_to_same_host: bool = True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._down_after = down_after_seconds
        self._resize_to_same_host = resize_to_same_host
        self._heard = Heard()
        self._decisions: Group[Decision, Any] = Group(self._write)
        self._owner = Owner(WRITER, store, clock, self._load)

    def __repr__(self) -> str:
        return f"Scheduler(hosts are down after {self._down_after:g} s)"

    @ray.method
    async def claim_many(self, requests: Sequence[ClaimRequest]) -> tuple[Reply[Claim], ...]:
        """Durable claims, decided in order; an answer for each in its place."""
        if not self._resize_to_same_host:
            requests = [replace(one, must_move=one.lives_on is not None) for one in requests]
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
        answer: Answer = await self._decisions.call(decide)
        return answer

    async def _write(self, decisions: Sequence[Decision]) -> tuple[Reply[Any], ...]:
        ledger = await self._owner.state()
        try:
            ledger.expire(self._clock.now(), self._clock.monotonic())
            replies = tuple(_reply(decide, ledger) for decide in decisions)
        except Exception:
            _log.exception("scheduler: a decision met a bug")
            # It has left memory half changed.
            self._owner.load_again()
            raise
        changes = ledger.take_changes()
        await self._owner.commit(
            (*map(put_host, changes.hosts), *map(put_claim, changes.claims)),
            tuple(Remove(Table.CLAIMS, instance) for instance in changes.released),
        )
        return replies

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
