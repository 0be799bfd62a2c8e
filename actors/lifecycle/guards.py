"""What may be asked in which state: one table, Nova's own.

The rows are the decorators of ``nova/compute/api.py`` (``check_instance_state``), not its
documentation, which is less exact.
"""

from dataclasses import dataclass
from typing import Final

from actors.model.commands import InstanceCommand
from actors.model.details import Reboot
from actors.model.errors import Conflict, Stale
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants of an instance, for a program and as a sentence says it."""

    action: str
    words: str


_EVERY: Final = frozenset(VmState) - {VmState.DELETED}
_ACTIVE: Final = frozenset({VmState.ACTIVE})
#: What has a disk of its own, and no memory that would be lost with it.
_REMADE: Final = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR})
_PLUGGED: Final = frozenset(
    {
        VmState.ACTIVE,
        VmState.PAUSED,
        VmState.STOPPED,
        VmState.RESIZED,
        VmState.SOFT_DELETED,
        VmState.SHELVED,
        VmState.SHELVED_OFFLOADED,
    }
)
_RESIZED: Final = frozenset({VmState.RESIZED})
_HAS_A_DISK: Final = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED})

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

_NOT_CUT_OFF: Final = frozenset(
    {
        TaskState.REBUILDING,
        TaskState.RESCUING,
        TaskState.UNRESCUING,
        TaskState.RESIZE_PREP,
        TaskState.RESIZE_MIGRATING,
        TaskState.RESIZE_FINISH,
        TaskState.RESIZE_CONFIRMING,
        TaskState.RESIZE_REVERTING,
        TaskState.TAKING_SNAPSHOT,
        TaskState.RESTORING_SNAPSHOT,
        TaskState.DELETING_SNAPSHOT,
        # Its claim covers two sizes; what it is left with would not be known.
        TaskState.CHANGING_SIZE,
        TaskState.ATTACHING_VOLUME,
        TaskState.DETACHING_VOLUME,
    }
)

ALLOWED: Final[dict[Action, Guard]] = {
    # There is no instance yet: the create itself brings the record.
    Action.CREATE: Guard(frozenset(), launched=False),
    # Delete interrupts anything: a user can always get rid of what is theirs.
    Action.DELETE: Guard(_EVERY, interrupts=frozenset(TaskState), launched=False),
    # What has nothing to bring back is deleted for good instead (``can_be_kept``).
    # What is between two disks, or two sizes, is not interrupted: a restore would find it half-way.
    Action.SOFT_DELETE: Guard(
        _EVERY, interrupts=frozenset(TaskState) - _NOT_CUT_OFF, launched=False
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
        hint="Only an instance with a guest of its own can be rebooted.",
    ),
    Action.PAUSE: Guard(_ACTIVE, hint="Only a running instance can be paused."),
    Action.UNPAUSE: Guard(
        frozenset({VmState.PAUSED}), hint="Only a paused instance can be unpaused."
    ),
    Action.SUSPEND: Guard(_ACTIVE, hint="Only a running instance can be suspended."),
    Action.RESUME: Guard(
        frozenset({VmState.SUSPENDED}), hint="Only a suspended instance can be resumed."
    ),
    # Of what is in ERROR the disk may be half-written: to make it anew is the way out.
    Action.REBUILD: Guard(
        _REMADE, hint="Only an instance that runs, is stopped or is in error can be rebuilt."
    ),
    Action.RESCUE: Guard(
        _REMADE, hint="Only an instance that runs, is stopped or is in error can be rescued."
    ),
    Action.UNRESCUE: Guard(
        frozenset({VmState.RESCUED}), hint="Only a rescued instance can be unrescued."
    ),
    Action.RESIZE: Guard(
        frozenset({VmState.ACTIVE, VmState.STOPPED}),
        hint="Only an instance that runs or is stopped can be resized.",
    ),
    # Nova has no such action. A guest that stands still gives no memory back.
    Action.CHANGE_SIZE: Guard(
        _ACTIVE, hint="Only a running instance can be given another size like this; resize others."
    ),
    Action.CONFIRM_RESIZE: Guard(_RESIZED, hint="There is no resize to confirm."),
    Action.REVERT_RESIZE: Guard(_RESIZED, hint="There is no resize to revert."),
    Action.CREATE_IMAGE: Guard(_HAS_A_DISK),
    Action.CREATE_BACKUP: Guard(_HAS_A_DISK),
    Action.SHELVE: Guard(_HAS_A_DISK),
    Action.SHELVE_OFFLOAD: Guard(
        frozenset({VmState.SHELVED}), hint="Only a shelved instance can be offloaded."
    ),
    Action.UNSHELVE: Guard(
        frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED}),
        hint="Only a shelved instance can be unshelved.",
    ),
    Action.ATTACH_VOLUME: Guard(_PLUGGED, hint="Stop it or start it first."),
    Action.DETACH_VOLUME: Guard(_PLUGGED, hint="Stop it or start it first."),
    # Nova has none of these. What is suspended has half of what it is in its memory.
    Action.TAKE_SNAPSHOT: Guard(
        frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED}),
        hint="Only of an instance that runs, is paused or is stopped a snapshot can be taken.",
    ),
    Action.RESTORE_SNAPSHOT: Guard(
        frozenset({VmState.ACTIVE, VmState.STOPPED}),
        hint="Only of an instance that runs or is stopped a snapshot can be restored.",
    ),
    Action.DELETE_SNAPSHOT: Guard(
        frozenset(
            {
                VmState.ACTIVE,
                VmState.STOPPED,
                VmState.PAUSED,
                VmState.SUSPENDED,
                VmState.RESCUED,
                VmState.ERROR,
            }
        )
    ),
}

#: What is about the disk that an instance is made with. Of one that boots from a volume there is
#: none. Nova refuses a backup of it, too, and a rebuild up to microversion 2.92; its image of one
#: is a set of snapshots of volumes.
_OF_THE_OWN_DISK: Final = frozenset(
    {
        Action.REBUILD,
        Action.CREATE_IMAGE,
        Action.CREATE_BACKUP,
        Action.TAKE_SNAPSHOT,
    }
)

#: What begins from the one size that an instance has.
_NEEDS_ONE_SIZE: Final = frozenset({Action.RESIZE, Action.CHANGE_SIZE})

#: A soft reboot asks the guest, so there must be one that runs (Nova: ``_soft_reboot``).
REBOOT_SOFT: Final = Guard(
    _ACTIVE, hint="Only a running instance can be rebooted softly. A hard reboot may do."
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
    guard, what = guard_of(command), Asked(command.action.value, command.action.words)
    check_lock(record, what, admin=command.admin)
    if record.vm_state not in guard.vm_states:
        raise refusal(
            record, what, f"its state is {record.vm_state.value}.", guard.hint, "INVALID_STATE"
        )
    if command.action in _NEEDS_ONE_SIZE and record.former is not None:
        # Somebody has reset its state: nobody knows any more which of its disks is the right one.
        raise refusal(
            record, what, "its last resize never ended.", "Delete it.", "RESIZE_UNSETTLED"
        )
    if command.action in _OF_THE_OWN_DISK:
        check_disk(record, what)
    if guard.launched and record.launched is None and record.task_state is None:
        raise refusal(
            record, what, "it has never run.", "Delete it and boot another.", "INSTANCE_NEVER_RAN"
        )
    if record.task_state is not None and record.task_state not in guard.interrupts:
        instead = "force the delete" if command.action is Action.SOFT_DELETE else "delete it"
        raise busy(record, what, f"Wait for that to end, or {instead}.")


#: What has a disk of its own on a host, with nothing in memory that belongs to it alone. Nova has
#: no clone; what it copies while a guest runs, it copies in these states.
_CLONED: Final = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED})


def check_cloned(record: InstanceRecord, generation: int | None) -> None:
    """Let an instance be cloned as it is now. A lock is no hindrance: nothing of it changes.

    Raises:
        Conflict: Its state forbids it, or something is being done to it.
        Stale: It is not what the caller saw.
    """
    if generation is not None and generation != record.generation:
        raise stale(record, generation)
    what = Asked("clone", "clone")
    if record.vm_state not in _CLONED:
        raise refusal(
            record,
            what,
            f"its state is {record.vm_state.value}.",
            "Only an instance that runs, is paused or is stopped can be cloned.",
            "INVALID_STATE",
        )
    if record.task_state is not None:
        raise busy(record, what, "Wait for that to end.")
    check_disk(record, what)


def check_disk(record: InstanceRecord, what: Asked) -> None:
    """Let what has a root disk of its own pass.

    Raises:
        Conflict: It boots from a volume.
    """
    if record.boots_from_volume:
        raise refusal(
            record,
            what,
            "it boots from a volume.",
            "Take a snapshot of the volume, and boot from a volume that begins as it.",
            "INSTANCE_BOOTS_FROM_VOLUME",
        )


def can_be_kept(record: InstanceRecord) -> bool:
    """Whether a delete leaves something that can be restored.

    Nova deletes for good what has never run, too (``servers.py``: ``_delete``). What is shelved has
    no disk that a restore could start; what is in the middle of a resize has half of two.
    """
    if record.launched is None or record.host_id is None or record.shelved is not None:
        return False
    return record.former is None or (
        record.vm_state is VmState.RESIZED and record.task_state is None
    )


def check_lock(record: InstanceRecord, what: Asked, *, admin: bool) -> None:
    """Let admins pass, and everybody where there is no lock.

    Raises:
        Conflict: ``INSTANCE_LOCKED``; the sentence says why it was locked.
    """
    lock = record.lock
    if lock is None or admin:
        return
    because = f" ({lock.reason})" if lock.reason else ""
    hint = "Only an admin can unlock it." if lock.by_admin else "Unlock it first."
    raise refusal(record, what, f"it is locked{because}.", hint, "INSTANCE_LOCKED")


def busy(record: InstanceRecord, what: Asked, hint: str) -> Conflict:
    """Why something has to wait for what is being done to the instance."""
    doing = record.task_state.value.replace("-", " ").replace("_", " ") if record.task_state else ""
    return refusal(record, what, f"it is busy: {doing}.", hint, "INSTANCE_BUSY")


def stale(record: InstanceRecord, generation: int) -> Stale:
    """Why a caller who saw another generation has to look again."""
    return Stale(
        f"Instance {record.id} has changed since you read it. Read it again and repeat.",
        "ETAG_MISMATCH",
        f"asked for generation {generation}, have {record.generation}",
    )


def refusal(record: InstanceRecord, what: Asked, because: str, hint: str, reason: str) -> Conflict:
    """The one form of a refusal: what, which, why, and what to do instead."""
    message = f"Cannot {what.words} instance {record.id}: {because} {hint}".rstrip()
    return Conflict(
        message,
        reason,
        "",
        {
            "instance": record.id,
            "action": what.action,
            "vm_state": record.vm_state.value,
            "task_state": record.task_state.value if record.task_state else "",
        },
    )
