"""The lifecycle of an instance: ``step(record, event) -> (record, effects)``.

Pure: no clock, no I/O. The InstanceActor feeds it what happens, writes the record it returns, and
carries out the effects. ``guards.ALLOWED`` says what may begin; this module says what becomes of
it.
"""

from datetime import datetime
from typing import Final, assert_never

from actors.lifecycle import edits, guards
from actors.lifecycle.before import remembered
from actors.lifecycle.events import (
    Begin,
    Edited,
    Effect,
    Interrupt,
    LifecycleEvent,
    Moved,
    OperationLost,
    PowerObserved,
    Requested,
)
from actors.lifecycle.grace import grace_of
from actors.lifecycle.live_size import check_live_size
from actors.lifecycle.sizes import check_size, former_of
from actors.lifecycle.snapshots import check_snapshots
from actors.model.commands import CloneInstance, CreateInstance, InstanceCommand
from actors.model.details import AttachVolume, Clone, Details, Reboot, Unshelve
from actors.model.edits import InstanceEdit
from actors.model.errors import Kind
from actors.model.ids import operation_id
from actors.model.instance import Fault, InstanceRecord, PowerState, TaskState, VmState
from actors.model.operation import Action, OperationRecord, OperationState

#: What the instance is busy with while an operation has not reached a step that says more.
_TASK_OF_ACTION: Final[dict[Action, TaskState]] = {
    Action.CREATE: TaskState.SPAWNING,
    Action.DELETE: TaskState.DELETING,
    Action.STOP: TaskState.POWERING_OFF,
    Action.START: TaskState.POWERING_ON,
    Action.REBOOT: TaskState.REBOOTING,
    Action.PAUSE: TaskState.PAUSING,
    Action.UNPAUSE: TaskState.UNPAUSING,
    Action.SUSPEND: TaskState.SUSPENDING,
    Action.RESUME: TaskState.RESUMING,
    Action.SOFT_DELETE: TaskState.SOFT_DELETING,
    Action.RESTORE: TaskState.RESTORING,
    Action.REBUILD: TaskState.REBUILDING,
    Action.RESCUE: TaskState.RESCUING,
    Action.UNRESCUE: TaskState.UNRESCUING,
    Action.RESIZE: TaskState.RESIZE_MIGRATING,
    Action.CONFIRM_RESIZE: TaskState.RESIZE_CONFIRMING,
    Action.REVERT_RESIZE: TaskState.RESIZE_REVERTING,
    Action.CREATE_IMAGE: TaskState.IMAGE_SNAPSHOT,
    Action.CREATE_BACKUP: TaskState.IMAGE_BACKUP,
    Action.SHELVE: TaskState.SHELVING,
    Action.SHELVE_OFFLOAD: TaskState.SHELVING_OFFLOADING,
    Action.UNSHELVE: TaskState.UNSHELVING,
    Action.ATTACH_VOLUME: TaskState.ATTACHING_VOLUME,
    Action.DETACH_VOLUME: TaskState.DETACHING_VOLUME,
    Action.TAKE_SNAPSHOT: TaskState.TAKING_SNAPSHOT,
    Action.RESTORE_SNAPSHOT: TaskState.RESTORING_SNAPSHOT,
    Action.DELETE_SNAPSHOT: TaskState.DELETING_SNAPSHOT,
    Action.CHANGE_SIZE: TaskState.CHANGING_SIZE,
}

#: Steps that Nova has a word of their own for.
_TASK_OF_STEP: Final[dict[tuple[Action, str], TaskState]] = {
    (Action.CREATE, ""): TaskState.SCHEDULING,
    (Action.CREATE, "claim"): TaskState.SCHEDULING,
    (Action.CREATE, "ports"): TaskState.NETWORKING,
    (Action.RESIZE, ""): TaskState.RESIZE_PREP,
    (Action.RESIZE, "claim"): TaskState.RESIZE_PREP,
    (Action.RESIZE, "domain"): TaskState.RESIZE_FINISH,
    (Action.CREATE_IMAGE, "upload"): TaskState.IMAGE_UPLOADING,
    (Action.SHELVE, "upload"): TaskState.SHELVING_IMAGE_UPLOADING,
}

#: The tasks that answer another delete: it is under way.
_UNDER_WAY: Final[dict[Action, tuple[TaskState, ...]]] = {
    Action.DELETE: (TaskState.DELETING,),
    Action.SOFT_DELETE: (TaskState.DELETING, TaskState.SOFT_DELETING),
}

#: What an instance is after an action that succeeded; what is not here is as it was.
_SUCCESS: Final[dict[Action, VmState]] = {
    Action.CREATE: VmState.ACTIVE,
    Action.DELETE: VmState.DELETED,
    Action.STOP: VmState.STOPPED,
    Action.START: VmState.ACTIVE,
    Action.REBOOT: VmState.ACTIVE,
    Action.PAUSE: VmState.PAUSED,
    Action.UNPAUSE: VmState.ACTIVE,
    Action.SUSPEND: VmState.SUSPENDED,
    Action.RESUME: VmState.ACTIVE,
    Action.SOFT_DELETE: VmState.SOFT_DELETED,
    Action.RESTORE: VmState.ACTIVE,
    Action.REBUILD: VmState.ACTIVE,
    Action.RESCUE: VmState.RESCUED,
    Action.UNRESCUE: VmState.ACTIVE,
    Action.RESIZE: VmState.RESIZED,
    # Or stopped: as it runs.
    Action.CONFIRM_RESIZE: VmState.ACTIVE,
    Action.REVERT_RESIZE: VmState.ACTIVE,
    Action.SHELVE: VmState.SHELVED,
    Action.SHELVE_OFFLOAD: VmState.SHELVED_OFFLOADED,
    Action.UNSHELVE: VmState.ACTIVE,
}

#: What it is instead, where there is no guest.
_NOT_RUNNING: Final[dict[Action, VmState]] = {
    Action.CONFIRM_RESIZE: VmState.STOPPED,
    Action.REVERT_RESIZE: VmState.STOPPED,
}

#: What it is after one that failed. Nova: most leave it as it was, with a fault.
_FAILURE: Final[dict[Action, VmState]] = {Action.CREATE: VmState.ERROR}

#: What a report makes of an instance that nothing is being done to. Nova pulls the plug of a guest
#: that runs against its record; somebody on the host started it on purpose: we show what is.
_SEEN: Final[dict[PowerState, VmState]] = {
    PowerState.RUNNING: VmState.ACTIVE,
    PowerState.PAUSED: VmState.PAUSED,
    PowerState.SUSPENDED: VmState.SUSPENDED,
    PowerState.SHUTDOWN: VmState.STOPPED,
    PowerState.CRASHED: VmState.STOPPED,
}
#: The states that follow what is seen; the others stand for more than a guest that runs or not.
_FOLLOWS: Final = frozenset(_SEEN.values())


def create(command: CreateInstance, at: datetime) -> tuple[InstanceRecord, OperationRecord]:
    """The first record of an instance, and the operation that boots it."""
    record = InstanceRecord(
        id=command.instance,
        project=command.project,
        user=command.user,
        name=command.name,
        request_id=command.request_id,
        task_state=TaskState.SCHEDULING,
        flavor=command.flavor,
        source=command.source,
        availability_zone=command.availability_zone,
        key_name=command.key_name,
        metadata=command.metadata,
        description=command.description,
        hostname=command.hostname,
        tags=command.tags,
        config_drive=command.config_drive,
        guest_data=operation_id(command.instance, 1) if command.guest_data else None,
        operation=operation_id(command.instance, 1),
        sequence=1,
        created=at,
        updated=at,
        since=at,
    )
    return record, OperationRecord(
        id=operation_id(command.instance, 1),
        instance=command.instance,
        sequence=1,
        project=command.project,
        user=command.user,
        action=Action.CREATE,
        request_id=command.request_id,
        wanted_host=command.host,
        wanted_cards=command.cards,
        details=_details_of(command),
        created=at,
        updated=at,
    )


def _details_of(command: CreateInstance) -> Details | None:
    if isinstance(command, CloneInstance):
        return Clone(origin=command.origin)
    if command.boot_volume is None:
        return None
    return AttachVolume(
        volume=command.boot_volume, delete_on_termination=command.delete_boot_volume
    )


def step(record: InstanceRecord, event: LifecycleEvent) -> tuple[InstanceRecord, list[Effect]]:
    """What the instance becomes, and what is to be done about it.

    The returned record has its ``generation`` raised exactly when anything about it changed.

    Raises:
        Conflict: The state, or a lock, forbids what is requested.
        Forbidden: Only an admin may.
        Invalid: It cannot have the flavor or the size that it is to have, or has no such snapshot.
        AlreadyExists, Exhausted: It has this snapshot, or as many as it may have.
        Stale: The request names a generation that has passed.
    """
    match event:
        case Requested(command, at):
            changed, effects = _requested(record, command, at)
        case Edited(edit):
            changed, effects = _edited(record, edit)
        case Moved():
            changed, effects = _moved(record, event), []
        case PowerObserved():
            changed, effects = _observed(record, event), []
        case OperationLost(at):
            changed, effects = _lost(record, at), []
        case _:
            assert_never(event)
    if changed == record:
        return record, effects
    if changed.vm_state is not record.vm_state:
        changed = changed.evolve(since=event.at)
    return changed.evolve(generation=record.generation + 1, updated=event.at), effects


def _requested(
    record: InstanceRecord, command: InstanceCommand, at: datetime
) -> tuple[InstanceRecord, list[Effect]]:
    _check_generation(record, command.generation)
    guards.check(record, command)
    check_size(record, command)
    check_live_size(record, command)
    check_snapshots(record, command)
    if command.action is Action.SOFT_DELETE and not guards.can_be_kept(record):
        command = command.evolve(action=Action.DELETE)
    if record.task_state in _UNDER_WAY.get(command.action, ()):
        return record, []  # a delete is under way already: it is the answer
    sequence = record.sequence + 1
    operation = OperationRecord(
        id=operation_id(record.id, sequence),
        instance=record.id,
        sequence=sequence,
        project=record.project,
        user=command.user,
        action=command.action,
        request_id=command.request_id,
        was=record.vm_state,
        details=remembered(record, command.details),
        former=former_of(record, command.action, sequence),
        wanted_host=command.details.host if isinstance(command.details, Unshelve) else None,
        guest_data=operation_id(record.id, sequence) if command.guest_data else None,
        guest_data_before=record.guest_data,
        host_id=record.host_id,
        host=record.host,
        grace_seconds=grace_of(record, command),
        created=at,
        updated=at,
    )
    effects: list[Effect] = []
    if record.task_state is not None and record.operation is not None:
        effects.append(Interrupt(record.operation))
    effects.append(Begin(operation))
    changed = record.evolve(
        task_state=_task_of(operation),
        operation=operation.id,
        sequence=sequence,
    )
    return changed, effects


def _edited(record: InstanceRecord, edit: InstanceEdit) -> tuple[InstanceRecord, list[Effect]]:
    changed = edits.edited(record, edit)
    if changed == record:
        return record, []  # it is so already: an edit whose answer was lost is sent again
    _check_generation(record, edit.generation)
    if record.task_state is not None and changed.task_state is None and record.operation:
        return changed, [Interrupt(record.operation)]
    return changed, []


def _check_generation(record: InstanceRecord, generation: int | None) -> None:
    if generation is not None and generation != record.generation:
        raise guards.stale(record, generation)


def _moved(record: InstanceRecord, event: Moved) -> InstanceRecord:
    operation = event.operation
    if operation.sequence != record.sequence or record.task_state is None:
        return record  # a late word of an operation that a newer one, or a reset, has ended
    if event.learned:
        record = record.evolve(**event.learned)
    if event.power_state is not None:
        record = record.evolve(power_state=event.power_state)
    if not operation.done:
        return record.evolve(task_state=_task_of(operation))
    if operation.state is OperationState.SUCCEEDED:
        # What was seen meanwhile was only noted, and nobody will tell it again.
        return _as_it_runs(_succeeded(record, operation.action, event.at))
    record = record.evolve(task_state=None, fault=operation.fault)
    if operation.action in _FAILURE:
        return record.evolve(vm_state=_FAILURE[operation.action])
    return _as_it_runs(record)


def _task_of(operation: OperationRecord) -> TaskState:
    details = operation.details
    if isinstance(details, Reboot) and details.hard:
        return TaskState.REBOOTING_HARD
    step = _TASK_OF_STEP.get((operation.action, operation.step))
    return step or _TASK_OF_ACTION[operation.action]


def _succeeded(record: InstanceRecord, action: Action, at: datetime) -> InstanceRecord:
    changed = record.evolve(
        vm_state=_SUCCESS.get(action, record.vm_state), task_state=None, fault=None
    )
    if action is Action.REBUILD and record.vm_state is VmState.STOPPED:
        # Nobody asked for it to be started.
        changed = changed.evolve(vm_state=VmState.STOPPED)
    if record.vm_state is VmState.RESIZED and record.power_state is PowerState.NOSTATE:
        # It was stopped, so nothing has been made of it where it is now.
        changed = changed.evolve(vm_state=_NOT_RUNNING.get(action, changed.vm_state))
    if action is Action.RESTORE and record.rescue is not None:
        # A delete that was taken back has not ended a rescue.
        changed = changed.evolve(vm_state=VmState.RESCUED)
    if action is Action.CREATE:
        changed = changed.evolve(launched=at)
    if action is Action.DELETE:
        changed = changed.evolve(terminated=at, power_state=PowerState.NOSTATE)
    return changed


def _observed(record: InstanceRecord, event: PowerObserved) -> InstanceRecord:
    if record.vm_state is VmState.DELETED or event.host_id != record.host_id:
        return record  # a report about what is no longer here
    if event.sequence < record.sequence:
        return record  # the host spoke before it served the newest operation
    if event.seen is not None and record.power_seen is not None and event.seen < record.power_seen:
        return record  # it was on its way while the same operation went on: stopped, then started
    changed = record.evolve(power_state=event.power_state)
    if record.task_state is not None:
        return changed  # an unfinished operation wins: only what is seen is noted
    return _as_it_runs(changed)


def _lost(record: InstanceRecord, at: datetime) -> InstanceRecord:
    if record.task_state is None:
        return record
    fault = Fault(
        kind=Kind.INTERNAL.value,
        reason="OPERATION_LOST",
        message="What was being done to the instance cannot be read any more. Look at it, or "
        "delete it.",
        created=at,
    )
    half_made = record.vm_state is VmState.BUILDING
    record = record.evolve(task_state=None, fault=fault)
    return record.evolve(vm_state=VmState.ERROR) if half_made else _as_it_runs(record)


def _as_it_runs(record: InstanceRecord) -> InstanceRecord:
    if record.vm_state not in _FOLLOWS or record.power_state not in _SEEN:
        return record
    return record.evolve(vm_state=_SEEN[record.power_state])
