"""The status a client sees.

Derived, never stored (Nova: ``_STATE_MAP`` in ``api/openstack/common.py``).
"""

from typing import Final

from actors.model.instance import InstanceRecord, Status, TaskState, VmState

_STATUS: Final[dict[VmState, Status]] = {
    VmState.BUILDING: Status.BUILD,
    VmState.ACTIVE: Status.ACTIVE,
    VmState.STOPPED: Status.SHUTOFF,
    VmState.ERROR: Status.ERROR,
    VmState.DELETED: Status.DELETED,
    VmState.PAUSED: Status.PAUSED,
    VmState.SUSPENDED: Status.SUSPENDED,
    VmState.RESCUED: Status.RESCUE,
    VmState.RESIZED: Status.VERIFY_RESIZE,
    VmState.SOFT_DELETED: Status.SOFT_DELETED,
    VmState.SHELVED: Status.SHELVED,
    VmState.SHELVED_OFFLOADED: Status.SHELVED_OFFLOADED,
}

_RESIZING: Final = {
    TaskState.RESIZE_PREP: Status.RESIZE,
    TaskState.RESIZE_MIGRATING: Status.RESIZE,
    TaskState.RESIZE_FINISH: Status.RESIZE,
}

#: Where what is being done shows.
_WHILE: Final[dict[VmState, dict[TaskState, Status]]] = {
    VmState.ACTIVE: {
        TaskState.REBOOTING: Status.REBOOT,
        TaskState.REBOOTING_HARD: Status.HARD_REBOOT,
        TaskState.REBUILDING: Status.REBUILD,
        TaskState.UPDATING_PASSWORD: Status.PASSWORD,
        TaskState.MIGRATING: Status.MIGRATING,
        **_RESIZING,
    },
    VmState.STOPPED: {TaskState.REBUILDING: Status.REBUILD, **_RESIZING},
    VmState.ERROR: {TaskState.REBUILDING: Status.REBUILD},
    VmState.PAUSED: {TaskState.MIGRATING: Status.MIGRATING},
    VmState.RESIZED: {TaskState.RESIZE_REVERTING: Status.REVERT_RESIZE},
}


def status_of(record: InstanceRecord) -> Status:
    """Nova's word for what the instance is, or what is being done to it."""
    return status(record.vm_state, record.task_state)


def status(vm_state: VmState, task_state: TaskState | None) -> Status:
    """The same, of the two axes alone."""
    if task_state is not None:
        shown = _WHILE.get(vm_state, {}).get(task_state)
        if shown is not None:
            return shown
    return _STATUS[vm_state]
