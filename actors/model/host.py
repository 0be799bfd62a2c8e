"""Hosts and what instances hold of them. The SchedulerActor is the only writer of both."""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.flavor import Resources
from actors.model.ids import HostId, InstanceId


class HostState(StrEnum):
    """Whether a host can be asked to do something now."""

    UP = "up"
    DOWN = "down"


class Inventory(StoredRecord):
    """What a host has, and how far it may be over-committed (Placement.

    Inventory, allocation_ratio).
    """

    vcpus: int = Field(ge=0)
    memory_mb: int = Field(ge=0)
    disk_gb: int = Field(ge=0)
    reserved_memory_mb: int = Field(default=512, ge=0)
    cpu_ratio: float = Field(default=4.0, gt=0)
    memory_ratio: float = Field(default=1.0, gt=0)
    disk_ratio: float = Field(default=1.0, gt=0)

    @property
    def capacity(self) -> Resources:
        """What may be claimed in all."""
        return Resources(
            vcpus=int(self.vcpus * self.cpu_ratio),
            memory_mb=max(0, int((self.memory_mb - self.reserved_memory_mb) * self.memory_ratio)),
            disk_gb=int(self.disk_gb * self.disk_ratio),
        )


class HostReport(StoredRecord):
    """What a HostActor says of itself, at start and then with every heartbeat."""

    id: HostId
    name: str
    #: Its own count of starts: a report of an older process is dropped.
    epoch: int
    inventory: Inventory
    hypervisor: str = Field(description="libvirt's word for the driver: QEMU or TEST")
    hypervisor_version: int = 0
    virt_type: str = Field(description="kvm, qemu (TCG) or test")
    #: Empty when all is well; else why it cannot serve ("libvirt: …").
    trouble: str = ""
    #: Boots that succeeded since this process started: one more clears the host of failed ones.
    boots: int = Field(default=0, ge=0)
    schema_version: int = 1


class HostRecord(StoredRecord):
    """One hypervisor host, known by the UUID in its state directory, never by its name."""

    id: HostId
    name: str
    generation: int = 1
    state: HostState = HostState.UP
    trouble: str = ""
    enabled: bool = True
    disabled_reason: str = ""
    availability_zone: str = "nova"
    inventory: Inventory
    hypervisor: str
    hypervisor_version: int = 0
    virt_type: str
    epoch: int = 0
    #: Boots that failed here in a row; each makes it less wanted (Nova: BuildFailureWeigher).
    failed_builds: int = 0
    schema_version: int = 1
    created: Instant
    updated: Instant


class Part(StrEnum):
    """Which part of a claim."""

    ALL = "all"
    #: What a resize has claimed.
    NEW = "new"
    #: What was held before it.
    FORMER = "former"


class Share(StoredRecord):
    """A part of one host."""

    host_id: HostId
    host: str
    resources: Resources


class Claim(Share):
    """What one instance holds. An instance has at most one."""

    instance: InstanceId
    #: The operation's sequence number that made it: an older operation's late call changes nothing.
    sequence: int
    attempt: int
    #: What it held before a resize, and holds until that is confirmed: the way back is never taken
    #: by others (Nova: the allocation of the migration).
    former: Share | None = None
    generation: int = 1

    @property
    def shares(self) -> tuple[Share, ...]:
        """All that it holds."""
        return (self,) if self.former is None else (self, self.former)


class HostUsage(StoredRecord):
    """A host with what is claimed of it, for ``nova host-list``."""

    record: HostRecord
    claimed: Resources
    instances: int
