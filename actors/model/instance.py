"""The record of one instance.

Three axes of state, never one (Nova: ``vm_states.py``, ``task_states.py``).
"""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.flavor import Flavor
from actors.model.ids import HostId, InstanceId, OperationId, ProjectId, RequestId, UserId
from actors.model.image import BootSource
from actors.model.network import Nic


class VmState(StrEnum):
    """What the instance is, once nothing is in flight. Only the lifecycle core sets it."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What is being done to the instance right now (Nova's words); absent when nothing is."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    DELETING = "deleting"


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


_NOVA_POWER_CODE = {
    PowerState.NOSTATE: 0,
    PowerState.RUNNING: 1,
    PowerState.PAUSED: 3,
    PowerState.SHUTDOWN: 4,
    PowerState.CRASHED: 6,
    PowerState.SUSPENDED: 7,
}


class Status(StrEnum):
    """What a client sees. Derived from the axes by ``lifecycle.status``, never stored."""

    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    SHUTOFF = "SHUTOFF"
    ERROR = "ERROR"
    DELETED = "DELETED"


class Fault(StoredRecord):
    """Why an operation failed, as its project may read it."""

    kind: str
    reason: str
    message: str
    #: Per host tried: what went wrong there.
    hosts: dict[str, str] = Field(default_factory=dict)
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
    flavor: Flavor
    source: BootSource
    host_id: HostId | None = None
    host: str | None = None
    availability_zone: str = "nova"
    key_name: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    nics: tuple[Nic, ...] = ()
    fault: Fault | None = None
    #: The operation under way, or the last one. Its sequence number counts this instance's
    #: operations.
    operation: OperationId | None = None
    sequence: int = 0
    created: Instant
    updated: Instant
    launched: Instant | None = None
    terminated: Instant | None = None
