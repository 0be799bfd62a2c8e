"""Versions of an instance's guest data: what a new one takes over, which are of no use any more.

An instance has one version, one more while it is rebuilt, and one more while it is rescued.
"""

from collections.abc import Sequence

from actors.model.details import Unrescue
from actors.model.guest_data import GuestData
from actors.model.ids import OperationId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import OperationRecord


def taken_over(new: GuestData, old: GuestData | None, fields: frozenset[str]) -> GuestData:
    """The new version with these fields of the old one."""
    if old is None:
        return new
    return new.evolve(**{name: getattr(old, name) for name in fields})


def outdated(
    instance: InstanceRecord, operations: Sequence[OperationRecord]
) -> frozenset[OperationId]:
    """Keys of the versions that nobody needs once these records are written.

    Secrets are not kept longer than the guest they are for.
    """
    found: set[OperationId | None] = set()
    for operation in operations:
        if operation.done and operation.guest_data is not None:
            found |= {operation.guest_data, operation.guest_data_before}
        if operation.done and isinstance(operation.details, Unrescue) and operation.details.rescue:
            found.add(operation.details.rescue.guest_data)
    used = {instance.guest_data, instance.told}
    if instance.vm_state is VmState.DELETED:
        found |= used
    else:
        found -= used
    return frozenset(key for key in found if key is not None)
