"""The status a client sees.

Derived, never stored (Nova: ``_STATE_MAP`` in ``api/openstack/common.py``).
"""

from typing import Final

from actors.model.instance import InstanceRecord, Status, VmState

_STATUS: Final[dict[VmState, Status]] = {
    VmState.BUILDING: Status.BUILD,
    VmState.ACTIVE: Status.ACTIVE,
    VmState.STOPPED: Status.SHUTOFF,
    VmState.ERROR: Status.ERROR,
    VmState.DELETED: Status.DELETED,
}


def status_of(record: InstanceRecord) -> Status:
    """Nova's word for what the instance is."""
    return _STATUS[record.vm_state]
