"""The guard table against Nova's own (``tests/local/nova_guards.py``)."""

import itertools
from typing import Final

import pytest

from actors.lifecycle import guards
from actors.lifecycle.guards import ALLOWED
from actors.model.commands import InstanceCommand
from actors.model.details import Reboot
from actors.model.errors import Conflict, Kind
from actors.model.instance import TaskState, VmState
from actors.model.operation import Action
from tests.local.nova_guards import ANY_TASK, OURS, STATES, TASKS, expected
from tests.local.records import command, instance

ACTIONS: Final = [action for action in Action if action.value not in OURS]


def asked(action: Action) -> InstanceCommand:
    """The action; of the two reboots the hard one."""
    details = Reboot(hard=True) if action is Action.REBOOT else None
    return command(instance(), action).model_copy(update={"details": details})


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_begins_where_nova_s_begins(action: Action) -> None:
    for state, task in itertools.product(VmState, [None, *TaskState]):
        record = instance(vm_state=state, task_state=task)
        refused = expected(action.value, state, task)
        if refused is None:
            guards.check(record, asked(action))
            continue
        with pytest.raises(Conflict) as refusal:
            guards.check(record, asked(action))
        reason, why = refused
        assert (refusal.value.kind, refusal.value.reason) == (Kind.CONFLICT, reason)
        assert f"Cannot {action.words} instance {record.id}: " in refusal.value.message
        assert why in refusal.value.message


def test_a_soft_reboot_needs_a_guest_that_runs() -> None:
    for state, task in itertools.product(VmState, [None, *TaskState]):
        record = instance(vm_state=state, task_state=task)
        soft = command(record, Action.REBOOT).model_copy(update={"details": Reboot()})
        if (state, task) == (VmState.ACTIVE, None):
            guards.check(record, soft)
        else:
            with pytest.raises(Conflict):
                guards.check(record, soft)


def test_what_may_interrupt_is_few() -> None:
    assert {action.value for action in ACTIONS if ALLOWED[action].interrupts} <= set(TASKS)


def test_every_action_has_a_row_and_no_state_is_misspelt() -> None:
    assert set(ALLOWED) == set(Action)
    known = {state.value for state in VmState}
    for states in STATES.values():
        assert states <= known
    for tasks in TASKS.values():
        assert tasks <= ANY_TASK
