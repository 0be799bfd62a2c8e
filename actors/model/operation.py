"""The durable record of one operation: what was asked, how far it got, how it ended.

It is the row behind ``google.longrunning.Operation``. The step log lies inside the record: an
operation has a handful of steps and at most three attempts, so the log is small and one write
moves record and log together.
"""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.details import Details
from actors.model.ids import (
    HostId,
    ImageId,
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    UserId,
    VolumeId,
)
from actors.model.instance import Fault, Former, VmState
from actors.model.network import WantedCard


class Action(StrEnum):
    """What can be asked of an instance. Nova's names, as ``instance-action-list`` shows them."""

    CREATE = "create"
    DELETE = "delete"
    STOP = "stop"
    START = "start"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    #: Put aside for a while, from where it can be brought back (Nova: ``soft_delete``).
    SOFT_DELETE = "softDelete"
    RESTORE = "restore"
    CREATE_IMAGE = "createImage"
    CREATE_BACKUP = "createBackup"
    SHELVE = "shelve"
    SHELVE_OFFLOAD = "shelveOffload"
    UNSHELVE = "unshelve"
    ATTACH_VOLUME = "attach_volume"
    DETACH_VOLUME = "detach_volume"
    #: Ours: of the disk, on its host.
    TAKE_SNAPSHOT = "takeSnapshot"
    RESTORE_SNAPSHOT = "restoreSnapshot"
    DELETE_SNAPSHOT = "deleteSnapshot"
    #: Ours: vCPUs and memory, while the guest runs.
    CHANGE_SIZE = "changeSize"
    REBUILD = "rebuild"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    RESIZE = "resize"
    CONFIRM_RESIZE = "confirmResize"
    REVERT_RESIZE = "revertResize"

    @property
    def words(self) -> str:
        """As a sentence says it: ``Cannot confirm the resize of instance …``."""
        return _WORDS.get(self, self.value)


#: Where a sentence says it otherwise than Nova's name does.
_WORDS = {
    Action.SOFT_DELETE: "delete",
    Action.CREATE_IMAGE: "make an image of",
    Action.CREATE_BACKUP: "back up",
    Action.SHELVE_OFFLOAD: "offload",
    Action.ATTACH_VOLUME: "attach a volume to",
    Action.DETACH_VOLUME: "detach a volume from",
    Action.CONFIRM_RESIZE: "confirm the resize of",
    Action.REVERT_RESIZE: "revert the resize of",
    Action.TAKE_SNAPSHOT: "take a snapshot of",
    Action.RESTORE_SNAPSHOT: "restore a snapshot of",
    Action.DELETE_SNAPSHOT: "delete a snapshot of",
    Action.CHANGE_SIZE: "change the size of",
}


class OperationState(StrEnum):
    """Where an operation stands."""

    RUNNING = "running"
    #: A step failed; the steps before it are being undone.
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self in _DONE


_DONE = frozenset({OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED})


class StepState(StrEnum):
    """Journal words (steno's): the intent is written before the step acts, the result after."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDO_STARTED = "undo_started"
    UNDONE = "undone"


class StepEntry(StoredRecord):
    """One step of one attempt."""

    name: str
    attempt: int = Field(ge=1)
    state: StepState
    started: Instant
    finished: Instant | None = None
    error: str = ""


class OperationRecord(StoredRecord):
    """One operation on one instance; its InstanceActor is the only writer."""

    id: OperationId
    instance: InstanceId
    sequence: int = Field(ge=1)
    project: ProjectId
    user: UserId
    action: Action
    request_id: RequestId
    generation: int = 1
    state: OperationState = OperationState.RUNNING
    #: What the instance was when it began.
    was: VmState = VmState.BUILDING
    #: What the action needs to know beyond its name.
    details: Details | None = None
    #: What it tells the guest anew: a key of ``GuestData``, which is its own id.
    guest_data: OperationId | None = None
    #: The guest data there was when it began; kept until it has ended.
    guest_data_before: OperationId | None = None
    attempt: int = Field(default=1, ge=1)
    steps: tuple[StepEntry, ...] = ()
    #: How many steps it has in all; 0 where an older release wrote it.
    step_count: int = 0
    #: Where this attempt acts. Set by the claim of a boot, known from the start otherwise.
    host_id: HostId | None = None
    host: str | None = None
    #: The one host that will do, by name (admins may ask for it).
    wanted_host: str | None = None
    #: The cards of a boot, in order; none: as the project's default is.
    wanted_cards: tuple[WantedCard, ...] = ()
    #: Hosts that failed this boot: not chosen again. ``fault.hosts`` has the reasons.
    refused: tuple[HostId, ...] = ()
    #: What the instance was before a resize: of a resize itself what it is when it begins, else
    #: what a resize left to be confirmed or reverted.
    former: Former | None = None
    #: What an operation that it interrupted was still making: nobody else will remove it.
    unfinished_image: ImageId | None = None
    #: What an operation that it interrupted was giving the instance, or taking from it.
    unfinished_volume: VolumeId | None = None
    #: What it waits for, in words; empty when it moves.
    waiting_for: str = ""
    #: A delete, or the caller, wants it to end: no further step begins, what was done is undone.
    cancel_requested: bool = False
    #: Seconds a guest is given to shut down by itself (stop, soft reboot, …).
    grace_seconds: float = 0.0
    fault: Fault | None = None
    created: Instant
    updated: Instant
    finished: Instant | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state.done

    @property
    def step(self) -> str:
        """The first step in hand, or the last one done; empty before the first."""
        for entry in self.steps:
            if entry.finished is None:
                return entry.name
        return self.steps[-1].name if self.steps else ""
