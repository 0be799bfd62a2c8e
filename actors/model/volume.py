"""Volumes: disks that outlive instances (Cinder's record, in short)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from actors.model.base import Instant, Record, StoredRecord
from actors.model.ids import (
    HostId,
    InstanceId,
    ProjectId,
    RequestId,
    SnapshotId,
    UserId,
    VolumeId,
)
from actors.model.image import BootSource
from actors.model.labels import Description, InstanceName, Metadata

#: GiB: as large as Cinder's largest by default.
SIZE_LIMIT = 16_384

#: Of one project, volumes and snapshots each: their owner holds all in memory.
VOLUME_LIMIT = 1000

VolumeSize = Annotated[int, Field(ge=1, le=SIZE_LIMIT)]


class VolumeStatus(StrEnum):
    """Cinder's words."""

    AVAILABLE = "available"
    ATTACHING = "attaching"
    IN_USE = "in-use"
    DETACHING = "detaching"
    #: In use, and to become larger. Never stored: ``Volume.shown``.
    EXTENDING = "extending"
    #: Its host removes the bytes; then it is gone.
    DELETING = "deleting"


class SnapshotStatus(StrEnum):
    """Cinder's words."""

    #: The volume's host copies the bytes.
    CREATING = "creating"
    AVAILABLE = "available"
    #: Its host removes the bytes; then it is gone.
    DELETING = "deleting"


class Attachment(StoredRecord):
    """Which instance has it."""

    instance: InstanceId
    #: Number and attempt of the operation that attaches or detaches it: an older one's word is
    #: late.
    sequence: int
    attempt: int = 1
    since: Instant


class Released(StoredRecord):
    """Which instance gave it back last, and with which operation: what is older comes too late."""

    instance: InstanceId
    sequence: int
    attempt: int = 1


class Volume(StoredRecord):
    """One volume. The VolumeActor is its only writer.

    Its bytes lie on one host, where they are made when it is first attached.
    """

    id: VolumeId
    project: ProjectId
    user: UserId
    name: str = ""
    description: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    size_gb: int = Field(ge=1)
    status: VolumeStatus = VolumeStatus.AVAILABLE
    #: The image that its bytes begin as, and with which an instance may boot from it.
    source: BootSource | None = None
    #: The snapshot that they begin as. None of both: they begin as nothing.
    snapshot: SnapshotId | None = None
    #: The bytes are there: what they began as is needed no more.
    made: bool = False
    #: Where its bytes lie; None while there are none.
    host_id: HostId | None = None
    host: str | None = None
    #: They lie in a folder that all hosts have: ``host_id`` is the host that had it last.
    shared: bool = False
    attachment: Attachment | None = None
    released: Released | None = None
    #: It is attached, and has been asked to grow: its host makes bytes and guest follow.
    growing: bool = False
    created: Instant
    generation: int = 1

    @property
    def shown(self) -> VolumeStatus:
        """What a client sees."""
        grows = self.growing and self.status is VolumeStatus.IN_USE
        return VolumeStatus.EXTENDING if grows else self.status


class VolumeSnapshot(StoredRecord):
    """A volume as it was at one moment. Its bytes lie where the volume's do."""

    id: SnapshotId
    volume: VolumeId
    project: ProjectId
    name: str = ""
    description: str = ""
    size_gb: int
    #: The image that the volume began as: a volume from the snapshot can be booted from as well.
    source: BootSource | None = None
    status: SnapshotStatus = SnapshotStatus.CREATING
    #: Where its bytes lie; None where the volume had none.
    host_id: HostId | None = None
    host: str | None = None
    shared: bool = False
    created: Instant
    generation: int = 1


class CreateVolume(Record):
    """A volume that is to be. ``id`` follows from the request."""

    id: VolumeId
    project: ProjectId
    user: UserId
    request_id: RequestId
    name: InstanceName | None = None
    description: Description = ""
    metadata: Metadata = Field(default_factory=dict)
    size_gb: VolumeSize
    source: BootSource | None = None
    snapshot: SnapshotId | None = None


class CreateVolumeSnapshot(Record):
    """A snapshot that is to be. ``id`` follows from the request."""

    id: SnapshotId
    volume: VolumeId
    project: ProjectId
    name: InstanceName | None = None
    description: Description = ""


class VolumeChanges(Record):
    """What can be changed of a volume. None leaves a field as it is."""

    name: InstanceName | None = None
    description: Description | None = None
    metadata: Metadata | None = None
    size_gb: VolumeSize | None = None
