"""How an operation moves: intents before acts, one way to the end, and the same after a crash."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model.errors import Kind
from actors.model.ids import HostId
from actors.model.instance import Fault
from actors.model.operation import Action, OperationRecord, OperationState, StepState
from actors.ports.host import HostStep
from actors.sagas import journal
from actors.sagas.journal import Perform, Rest, Unwind
from actors.sagas.plans import SAGAS
from actors.sagas.saga import Place
from tests.local.records import HOST, NOW
from tests.sagas.points import sample_of

ELSEWHERE = HostId("99999999-9999-4999-8999-999999999999")


def fresh(action: Action) -> OperationRecord:
    return sample_of(action)


def fault(kind: Kind = Kind.HYPERVISOR) -> Fault:
    return Fault(kind=kind.value, reason="R", message="It failed.", created=NOW)


def test_a_boot_is_two_moves() -> None:
    """Two owners at once, then the host: its four steps travel in one call."""
    boot = SAGAS[Action.CREATE]
    now, moves = fresh(Action.CREATE), []
    while True:
        now, move = journal.advance(boot, now, NOW)
        if not isinstance(move, Perform):
            break
        moves.append([step.name for step in move.steps])
        now = journal.succeeded(now, move.steps, NOW)
    assert moves == [["claim", "ports"], ["image", "network", "disk", "domain"]]
    assert now.state is OperationState.SUCCEEDED


@pytest.mark.parametrize(
    ("former_host", "expected"),
    [
        (HOST, [["claim"], ["stop"], ["mark"], ["image", "network", "disk", "domain"]]),
        (
            ELSEWHERE,
            [["claim"], ["stop", "leave", "unplug", "flatten"], ["mark"],
             ["image", "network", "disk", "domain"]],
        ),
    ],
)  # fmt: skip
def test_steps_travel_with_those_of_their_host(
    former_host: HostId, expected: list[list[str]]
) -> None:
    saga, now = SAGAS[Action.RESIZE], sample_of(Action.RESIZE, former_host)
    moves = []
    while isinstance((made := journal.advance(saga, now, NOW))[1], Perform):
        moves.append([step.name for step in made[1].steps])
        assert len({step.at for step in made[1].steps}) == 1
        assert journal.under_way(made[0]) == set(moves[-1])
        now = journal.succeeded(made[0], made[1].steps, NOW)
    assert moves == expected


def test_a_delete_s_steps_at_two_hosts_are_two_moves() -> None:
    """Their names on the hosts are the same: what one host has done says nothing of the other."""
    saga, now = SAGAS[Action.DELETE], sample_of(Action.DELETE, ELSEWHERE)
    now, first = journal.advance(saga, now, NOW)
    assert isinstance(first, Perform)
    assert [step.at for step in first.steps] == [Place.HERE] * 3
    now, second = journal.advance(saga, journal.succeeded(now, first.steps, NOW), NOW)
    assert isinstance(second, Perform)
    assert [step.at for step in second.steps] == [Place.FORMER] * 3
    assert [step.do for step in second.steps] == [step.do for step in first.steps]


@pytest.mark.parametrize("action", list(Action))
def test_the_intent_is_noted_before_the_act(action: Action) -> None:
    begun, move = journal.advance(SAGAS[action], fresh(action), NOW)
    assert isinstance(move, Perform)
    noted = [entry.name for entry in begun.steps if entry.state is StepState.STARTED]
    assert noted == [step.name for step in move.steps]


def test_what_is_noted_already_is_not_written_again() -> None:
    begun, move = journal.advance(SAGAS[Action.STOP], fresh(Action.STOP), NOW)
    assert isinstance(move, Perform)
    done = journal.succeeded(begun, move.steps, NOW)
    assert done is not begun
    assert journal.succeeded(done, move.steps, NOW) is done
    assert journal.succeeded(done, (), NOW) is done


def test_a_cancel_counts_while_something_is_to_do_or_to_undo() -> None:
    boot, stop, delete = (SAGAS[a] for a in (Action.CREATE, Action.STOP, Action.DELETE))
    for saga, end in ((boot, OperationState.UNDOING), (stop, OperationState.SUCCEEDED)):
        now = fresh(saga.action)
        while isinstance((made := journal.advance(saga, now, NOW))[1], Perform):
            now = journal.succeeded(made[0], made[1].steps, NOW)
        begun, _ = journal.advance(saga, now.evolve(cancel_requested=True), NOW)
        assert begun.state is end
    begun, _ = journal.advance(stop, fresh(Action.STOP).evolve(cancel_requested=True), NOW)
    assert begun.state is OperationState.CANCELLED
    _, move = journal.advance(delete, fresh(Action.DELETE).evolve(cancel_requested=True), NOW)
    assert isinstance(move, Perform)


def test_a_failure_is_undone_backwards() -> None:
    boot = SAGAS[Action.CREATE]
    now, move = journal.advance(boot, fresh(Action.CREATE), NOW)
    assert isinstance(move, Perform)
    now, move = journal.advance(boot, journal.succeeded(now, move.steps, NOW), NOW)
    assert isinstance(move, Perform)
    now = journal.failed(now, move.steps[2], fault(Kind.INVALID), NOW)
    undone = []
    while True:
        now, move = journal.advance(boot, now, NOW)
        if not isinstance(move, Unwind):
            break
        undone.append([step.undo for step in move.steps if isinstance(step.undo, HostStep)])
        now = journal.succeeded(now, move.steps, NOW)
    assert undone[0] == [HostStep.ENSURE_ABSENT, HostStep.REMOVE_DISK, HostStep.REMOVE_NETWORK]
    assert len(undone) == 3
    assert (now.state, now.attempt) == (OperationState.FAILED, 1)


@given(outcomes=st.lists(st.sampled_from(["ok", "elsewhere", "final", "cancel"]), max_size=40))
def test_every_story_ends_and_every_step_of_it_is_found_again(outcomes: list[str]) -> None:
    """Whatever happens: after a crash the same move comes again, and at the end all is undone."""
    boot = SAGAS[Action.CREATE]
    story = iter([*outcomes, *["ok"] * 200])
    now, clock = fresh(Action.CREATE), NOW
    for _ in range(200):
        clock += timedelta(milliseconds=1)
        now, move = journal.advance(boot, now, clock)
        again = journal.advance(
            boot, OperationRecord.model_validate_json(now.model_dump_json()), clock
        )
        assert again == (now, move)
        if isinstance(move, Rest):
            break
        outcome = next(story)
        if outcome == "cancel":
            now = now.evolve(cancel_requested=True)
        if isinstance(move, Perform) and outcome in {"elsewhere", "final"}:
            kind = Kind.HYPERVISOR if outcome == "elsewhere" else Kind.INVALID
            now = journal.failed(now, move.steps[-1], fault(kind), clock)
        else:
            now = journal.succeeded(now, move.steps, clock)
    assert now.done
    assert now.attempt <= boot.attempts
    if now.state is not OperationState.SUCCEEDED:
        undoable = {step.name for step in boot.steps if step.undo is not None}
        left = {e.name for e in now.steps if e.state is not StepState.UNDONE} & undoable
        assert left == set()


def test_another_host_is_tried_three_times_in_all() -> None:
    boot = SAGAS[Action.CREATE]
    now = fresh(Action.CREATE)
    for _ in range(200):
        now, move = journal.advance(boot, now, NOW)
        if isinstance(move, Rest):
            break
        if isinstance(move, Perform) and isinstance(move.steps[0].do, HostStep):
            now = journal.failed(now.evolve(host_id=HOST, host="h1"), move.steps[0], fault(), NOW)
        else:
            now = journal.succeeded(now, move.steps, NOW)
    assert (now.state, now.attempt) == (OperationState.FAILED, 3)
    assert len(now.refused) == 3
