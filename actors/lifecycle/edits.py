"""What an edit makes of an instance's record, and when it is refused.

The rules are Nova's (``nova/compute/api.py``), but for two: a lock keeps back every edit, and no
reset stops a delete.
"""

from typing import Final, assert_never

from actors.lifecycle.guards import Asked, busy, check_lock, refusal
from actors.model.edits import (
    InstanceEdit,
    LockInstance,
    ResetState,
    UnlockInstance,
    UpdateInstance,
)
from actors.model.errors import Forbidden
from actors.model.instance import InstanceRecord, Lock, TaskState, VmState

UPDATE: Final = Asked("update", "update")
LOCK: Final = Asked("lock", "lock")
UNLOCK: Final = Asked("unlock", "unlock")
RESET: Final = Asked("resetState", "reset the state of")

#: Where metadata may change (``update_instance_metadata``); what else describes it, anywhere.
METADATA_STATES: Final = frozenset(
    {VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED}
)


def edited(record: InstanceRecord, edit: InstanceEdit) -> InstanceRecord:
    """The record as the edit makes it; the same where it is so already.

    Raises:
        Conflict: A lock or the state forbids it.
        Forbidden: Only an admin may.
    """
    match edit:
        case UpdateInstance():
            return _updated(record, edit)
        case LockInstance():
            return _locked(record, edit)
        case UnlockInstance():
            check_lock(record, UNLOCK, admin=edit.admin or not _by_admin(record))
            return record.evolve(lock=None)
        case ResetState():
            return _reset(record, edit)
        case _:
            assert_never(edit)


def _updated(record: InstanceRecord, edit: UpdateInstance) -> InstanceRecord:
    check_lock(record, UPDATE, admin=edit.admin)
    wanted = {
        "name": edit.name,
        "description": edit.description,
        "hostname": edit.hostname,
        "metadata": edit.metadata,
        "tags": edit.tags,
    }
    changes = {
        field: value
        for field, value in wanted.items()
        if value is not None and value != getattr(record, field)
    }
    if "metadata" in changes and record.vm_state not in METADATA_STATES:
        raise refusal(
            record,
            UPDATE,
            f"its state is {record.vm_state.value}.",
            "Its metadata can be changed once it is active, paused, suspended or stopped.",
            "INVALID_STATE",
        )
    return record.evolve(**changes)


def _locked(record: InstanceRecord, edit: LockInstance) -> InstanceRecord:
    if record.lock is not None and not edit.admin:
        return record  # Nova: neither a second lock nor one beside an admin's changes anything
    return record.evolve(lock=Lock(user=edit.user, by_admin=edit.admin, reason=edit.reason))


def _by_admin(record: InstanceRecord) -> bool:
    return record.lock is not None and record.lock.by_admin


def _reset(record: InstanceRecord, edit: ResetState) -> InstanceRecord:
    if not edit.admin:
        raise Forbidden(
            "Only an admin can reset the state of an instance.",
            "ROLE_MISSING",
            "",
            {"needed": "admin"},
        )
    if record.task_state is TaskState.DELETING:
        # Its disk may be gone already; and a delete always comes to its end.
        raise busy(record, RESET, "A delete always goes on to its end.")
    # What the last fault told of is over; an instance in ERROR keeps the reason it has.
    fault = None if edit.vm_state is VmState.ACTIVE else record.fault
    return record.evolve(vm_state=edit.vm_state, task_state=None, fault=fault)
