"""Which guest data has become of no use: an instance has one version, and one more in a rebuild."""

from collections.abc import Sequence

from actors.model.ids import OperationId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import OperationRecord


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
    if instance.vm_state is VmState.DELETED:
        found.add(instance.guest_data)
    else:
        found.discard(instance.guest_data)
    return frozenset(key for key in found if key is not None)
