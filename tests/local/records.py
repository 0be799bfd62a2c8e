"""Records to test with."""

from datetime import UTC, datetime

from actors.model.commands import InstanceCommand
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.ids import (
    HostId,
    ImageId,
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    UserId,
    operation_id,
)
from actors.model.image import BootFile, BootSource, DiskFormat
from actors.model.instance import InstanceRecord, PowerState, VmState
from actors.model.operation import Action, OperationRecord

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOST = HostId("44444444-4444-4444-8444-444444444444")
INSTANCE = InstanceId("381f0bec-3c55-5baa-adba-265d5f2a1c7e")

_DISK = BootFile(
    image=ImageId("11111111-1111-4111-8111-111111111111"),
    sha256="0" * 64,
    size=1024,
    disk_format=DiskFormat.QCOW2,
)
SOURCE = BootSource(image=_DISK.image, image_name="cirros", disk=_DISK, virtual_size=1 << 20)


def instance(**changes: object) -> InstanceRecord:
    """An ACTIVE instance on HOST that has seen one operation, changed as asked."""
    return InstanceRecord(
        id=INSTANCE,
        project=ProjectId("p1"),
        user=UserId("alice"),
        name="vm",
        request_id=RequestId("r1"),
        generation=4,
        vm_state=VmState.ACTIVE,
        power_state=PowerState.RUNNING,
        flavor=DEFAULT_FLAVORS[0],
        source=SOURCE,
        host_id=HOST,
        host="h1",
        operation=OperationId(f"{INSTANCE}.1"),
        sequence=1,
        created=NOW,
        updated=NOW,
        launched=NOW,
    ).evolve(**changes)


def command(record: InstanceRecord, action: Action) -> InstanceCommand:
    """A command for this instance."""
    return InstanceCommand(
        instance=record.id,
        project=record.project,
        user=record.user,
        request_id=RequestId(f"{action.value}-1"),
        action=action,
    )


def operation(record: InstanceRecord, action: Action, **changes: object) -> OperationRecord:
    """The instance's operation under way."""
    return OperationRecord(
        id=operation_id(record.id, record.sequence),
        instance=record.id,
        sequence=record.sequence,
        project=record.project,
        user=record.user,
        action=action,
        request_id=record.request_id,
        host_id=record.host_id,
        host=record.host,
        created=NOW,
        updated=NOW,
    ).evolve(**changes)
