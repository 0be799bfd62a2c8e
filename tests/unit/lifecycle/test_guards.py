"""The guard table against Nova's own, written down a second time.

The rows are the decorators of ``nova/compute/api.py`` (``check_instance_state``), copied from there
by hand and not from ``actors.lifecycle.guards``. Actions that are not served yet stand here too:
they are checked as soon as there is an ``Action`` of that name.
"""

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
from tests.local.records import command, instance

EVERY: Final = frozenset(state.value for state in VmState) - {"deleted"}
ANY_TASK: Final = frozenset(task.value for task in TaskState)
WITH_A_DISK: Final = {"active", "stopped", "paused", "suspended"}
WITH_VOLUMES: Final = {
    "active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded"
}  # fmt: skip

#: Nova's states by its name of the action (``instance_actions.py``).
STATES: Final[dict[str, set[str] | frozenset[str]]] = {
    "create": set(),
    "delete": EVERY,
    "softDelete": EVERY,
    "restore": {"soft-delete"},
    "stop": {"active", "error"},
    "start": {"stopped"},
    "reboot": {"active", "stopped", "paused", "suspended", "error"},
    "pause": {"active"},
    "unpause": {"paused"},
    "suspend": {"active"},
    "resume": {"suspended"},
    "rescue": {"active", "stopped", "error"},
    "unrescue": {"rescued"},
    "rebuild": {"active", "stopped", "error"},
    "resize": {"active", "stopped"},
    "migrate": {"active", "stopped"},
    "confirmResize": {"resized"},
    "revertResize": {"resized"},
    "live-migration": {"active", "paused"},
    "evacuate": {"active", "stopped", "error"},
    "shelve": WITH_A_DISK,
    "shelveOffload": {"shelved"},
    "unshelve": {"shelved", "shelved_offloaded"},
    "createImage": WITH_A_DISK,
    "createBackup": WITH_A_DISK,
    "changePassword": {"active"},
    "attach_volume": WITH_VOLUMES,
    "detach_volume": WITH_VOLUMES,
    "swap_volume": {"active", "paused", "resized"},
    "attach_interface": {"active", "paused", "stopped"},
    "detach_interface": {"active", "paused", "stopped"},
    "trigger_crash_dump": {"active", "paused", "rescued", "resized", "error"},
}

#: What may be in flight besides nothing. Nova's words for the stages of a reboot are one of ours
#: (``reboot_pending``, ``reboot_started``: ``rebooting``).
TASKS: Final[dict[str, set[str] | frozenset[str]]] = {
    "delete": ANY_TASK,
    "softDelete": ANY_TASK,
    "reboot": {
        "rebooting",
        "rebooting_hard",
        "pausing",
        "unpausing",
        "suspending",
        "resuming",
    },
    "evacuate": ANY_TASK,
}

#: Where we let an action begin in more states than Nova, or in fewer, and why.
DIFFERS: Final[dict[str, set[str]]] = {}

#: Nova has no such action.
OURS: Final = {
    "clone",
    "take_snapshot",
    "restore_snapshot",
    "delete_snapshot",
    "change_size",
}

ACTIONS: Final = [action for action in Action if action.value not in OURS]


def asked(action: Action) -> InstanceCommand:
    """The action; of the two reboots the hard one."""
    details = Reboot(hard=True) if action is Action.REBOOT else None
    return command(instance(), action).model_copy(update={"details": details})


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_begins_where_nova_s_begins(action: Action) -> None:
    states = STATES[action.value] ^ DIFFERS.get(action.value, set())
    tasks = TASKS.get(action.value, set())
    for state, task in itertools.product(VmState, [None, *TaskState]):
        record = instance(vm_state=state, task_state=task)
        if state.value not in states:
            reason, why = "INVALID_STATE", state.value
        elif task is not None and task.value not in tasks:
            reason, why = "INSTANCE_BUSY", task.value.replace("-", " ").replace("_", " ")
        else:
            guards.check(record, asked(action))
            continue
        with pytest.raises(Conflict) as refusal:
            guards.check(record, asked(action))
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
