"""Records and batches for the store's tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.ids import (
    ImageId,
    InstanceId,
    ProjectId,
    RequestId,
    UserId,
    instance_id_for,
    operation_id,
)
from actors.model.image import BootFile, BootSource, DiskFormat
from actors.model.instance import InstanceRecord
from actors.model.operation import Action, OperationRecord, OperationState
from actors.ports.store import Batch
from actors.store.sqlite import SqliteStore
from actors.store.tables import instance_event, operation_event, put_instance, put_operation

PARTITIONS = 4
WRITER = "instances/0"
DEMO = ProjectId("demo")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)

_DISK = BootFile(
    image=ImageId("image"), sha256="a" * 64, size=1_000_000, disk_format=DiskFormat.QCOW2
)
_SOURCE = BootSource(image=ImageId("image"), image_name="cirros", disk=_DISK, virtual_size=10**8)


def instance(request: str = "request", project: ProjectId = DEMO) -> InstanceRecord:
    return InstanceRecord(
        id=instance_id_for(project, RequestId(request)),
        project=project,
        user=UserId("user"),
        name=f"vm of {request}",
        request_id=RequestId(request),
        flavor=DEFAULT_FLAVORS[0],
        source=_SOURCE,
        created=NOON,
        updated=NOON,
    )


def operation(
    of: InstanceRecord, sequence: int = 1, request: str = "", done: bool = False
) -> OperationRecord:
    created = NOON + timedelta(seconds=sequence)
    return OperationRecord(
        id=operation_id(of.id, sequence),
        instance=of.id,
        sequence=sequence,
        project=of.project,
        user=of.user,
        action=Action.CREATE,
        request_id=RequestId(request or f"{of.request_id}.{sequence}"),
        state=OperationState.SUCCEEDED if done else OperationState.RUNNING,
        created=created,
        updated=created,
    )


def batch(
    *records: InstanceRecord | OperationRecord, epoch: int = 1, writer: str = WRITER
) -> Batch:
    """The rows of these records, and an event for each."""
    puts = tuple(
        put_instance(r, PARTITIONS)
        if isinstance(r, InstanceRecord)
        else put_operation(r, PARTITIONS)
        for r in records
    )
    events = tuple(
        instance_event(r) if isinstance(r, InstanceRecord) else operation_event(r) for r in records
    )
    return Batch(writer, epoch, puts, events=events)


def flavor(name: str, key: str = "") -> Flavor:
    return DEFAULT_FLAVORS[0].evolve(id=key or name, name=name)


async def open_store(path: Path, keep_events: int = 20_000) -> SqliteStore:
    """A store in which ``WRITER`` has begun an epoch."""
    return await SqliteStore.open(path, PARTITIONS, keep_events)


async def all_instances(store: SqliteStore) -> dict[InstanceId, InstanceRecord]:
    found: dict[InstanceId, InstanceRecord] = {}
    for partition in range(PARTITIONS):
        instances, _ = await store.load_partition(partition)
        found |= {record.id: record for record in instances}
    return found
