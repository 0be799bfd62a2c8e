"""How an operation moves through its saga: pure functions over its record and step log.

The intent of a step is written before it acts, its result after (steno's rule). One write carries
the result of one move and the intent of the next, so a boot is four writes, not twelve.

    RUNNING ──all steps done──▶ SUCCEEDED
       │ a step fails, or cancel
       ▼
    UNDOING ──undone; another host may do──▶ RUNNING, next attempt
       │ undone
       ▼
    FAILED | CANCELLED
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Final

from actors.model.errors import Kind
from actors.model.instance import Fault
from actors.model.operation import OperationRecord, OperationState, StepEntry, StepState
from actors.ports.host import HostStep, StepResult
from actors.sagas.saga import Place, Saga, Step


@dataclass(frozen=True, slots=True)
class Perform:
    """Do these steps: one call of ours, or neighbouring steps of the host."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Unwind:
    """Undo these steps, in this order."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing more to do: the operation has ended."""


Move = Perform | Unwind | Rest

#: Failures on one host that another host may not have.
_ELSEWHERE: Final = frozenset({Kind.HYPERVISOR, Kind.EXHAUSTED, Kind.EXPIRED, Kind.INTERNAL})

_UNDER_WAY: Final = frozenset({StepState.STARTED, StepState.UNDO_STARTED})


def advance(saga: Saga, operation: OperationRecord, now: datetime) -> tuple[OperationRecord, Move]:
    """Take an operation to its next move, with that move's intent noted in its log.

    Called again with the record it returned, it returns the same move: that is how an operation
    goes on after a crash.
    """
    if operation.done:
        return operation, Rest()
    if operation.cancel_requested and _can_turn_back(saga, operation):
        operation = _turn_back(operation, None, now)
    if operation.state is OperationState.RUNNING:
        pending = _pending(saga, operation)
        if not pending:
            return _end(operation, OperationState.SUCCEEDED, now), Rest()
        steps = _neighbours(pending, lambda step: step.do)
        return _note(operation, steps, StepState.STARTED, now), Perform(steps)
    undoable = _undoable(saga, operation)
    if undoable:
        steps = _neighbours(undoable, lambda step: step.undo)
        return _note(operation, steps, StepState.UNDO_STARTED, now), Unwind(steps)
    return _undone(saga, operation, now)


def succeeded(operation: OperationRecord, steps: Sequence[Step], now: datetime) -> OperationRecord:
    """These steps are done, or undone."""
    to = StepState.UNDONE if operation.state is OperationState.UNDOING else StepState.SUCCEEDED
    return waiting(_note(operation, steps, to, now), "")


def timed(
    operation: OperationRecord, steps: Sequence[Step], results: Sequence[StepResult]
) -> OperationRecord:
    """The log with the host's own times for steps that travelled to it together."""
    times = {step.name: result for step, result in zip(steps, results, strict=False)}
    entries = tuple(
        entry.evolve(started=times[entry.name].started, finished=times[entry.name].finished)
        if entry.attempt == operation.attempt and entry.name in times
        else entry
        for entry in operation.steps
    )
    return operation.evolve(steps=entries)


def failed(operation: OperationRecord, step: Step, fault: Fault, now: datetime) -> OperationRecord:
    """This step failed: from here on the operation is undone."""
    entries = tuple(
        entry.evolve(state=StepState.FAILED, finished=now, error=fault.message)
        if entry.name == step.name and entry.attempt == operation.attempt
        else entry
        for entry in operation.steps
    )
    operation = operation.evolve(steps=entries, waiting_for="")
    at_its_host = isinstance(step.do, HostStep) and step.at is Place.HERE
    if at_its_host and operation.host_id is not None:
        operation = operation.evolve(refused=(*operation.refused, operation.host_id))
    return _turn_back(operation, fault, now)


def only_forward(saga: Saga, operation: OperationRecord) -> bool:
    """Whether there is no way back, by the saga or because a step that commits has begun."""
    if saga.only_forward:
        return True
    commits = {step.name for step in saga.steps_of(operation) if step.commits}
    return any(
        entry.name in commits and entry.attempt == operation.attempt for entry in operation.steps
    )


def under_way(operation: OperationRecord) -> frozenset[str]:
    """The names of this attempt's steps that have begun and not ended."""
    return frozenset(
        entry.name
        for entry in operation.steps
        if entry.attempt == operation.attempt and entry.state in _UNDER_WAY
    )


def waiting(operation: OperationRecord, what: str) -> OperationRecord:
    """Say what the operation waits for; empty when it moves again."""
    return operation if operation.waiting_for == what else operation.evolve(waiting_for=what)


def _can_turn_back(saga: Saga, operation: OperationRecord) -> bool:
    """Whether a cancel comes in time: something is still to do, or can be undone."""
    return (
        operation.state is OperationState.RUNNING
        and not only_forward(saga, operation)
        and bool(_pending(saga, operation) or _undoable(saga, operation))
    )


def _turn_back(operation: OperationRecord, fault: Fault | None, now: datetime) -> OperationRecord:
    return operation.evolve(
        state=OperationState.UNDOING, fault=fault or operation.fault, updated=now
    )


def _undone(saga: Saga, operation: OperationRecord, now: datetime) -> tuple[OperationRecord, Move]:
    if operation.cancel_requested:
        return _end(operation, OperationState.CANCELLED, now), Rest()
    if _may_try_elsewhere(saga, operation):
        again = operation.evolve(
            state=OperationState.RUNNING,
            attempt=operation.attempt + 1,
            host_id=None,
            host=None,
            updated=now,
        )
        return advance(saga, again, now)
    return _end(operation, OperationState.FAILED, now), Rest()


def _may_try_elsewhere(saga: Saga, operation: OperationRecord) -> bool:
    fault = operation.fault
    return (
        fault is not None
        and operation.host_id in operation.refused
        and operation.attempt < saga.attempts
        and fault.kind in _ELSEWHERE
    )


def _end(operation: OperationRecord, state: OperationState, now: datetime) -> OperationRecord:
    fault = None if state is OperationState.SUCCEEDED else operation.fault
    return operation.evolve(state=state, fault=fault, waiting_for="", updated=now, finished=now)


def _pending(saga: Saga, operation: OperationRecord) -> list[Step]:
    done = {
        entry.name
        for entry in operation.steps
        if entry.attempt == operation.attempt and entry.state is StepState.SUCCEEDED
    }
    return [step for step in saga.steps_of(operation) if step.name not in done]


def _undoable(saga: Saga, operation: OperationRecord) -> list[Step]:
    """Steps of this attempt that may have acted and have an undo, last first."""
    touched = {
        entry.name
        for entry in operation.steps
        if entry.attempt == operation.attempt and entry.state is not StepState.UNDONE
    }
    return [
        step
        for step in reversed(saga.steps_of(operation))
        if step.name in touched and step.undo is not None
    ]


def _neighbours(steps: Sequence[Step], side: Callable[[Step], object]) -> tuple[Step, ...]:
    """The first step with those that go with it: the host's own, or those made beside it.

    A step that commits begins a move of its own: all before it must have succeeded.
    """
    first, *others = steps
    if isinstance(side(first), HostStep):
        return (first, *takewhile(lambda step: _travels(step, side, first), others))
    return (first, *takewhile(lambda step: step.beside and not step.commits, others))


def _travels(step: Step, side: Callable[[Step], object], first: Step) -> bool:
    """Whether the step can go to the host together with the first."""
    return isinstance(side(step), HostStep) and step.at is first.at and not step.commits


def _note(
    operation: OperationRecord, steps: Sequence[Step], state: StepState, now: datetime
) -> OperationRecord:
    """The log with these steps in this state. Noting what stands there already changes nothing."""
    names = {step.name for step in steps}
    ended = None if state in _UNDER_WAY else now
    entries: list[StepEntry] = []
    for entry in operation.steps:
        mine = entry.attempt == operation.attempt and entry.name in names
        if mine:
            names.discard(entry.name)
        changes = mine and entry.state is not state
        entries.append(entry.evolve(state=state, finished=ended) if changes else entry)
    entries.extend(
        StepEntry(
            name=step.name, attempt=operation.attempt, state=state, started=now, finished=ended
        )
        for step in steps
        if step.name in names
    )
    if tuple(entries) == operation.steps:
        return operation
    return operation.evolve(steps=tuple(entries), updated=now)
