"""Names of things: typed ids, and how an instance finds its partition.

An operation's id is its instance's id and a sequence number (``<uuid>.<n>``): it tells which
actor owns it without a look-up, and hosts use the number as a fence (an older operation's late
call is refused).
"""

import uuid
import zlib
from typing import NewType

InstanceId = NewType("InstanceId", str)
OperationId = NewType("OperationId", str)
ProjectId = NewType("ProjectId", str)
UserId = NewType("UserId", str)
RequestId = NewType("RequestId", str)
HostId = NewType("HostId", str)
ImageId = NewType("ImageId", str)
FlavorId = NewType("FlavorId", str)
NetworkId = NewType("NetworkId", str)
PortId = NewType("PortId", str)
SecurityGroupId = NewType("SecurityGroupId", str)
RouterId = NewType("RouterId", str)
VolumeId = NewType("VolumeId", str)
SnapshotId = NewType("SnapshotId", str)

_NAMESPACE = uuid.UUID("6d1f5c0e-8a53-5f0c-9a1e-6e6f76617261")


def instance_id_for(project: ProjectId, request_id: RequestId) -> InstanceId:
    """The id of the instance that this request creates, and that it names ever after.

    RFC 4122 version 5. A retried create therefore reaches the same partition and finds its first
    try.
    """
    return InstanceId(str(uuid.uuid5(_NAMESPACE, f"{project}/{request_id}")))


def image_id_for(project: ProjectId, request_id: RequestId) -> ImageId:
    """The id of the image that this request makes: a retried create finds its first try."""
    return ImageId(str(uuid.uuid5(_NAMESPACE, f"images/{project}/{request_id}")))


def layer_id_for(project: ProjectId, request_id: RequestId) -> str:
    """What a host knows the snapshot by that this request takes: a UUID."""
    return str(uuid.uuid5(_NAMESPACE, f"layers/{project}/{request_id}"))


def instance_image_id_for(project: ProjectId, request_id: RequestId) -> ImageId:
    """The id of the image that this request makes of an instance.

    Not that of an upload with the same request id: one that fails removes its image.
    """
    return ImageId(str(uuid.uuid5(_NAMESPACE, f"instance images/{project}/{request_id}")))


def flavor_id_for(request_id: RequestId) -> FlavorId:
    """The id of the flavor that this request creates where its caller chose none: a UUID.

    As with instances: a retried create finds its first try.
    """
    return FlavorId(str(uuid.uuid5(_NAMESPACE, f"flavor/{request_id}")))


def due_request_id(instance: InstanceId, sequence: int) -> RequestId:
    """The request of what an instance begins by itself behind its n-th operation.

    No UUID: a client that could send it first would keep what is due from ever happening.
    """
    return RequestId(f"due-{instance}.{sequence}")


def partition_of(instance: InstanceId, partitions: int) -> int:
    """The partition (0 … partitions-1) whose InstanceActor owns this instance."""
    return zlib.crc32(instance.encode()) % partitions


def operation_id(instance: InstanceId, sequence: int) -> OperationId:
    """The id of an instance's n-th operation, counted from 1."""
    return OperationId(f"{instance}.{sequence}")


def split_operation_id(operation: OperationId) -> tuple[InstanceId, int]:
    """The instance and sequence number of an operation id.

    Raises:
        ValueError: The text is no operation id.
    """
    instance, dot, sequence = operation.rpartition(".")
    if not dot or not sequence.isdecimal():
        raise ValueError(operation)
    return InstanceId(instance), int(sequence)


def volume_id_for(project: ProjectId, request_id: RequestId) -> VolumeId:
    """The id of the volume that this request makes: a retried create finds its first try."""
    return VolumeId(str(uuid.uuid5(_NAMESPACE, f"volumes/{project}/{request_id}")))


def snapshot_id_for(project: ProjectId, request_id: RequestId) -> SnapshotId:
    """The id of the volume snapshot that this request makes."""
    return SnapshotId(str(uuid.uuid5(_NAMESPACE, f"snapshots/{project}/{request_id}")))


def network_id_for(project: ProjectId, request_id: RequestId) -> NetworkId:
    """The id of the network that this request makes: a retried create finds its first try."""
    return NetworkId(str(uuid.uuid5(_NAMESPACE, f"networks/{project}/{request_id}")))
