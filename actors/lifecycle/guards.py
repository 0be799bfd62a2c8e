"""What may be asked in which state: one table, Nova's own.

The rows are the decorators of ``nova/compute/api.py`` (``check_instance_state``), not its
documentation, which is less exact.
"""

from dataclasses import dataclass
from typing import Final

from actors.model.errors import Conflict
from actors.model.instance import InstanceRecord, TaskState, VmState
from actors.model.operation import Action


@dataclass(frozen=True, slots=True)
class Guard:
    """The states an action may begin in."""

    vm_states: frozenset[VmState]
    #: Whether it may begin while something else is in flight.
    while_busy: bool = False
    #: Whether it must have run before (Nova: ``must_have_launched``): else it has no host.
    launched: bool = True
    #: What a caller can do instead.
    hint: str = ""


_EVERY: Final = frozenset(VmState) - {VmState.DELETED}

ALLOWED: Final[dict[Action, Guard]] = {
    # There is no instance yet: the create itself brings the record.
    Action.CREATE: Guard(frozenset(), launched=False),
    # Delete interrupts anything: a user can always get rid of what is theirs.
    Action.DELETE: Guard(_EVERY, while_busy=True, launched=False),
    # An instance in ERROR may still run; stopping it is harmless and often the way out.
    Action.STOP: Guard(
        frozenset({VmState.ACTIVE, VmState.ERROR}), hint="Only a running instance can be stopped."
    ),
    Action.START: Guard(
        frozenset({VmState.STOPPED}), hint="Only a stopped instance can be started."
    ),
}


def check(record: InstanceRecord, action: Action) -> None:
    """Let the action pass, or say why not.

    Raises:
        Conflict: The state forbids it; the sentence names action, state and what to do.
    """
    guard = ALLOWED[action]
    if record.vm_state not in guard.vm_states:
        raise _refusal(
            record, action, f"its state is {record.vm_state.value}.", guard.hint, "INVALID_STATE"
        )
    if guard.launched and record.launched is None and record.task_state is None:
        raise _refusal(
            record,
            action,
            "it has never run.",
            "Delete it and boot another.",
            "INSTANCE_NEVER_RAN",
        )
    if record.task_state is not None and not guard.while_busy:
        raise _refusal(
            record,
            action,
            f"it is busy: {_doing(record.task_state)}.",
            "Wait for that to end, or delete the instance.",
            "INSTANCE_BUSY",
        )


def _doing(task: TaskState) -> str:
    return task.value.replace("-", " ")


def _refusal(
    record: InstanceRecord, action: Action, because: str, hint: str, reason: str
) -> Conflict:
    message = f"Cannot {action.value} instance {record.id}: {because} {hint}".rstrip()
    return Conflict(
        message,
        reason,
        "",
        {
            "instance": record.id,
            "action": action.value,
            "vm_state": record.vm_state.value,
            "task_state": record.task_state.value if record.task_state else "",
        },
    )
