"""What may be asked in which state: one table, Nova's own.

The rows are the decorators of ``nova/compute/api.py`` (``check_instance_state``), not its
documentation, which is less exact.
"""

from dataclasses import dataclass
from typing import Final

from actors.model.commands import InstanceCommand
from actors.model.details import Reboot
from actors.model.errors import Conflict
from actors.model.instance import InstanceRecord, TaskState, VmState
from actors.model.operation import Action


@dataclass(frozen=True, slots=True)
class Guard:
    """The states an action may begin in."""

    vm_states: frozenset[VmState]
    #: What may be in flight when it begins: it interrupts that.
    interrupts: frozenset[TaskState] = frozenset()
    #: Whether it must have run before (Nova: ``must_have_launched``): else it has no host.
    launched: bool = True
    #: What a caller can do instead.
    hint: str = ""


_EVERY: Final = frozenset(VmState) - {VmState.DELETED}
_ACTIVE: Final = frozenset({VmState.ACTIVE})

#: A hard reboot is the way out of these, should a guest or its QEMU hang.
_REBOOTED_OUT_OF: Final = frozenset(
    {
        TaskState.REBOOTING,
        TaskState.REBOOTING_HARD,
        TaskState.PAUSING,
        TaskState.UNPAUSING,
        TaskState.SUSPENDING,
        TaskState.RESUMING,
    }
)

ALLOWED: Final[dict[Action, Guard]] = {
    # There is no instance yet: the create itself brings the record.
    Action.CREATE: Guard(frozenset(), launched=False),
    # Delete interrupts anything: a user can always get rid of what is theirs.
    Action.DELETE: Guard(_EVERY, interrupts=frozenset(TaskState), launched=False),
    Action.SOFT_DELETE: Guard(
        _EVERY - {VmState.SOFT_DELETED}, interrupts=frozenset(TaskState), launched=False
    ),
    Action.RESTORE: Guard(
        frozenset({VmState.SOFT_DELETED}),
        launched=False,
        hint="Only an instance that was deleted and not yet reclaimed can be restored.",
    ),
    # An instance in ERROR may still run; stopping it is harmless and often the way out.
    Action.STOP: Guard(
        frozenset({VmState.ACTIVE, VmState.ERROR}), hint="Only a running instance can be stopped."
    ),
    Action.START: Guard(
        frozenset({VmState.STOPPED}), hint="Only a stopped instance can be started."
    ),
    # A hard one; ``REBOOT_SOFT`` is the rule of a soft one.
    Action.REBOOT: Guard(
        frozenset(
            {
                VmState.ACTIVE,
                VmState.STOPPED,
                VmState.PAUSED,
                VmState.SUSPENDED,
                VmState.ERROR,
            }
        ),
        interrupts=_REBOOTED_OUT_OF,
        hint="Start it, or rebuild it.",
    ),
    Action.PAUSE: Guard(_ACTIVE, hint="Only a running instance can be paused."),
    Action.UNPAUSE: Guard(
        frozenset({VmState.PAUSED}), hint="Only a paused instance can be unpaused."
    ),
    Action.SUSPEND: Guard(_ACTIVE, hint="Only a running instance can be suspended."),
    Action.RESUME: Guard(
        frozenset({VmState.SUSPENDED}), hint="Only a suspended instance can be resumed."
    ),
}

#: A soft reboot asks the guest, so there must be one that runs (Nova: ``_soft_reboot``).
REBOOT_SOFT: Final = Guard(
    _ACTIVE, hint="Only a running instance can be rebooted softly; reboot it with --hard."
)


def guard_of(command: InstanceCommand) -> Guard:
    """The row of the table for this command."""
    details = command.details
    if command.action is Action.REBOOT and not (isinstance(details, Reboot) and details.hard):
        return REBOOT_SOFT
    return ALLOWED[command.action]


def check(record: InstanceRecord, command: InstanceCommand) -> None:
    """Let the command pass, or say why not.

    Raises:
        Conflict: A lock or the state forbids it; the sentence names action, state and what to do.
    """
    action, guard = command.action, guard_of(command)
    if record.lock is not None and not command.admin:
        because = f" ({record.lock.reason})" if record.lock.reason else ""
        raise _refusal(
            record, action, f"it is locked{because}.", "Unlock it first.", "INSTANCE_LOCKED"
        )
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
    if record.task_state is not None and record.task_state not in guard.interrupts:
        raise _refusal(
            record,
            action,
            f"it is busy: {_doing(record.task_state)}.",
            "Wait for that to end, or delete the instance.",
            "INSTANCE_BUSY",
        )


def _doing(task: TaskState) -> str:
    return task.value.replace("-", " ").replace("_", " ")


def _refusal(
    record: InstanceRecord, action: Action, because: str, hint: str, reason: str
) -> Conflict:
    message = f"Cannot {action.words} instance {record.id}: {because} {hint}".rstrip()
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
