"""The record of one instance.

Three axes of state, never one (Nova: ``vm_states.py``, ``task_states.py``).
"""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.flavor import Flavor, Resources, Size
from actors.model.ids import (
    HostId,
    ImageId,
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    SnapshotId,
    UserId,
    VolumeId,
)
from actors.model.image import BootFile, BootSource
from actors.model.network import Nic


class VmState(StrEnum):
    """What the instance is, once nothing is in flight. Only the lifecycle core sets it."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(StrEnum):
    """What is being done to the instance right now (Nova's words); absent when nothing is."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    DELETING = "deleting"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    REBUILDING = "rebuilding"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_FINISH = "resize_finish"
    #: Nova has no task for it: its migration record says ``confirming``.
    RESIZE_CONFIRMING = "resize_confirming"
    RESIZE_REVERTING = "resize_reverting"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"
    SHELVING = "shelving"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_UPLOADING = "image_uploading"
    IMAGE_BACKUP = "image_backup"
    UPDATING_PASSWORD = "updating_password"  # noqa: S105 - Nova's word for a task
    MIGRATING = "migrating"
    #: Ours, where Nova has no task: what is done to an instance is never without one.
    ATTACHING_VOLUME = "attaching_volume"
    DETACHING_VOLUME = "detaching_volume"
    TAKING_SNAPSHOT = "taking_snapshot"
    RESTORING_SNAPSHOT = "restoring_snapshot"
    DELETING_SNAPSHOT = "deleting_snapshot"
    CHANGING_SIZE = "changing_size"
    CLONING = "cloning"


class PowerState(StrEnum):
    """What the hypervisor says (virDomainState, folded as Nova folds it)."""

    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    SUSPENDED = "suspended"

    @property
    def nova_code(self) -> int:
        """The number Nova shows for ``OS-EXT-STS:power_state``."""
        return _NOVA_POWER_CODE[self]

    @property
    def words(self) -> str:
        """As a sentence says it: ``its guest is shut down``."""
        return _POWER_WORDS.get(self, self.value)


_NOVA_POWER_CODE = {
    PowerState.NOSTATE: 0,
    PowerState.RUNNING: 1,
    PowerState.PAUSED: 3,
    PowerState.SHUTDOWN: 4,
    PowerState.CRASHED: 6,
    PowerState.SUSPENDED: 7,
}

_POWER_WORDS = {PowerState.NOSTATE: "gone", PowerState.SHUTDOWN: "shut down"}


class Status(StrEnum):
    """What a client sees. Derived from the axes by ``lifecycle.status``, never stored."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    ERROR = "ERROR"
    DELETED = "DELETED"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    RESCUE = "RESCUE"
    VERIFY_RESIZE = "VERIFY_RESIZE"
    SOFT_DELETED = "SOFT_DELETED"
    SHELVED = "SHELVED"
    SHELVED_OFFLOADED = "SHELVED_OFFLOADED"
    REBOOT = "REBOOT"
    HARD_REBOOT = "HARD_REBOOT"
    REBUILD = "REBUILD"
    RESIZE = "RESIZE"
    REVERT_RESIZE = "REVERT_RESIZE"
    PASSWORD = "PASSWORD"  # noqa: S105 - Nova's word for a status
    MIGRATING = "MIGRATING"


class Fault(StoredRecord):
    """Why an operation failed, as its project may read it."""

    kind: str
    reason: str
    message: str
    #: Per host tried: what went wrong there.
    hosts: dict[str, str] = Field(default_factory=dict)
    created: Instant


class Lock(StoredRecord):
    """Keeps everybody but admins, and who set it, from changing an instance (Nova 2.73)."""

    user: UserId
    #: Set by an admin: only an admin may take it away.
    by_admin: bool = False
    reason: str = ""


class Rescue(StoredRecord):
    """What a rescued instance boots from, in place of its own disk (Nova: rescue image)."""

    source: BootSource
    #: Key of the ``GuestData`` that the rescue guest is told.
    guest_data: OperationId | None = None


class Shelved(StoredRecord):
    """The image that a shelved instance is kept as, and what it was made from before."""

    image: ImageId
    disk: BootFile
    virtual_size: int
    original: BootSource


#: What a guest's machine calls the disk that it boots from.
ROOT_TARGET = "vda"


class AttachedVolume(StoredRecord):
    """A volume that an instance has, as its host needs to know it."""

    volume: VolumeId
    #: What the guest's machine calls it: ``vdb``. ``vda`` for the one that it boots from.
    target: str
    size_gb: int
    #: The host that its bytes lie on, by name; None where every host has them.
    host: str | None = None
    #: What its bytes begin as, should there be none yet.
    source: BootSource | None = None
    snapshot: SnapshotId | None = None
    #: It goes when the instance goes.
    delete_on_termination: bool = False


class Former(StoredRecord):
    """What an instance was before a resize, until that is confirmed or reverted."""

    #: The resize's number: what is kept of the disks has it in its name.
    sequence: int
    flavor: Flavor
    host_id: HostId
    host: str
    vm_state: VmState
    #: As in the record.
    size: Size | None = None

    @property
    def ran(self) -> bool:
        """Whether there is a guest to start again."""
        return self.vm_state is VmState.ACTIVE


class DiskSnapshot(StoredRecord):
    """The root disk as it was at one moment, kept on the instance's host."""

    name: str
    #: What its host knows it by: a UUID.
    layer: str
    #: The disk's size in the flavor, GiB.
    disk_gb: int
    created: Instant


class InstanceRecord(StoredRecord):
    """One instance.

    Its InstanceActor is the only writer and raises ``generation`` at every change.
    """

    id: InstanceId
    project: ProjectId
    user: UserId
    name: str
    #: The create's request id: the same request finds this record again.
    request_id: RequestId
    generation: int = 1
    vm_state: VmState = VmState.BUILDING
    task_state: TaskState | None = None
    power_state: PowerState = PowerState.NOSTATE
    #: When its host had done the last thing to its guest, by the host's own clock: of what the host
    #: saw before that, more is known by now.
    power_seen: Instant | None = None
    flavor: Flavor
    #: What it has where that was changed since; None where it is the flavor's.
    size: Size | None = None
    source: BootSource
    host_id: HostId | None = None
    host: str | None = None
    availability_zone: str = "nova"
    key_name: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    description: str = ""
    #: What the guest is to call itself: one RFC 1123 label, at most 63 characters.
    hostname: str = ""
    tags: tuple[str, ...] = ()
    lock: Lock | None = None
    #: Whether the guest gets its data on a drive, too, and not by the metadata service alone.
    config_drive: bool = False
    #: Key of its ``GuestData``; None where there is none. It names the operation that brought it.
    guest_data: OperationId | None = None
    #: Set while it is rescued.
    rescue: Rescue | None = None
    shelved: Shelved | None = None
    volumes: tuple[AttachedVolume, ...] = ()
    #: The oldest first.
    snapshots: tuple[DiskSnapshot, ...] = ()
    #: Set from the middle of a resize until it is confirmed or reverted.
    former: Former | None = None
    nics: tuple[Nic, ...] = ()
    fault: Fault | None = None
    #: The operation under way, or the last one. Its sequence number counts this instance's
    #: operations.
    operation: OperationId | None = None
    sequence: int = 0
    created: Instant
    updated: Instant
    #: When ``vm_state`` last changed: what happens by itself after a time counts from here.
    since: Instant | None = None
    launched: Instant | None = None
    terminated: Instant | None = None

    @property
    def size_now(self) -> Size:
        """The vCPUs and the memory that its guest may use."""
        return self.flavor.size if self.size is None else self.size

    @property
    def resources(self) -> Resources:
        """What it takes from its host."""
        return self.needs(root_is_volume=self.boots_from_volume)

    def needs(self, *, root_is_volume: bool) -> Resources:
        """What it takes from its host with a root disk of its own, or with one that is a volume."""
        size = self.size_now
        needed = self.flavor.resources_for(root_is_volume=root_is_volume)
        return needed.evolve(vcpus=size.vcpus, memory_mb=size.memory_mb)

    @property
    def told(self) -> OperationId | None:
        """Key of the ``GuestData`` that the guest is told which boots now."""
        return self.guest_data if self.rescue is None else self.rescue.guest_data

    @property
    def volume_host(self) -> str | None:
        """The one host that it can be on, by name, for its volumes are there; None for any."""
        return next((volume.host for volume in self.volumes if volume.host), None)

    @property
    def boots_from_volume(self) -> bool:
        """Whether its root disk is a volume."""
        return any(volume.target == ROOT_TARGET for volume in self.volumes)
