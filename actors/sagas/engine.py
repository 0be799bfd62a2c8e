"""Runs an operation to its end, whatever fails on the way.

Each move is made after its intent is on disk, and its result is written with the intent of the
next (``journal``). Three things can happen to a move:

* It works, or fails for good: the journal says what follows.
* What it needs is away (``Unavailable``): the operation says what it waits for, and tries again.
* A newer operation takes the instance over: the run ends here, and the newer one cleans up.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar, assert_never

from actors.lifecycle.live_size import kept_size
from actors.model.errors import (
    Abandoned,
    Cancelled,
    ComputeError,
    Conflict,
    Expired,
    NoValidHost,
    Unavailable,
)
from actors.model.ids import HostId
from actors.model.instance import Fault, InstanceRecord, PowerState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.ports.clock import Clock, Gate
from actors.ports.host import HostJob, HostOutcome, HostStep
from actors.ports.store import Eviction
from actors.sagas import journal
from actors.sagas.journal import Perform, Rest, Unwind
from actors.sagas.plans import SAGAS
from actors.sagas.saga import EVICT_AFTER_SECONDS, OPERATION, Call, Cluster, Place, Saga, Step, Work

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 3.0

Answer = TypeVar("Answer")


class Cell(Protocol):
    """One instance with its running operation, as the engine sees it."""

    @property
    def record(self) -> InstanceRecord:
        """The instance as it is now."""
        ...

    @property
    def operation(self) -> OperationRecord:
        """The operation under way."""
        ...

    async def write(
        self,
        operation: OperationRecord,
        learned: Mapping[str, object],
        power_state: PowerState | None,
        eviction: Eviction | None,
    ) -> None:
        """Make a move durable.

        Raises:
            Cancelled: A newer operation has taken the instance over.
        """
        ...

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until somebody says that what it waits for is back."""
        ...


@dataclass(frozen=True, slots=True)
class _Result:
    """What a move brought: the operation with its log, and what the record learns."""

    operation: OperationRecord
    learned: Mapping[str, object] = field(default_factory=dict)
    power_state: PowerState | None = None
    eviction: Eviction | None = None


class Engine:
    """Runs operations. Holds no state of its own: all of it is in the cell's records."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        gate: Gate,
        sagas: Mapping[Action, Saga] = SAGAS,
        evict_after_seconds: float = EVICT_AFTER_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._gate = gate
        self._sagas = sagas
        self.evict_after_seconds = evict_after_seconds

    def begin(self, operation: OperationRecord) -> OperationRecord:
        """The operation with its first move's intent: what is written when it is accepted."""
        saga = self._sagas[operation.action]
        operation = operation.evolve(step_count=len(saga.steps_of(operation)))
        return journal.advance(saga, operation, self._clock.now())[0]

    def check_cancel(self, operation: OperationRecord) -> None:
        """Let a cancel pass, or say why not.

        Raises:
            Conflict: It only goes forward, or has passed the step from which it does.
        """
        if journal.only_forward(self._sagas[operation.action], operation):
            raise Conflict(
                f"This {operation.action.value} cannot be cancelled: it goes on to its end.",
                "OPERATION_NOT_CANCELLABLE",
                "",
                {"operation": operation.id},
            )

    async def abandon(self, operation: OperationRecord) -> None:
        """Tell the host at work that a cancel has come. Where that fails, the step goes on."""
        for host_id in {place.host_of(operation) for place in Place}:
            if host_id is not None:
                host = self._cluster.hosts.host(host_id)
                with suppress(ComputeError):
                    await host.abandon(operation.instance, operation.sequence)

    def progressed(self, operation: OperationRecord, act: HostStep) -> OperationRecord:
        """The operation, with a step noted that its host has done while others go on.

        Steps of the same kind at another host are not under way at the same time.
        """
        undoing = operation.state is OperationState.UNDOING
        under_way = journal.under_way(operation)
        steps = [
            step
            for step in self._sagas[operation.action].steps_of(operation)
            if (step.undo if undoing else step.do) is act and step.name in under_way
        ]
        return journal.succeeded(operation, steps, self._clock.now())

    async def run(self, cell: Cell) -> None:
        """Bring the cell's operation to its end. Begins where its log ends.

        Raises:
            Cancelled: A newer operation has taken the instance over.
        """
        saga = self._sagas[cell.operation.action]
        operation, move = journal.advance(saga, cell.operation, self._clock.now())
        if operation != cell.operation:
            await cell.write(operation, {}, None, None)
        while not isinstance(move, Rest):
            result = await self._make(cell, saga, move)
            operation, move = journal.advance(saga, result.operation, self._clock.now())
            await cell.write(operation, result.learned, result.power_state, result.eviction)

    async def _make(self, cell: Cell, saga: Saga, move: Perform | Unwind) -> _Result:
        match move:
            case Perform(steps):
                acts = [step.do for step in steps]
            case Unwind(steps):
                acts = [step.undo for step in steps if step.undo is not None]
            case _:
                assert_never(move)
        attempt = _Attempt(self, cell, saga, move)
        if isinstance(acts[0], HostStep):
            host_steps = [act for act in acts if isinstance(act, HostStep)]
            return await attempt.on_host(steps, host_steps)
        calls = [act for act in acts if not isinstance(act, HostStep)]
        return await attempt.call(steps, calls)

    async def reach(self, action: Action, what: str, when: str) -> None:
        """Pass the gate of a step: ``create.claim.before``, ``create.undo_claim.after``."""
        await self._gate.reach(f"{action.value}.{what}.{when}")

    @property
    def clock(self) -> Clock:
        """Time."""
        return self._clock

    @property
    def cluster(self) -> Cluster:
        """The owners that steps call on."""
        return self._cluster


class _Attempt:
    """One move: made again and again while what it needs is away."""

    def __init__(self, engine: Engine, cell: Cell, saga: Saga, move: Perform | Unwind) -> None:
        self._engine = engine
        self._cell = cell
        self._saga = saga
        # What only goes forward, and what is undone, is never given up.
        self._undoes = isinstance(move, Unwind)
        self._insists = self._undoes or journal.only_forward(saga, cell.operation)
        self._pause = _FIRST_PAUSE_SECONDS
        self._since = engine.clock.monotonic()

    async def call(self, steps: Sequence[Step], acts: Sequence[Call]) -> _Result:
        """Steps that other owners serve, at the same time."""
        pending = dict(zip(steps, acts, strict=True))
        while True:
            answers = await asyncio.gather(*(self._one(*item) for item in pending.items()))
            told = dict(zip(pending, answers, strict=True))
            good = {step: answer for step, answer in told.items() if isinstance(answer, Mapping)}
            bad = [(step, one) for step, one in told.items() if isinstance(one, ComputeError)]
            learned = {key: value for answer in good.values() for key, value in answer.items()}
            operation = self._learn(tuple(good), learned.pop(OPERATION, None))
            if not bad:
                return _Result(operation, learned)
            if good:
                await self._cell.write(operation, learned, None, None)
                pending = {step: act for step, act in pending.items() if step not in good}
            # What failed for good ends the move, whatever else is away.
            result = await self._answer(*min(bad, key=lambda one: isinstance(one[1], Unavailable)))
            if result is not None:
                return result

    async def _one(self, step: Step, act: Call) -> Mapping[str, object] | ComputeError:
        """Make one call; its failure is an answer, for its neighbours go on."""
        operation = self._cell.operation
        what = f"undo_{step.name}" if self._undoes else step.name
        work = Work(self._cell.record, operation, self._engine.cluster)
        try:
            await self._engine.reach(operation.action, what, "before")
            learned = await self._timed(act(work), step.deadline(work.record))
            await self._engine.reach(operation.action, what, "after")
        except Cancelled:
            raise
        except ComputeError as error:
            return error
        return learned

    def _learn(self, steps: Sequence[Step], learned: object) -> OperationRecord:
        operation = journal.succeeded(self._cell.operation, steps, self._engine.clock.now())
        return operation.evolve(**learned) if isinstance(learned, Mapping) else operation

    async def on_host(self, steps: Sequence[Step], acts: Sequence[HostStep]) -> _Result:
        """Neighbouring steps on one host, in one call."""
        host_id = steps[0].at.host_of(self._cell.operation)
        if host_id is None:
            # It was never placed: there is nothing of it on any host.
            return self._all_done(steps, None, None)
        deadline = sum(step.deadline(self._cell.record) for step in steps)
        while True:
            operation = self._cell.operation
            job = HostJob(
                instance=self._cell.record,
                sequence=operation.sequence,
                steps=tuple(acts),
                grace_seconds=operation.grace_seconds,
                details=operation.details,
                saga=operation.action.value,
            )
            host = self._engine.cluster.hosts.host(host_id)
            try:
                outcome = await self._timed(
                    host.run(job), deadline + operation.grace_seconds, fenced=True
                )
            except Cancelled:
                raise
            except ComputeError as error:
                result = await self._answer(steps[0], error, host_id)
            else:
                result, steps, acts = await self._read(outcome, steps, acts, host_id)
            if result is not None:
                return result

    async def _read(
        self,
        outcome: HostOutcome,
        steps: Sequence[Step],
        acts: Sequence[HostStep],
        host_id: HostId,
    ) -> tuple[_Result | None, Sequence[Step], Sequence[HostStep]]:
        """What the host's answer means: an end, or the steps still to do."""
        error = outcome.results[-1].error if outcome.results else None
        if error is None:
            return self._all_done(steps, outcome, host_id), steps, acts
        if isinstance(error, Cancelled) and not isinstance(error, Abandoned):
            raise error
        good = len(outcome.results) - 1
        if good:
            noted = journal.succeeded(self._cell.operation, steps[:good], self._engine.clock.now())
            noted = journal.timed(noted, steps[:good], outcome.results)
            await self._cell.write(noted, {}, None, None)
            steps, acts = steps[good:], acts[good:]
        return await self._answer(steps[0], error, host_id), steps, acts

    def _all_done(
        self, steps: Sequence[Step], outcome: HostOutcome | None, host_id: HostId | None
    ) -> _Result:
        done = journal.succeeded(self._cell.operation, steps, self._engine.clock.now())
        if outcome is None:
            return _Result(done)
        # What is left of an instance on another host says nothing about the instance.
        at_home = host_id == self._cell.record.host_id
        power_state = outcome.power_state if at_home else None
        learned: dict[str, object] = {}
        if power_state is not None and outcome.results:
            learned["power_seen"] = outcome.results[-1].finished
        found = outcome.results[-1].size if outcome.results else None
        if found is not None:
            learned["size"] = kept_size(self._cell.record.flavor, found)
        return _Result(journal.timed(done, steps, outcome.results), learned, power_state)

    async def _answer(
        self, step: Step, error: ComputeError, host_id: HostId | None = None
    ) -> _Result | None:
        """What follows from an error: the end of the move, or None to try again."""
        now = self._engine.clock.now()
        operation = self._cell.operation
        if isinstance(error, Cancelled):
            return _Result(operation)  # the cancel that the host was told of turns it back
        if not isinstance(error, Unavailable) and not self._insists:
            return _Result(
                journal.failed(operation, step, _fault(operation, step, error, now), now)
            )
        waited = self._engine.clock.monotonic() - self._since
        if host_id is not None and self._leaves_it_to_the_host(step, error, waited):
            eviction = Eviction(
                host_id=host_id,
                instance=operation.instance,
                sequence=operation.sequence,
                record=self._cell.record,
            )
            steps = [
                one
                for one in self._saga.steps_of(operation)
                if one.left_to_host and one.at is step.at
            ]
            at_home = host_id == self._cell.record.host_id
            power_state = PowerState.NOSTATE if at_home else None
            return _Result(journal.succeeded(operation, steps, now), {}, power_state, eviction)
        noted = journal.waiting(operation, error.message)
        if noted is not operation:
            await self._cell.write(noted, {}, None, None)
        if not self._gives_up():
            await self._cell.pause(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return _Result(self._cell.operation) if self._gives_up() else None

    def _gives_up(self) -> bool:
        """Whether somebody has asked for an end of what is only tried again."""
        return self._cell.operation.cancel_requested and not self._insists

    def _leaves_it_to_the_host(self, step: Step, error: ComputeError, waited: float) -> bool:
        return (
            self._insists
            and not self._undoes
            and step.left_to_host
            # A host that hangs is as good as away.
            and isinstance(error, Unavailable | Expired)
            and waited >= self._engine.evict_after_seconds
        )

    async def _timed(
        self, call: Awaitable[Answer], deadline_seconds: float, *, fenced: bool = False
    ) -> Answer:
        """Wait for a call, for at most so long.

        When a newer operation cancels this run, a call to the scheduler or the network is still
        waited for: it must not act after the newer operation's own. A host's lane is a fence.
        """
        task = asyncio.ensure_future(call)
        try:
            return await asyncio.wait_for(asyncio.shield(task), deadline_seconds)
        except TimeoutError:
            task.cancel()
            raise Expired(
                f"No answer within {deadline_seconds:.0f} seconds.", "STEP_TIMED_OUT"
            ) from None
        except asyncio.CancelledError:
            if not fenced:
                await asyncio.wait({task}, timeout=_LONGEST_PAUSE_SECONDS)
            raise


def _fault(operation: OperationRecord, step: Step, error: ComputeError, now: datetime) -> Fault:
    """The error as its project may read it, with what went wrong on the hosts tried before."""
    before = operation.fault
    hosts = dict(before.hosts) if before else {}
    if isinstance(error, NoValidHost):
        hosts = {**error.metadata, **hosts}
        if before:
            # What went wrong on the hosts tried is the cause; that none is left only ends it.
            message = f"{before.message} No other host could take the instance."
            return before.evolve(message=message, hosts=hosts, created=now)
    elif (host := _name_of_host(operation, step)) is not None:
        hosts[host] = error.message
    return Fault(
        kind=error.kind.value,
        reason=error.reason,
        message=error.message,
        hosts=hosts,
        created=now,
    )


def _name_of_host(operation: OperationRecord, step: Step) -> str | None:
    if step.at is Place.FORMER and operation.former is not None:
        return operation.former.host
    return operation.host
