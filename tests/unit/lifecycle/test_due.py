"""What happens by itself: when, in order, and not to what is busy."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.lifecycle.due import Agenda, Due, Policy, due
from actors.model.ids import InstanceId
from actors.model.instance import TaskState, VmState
from actors.model.operation import Action
from tests.local.records import INSTANCE, NOW, instance

HOUR = Policy(reclaim_seconds=3600.0)


def at(seconds: int, name: str = "a") -> Due:
    return Due(NOW + timedelta(seconds=seconds), InstanceId(name), Action.DELETE)


def test_what_is_soft_deleted_is_reclaimed() -> None:
    kept = instance(vm_state=VmState.SOFT_DELETED, since=NOW, updated=NOW + timedelta(hours=3))
    wanted = Due(NOW + timedelta(hours=1), INSTANCE, Action.DELETE)
    assert due(kept, HOUR) == wanted
    assert due(kept, Policy()) is None
    # Written by a release that did not know ``since``.
    assert due(kept.evolve(since=None, updated=NOW), HOUR) == wanted


def test_what_is_shelved_leaves_its_host() -> None:
    kept = instance(vm_state=VmState.SHELVED, since=NOW)
    assert due(kept, Policy()) is None
    assert due(kept, Policy(offload_seconds=0.0)) == Due(NOW, INSTANCE, Action.SHELVE_OFFLOAD)
    later = Due(NOW + timedelta(seconds=9), INSTANCE, Action.SHELVE_OFFLOAD)
    assert due(kept, Policy(offload_seconds=9.0)) == later


def test_what_was_resized_is_confirmed() -> None:
    resized = instance(vm_state=VmState.RESIZED, since=NOW)
    assert due(resized, Policy()) is None
    assert due(resized, Policy(confirm_seconds=60.0)) == Due(
        NOW + timedelta(seconds=60), INSTANCE, Action.CONFIRM_RESIZE
    )


def test_nothing_is_due_to_what_is_busy_or_was_not_deleted() -> None:
    for task in TaskState:
        busy = instance(vm_state=VmState.SOFT_DELETED, since=NOW, task_state=task)
        assert due(busy, HOUR) is None
    for state in VmState:
        assert (due(instance(vm_state=state), HOUR) is None) == (state is not VmState.SOFT_DELETED)


def test_an_agenda_gives_what_is_due_once() -> None:
    agenda = Agenda()
    agenda.put(InstanceId("a"), at(10))
    agenda.put(InstanceId("b"), at(5, "b"))
    assert agenda.take(NOW, 9) == []
    assert agenda.take(NOW + timedelta(seconds=10), 1) == [at(5, "b")]
    assert agenda.take(NOW + timedelta(seconds=10), 9) == [at(10)]
    assert agenda.take(NOW + timedelta(seconds=99), 9) == []


@given(
    puts=st.lists(
        st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 9))), max_size=30
    ),
    now=st.integers(0, 9),
)
def test_an_agenda_holds_what_was_put_last(puts: list[tuple[str, int | None]], now: int) -> None:
    agenda, model = Agenda(), dict[str, int]()
    for name, seconds in puts:
        agenda.put(InstanceId(name), None if seconds is None else at(seconds, name))
        model.pop(name, None)
        if seconds is not None:
            model[name] = seconds
    assert len(agenda) == len(model)
    wanted = sorted((seconds, name) for name, seconds in model.items() if seconds <= now)
    taken = agenda.take(NOW + timedelta(seconds=now), 99)
    assert [(one.at, one.instance) for one in taken] == [
        (at(seconds, name).at, name) for seconds, name in wanted
    ]
    assert len(agenda) == len(model) - len(wanted)
