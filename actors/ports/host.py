"""What can be asked of one hypervisor host."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from actors.model.console import ConsoleKind, Screenshot
from actors.model.details import Details
from actors.model.diagnostics import Diagnostics
from actors.model.errors import ComputeError
from actors.model.flavor import Size
from actors.model.ids import HostId, InstanceId
from actors.model.instance import InstanceRecord, PowerState
from actors.model.query import ConsoleOutput


class HostStep(StrEnum):
    """What a host does for an instance. Each converges: doing it twice has the effect of once."""

    ENSURE_IMAGE = "ensure_image"
    ENSURE_NETWORK = "ensure_network"
    ENSURE_DISK = "ensure_disk"
    ENSURE_RUNNING = "ensure_running"
    #: Shut the guest down: by ACPI first, by force after the grace time.
    ENSURE_STOPPED = "ensure_stopped"
    #: Stopped and started again, once for each operation.
    ENSURE_REBOOTED = "ensure_rebooted"
    #: The guest's clock stands still; it stays in memory.
    ENSURE_PAUSED = "ensure_paused"
    ENSURE_UNPAUSED = "ensure_unpaused"
    #: The guest's memory is on disk, from where ENSURE_RUNNING brings it back.
    ENSURE_SUSPENDED = "ensure_suspended"
    #: The root disk, as that of the instance that ``Clone`` names is now.
    ENSURE_CLONED_DISK = "ensure_cloned_disk"
    #: The root disk shares nothing with others of its host but its base image.
    ENSURE_FLAT_DISK = "ensure_flat_disk"
    #: The root disk as of now is kept, as the snapshot that ``OfSnapshot`` names.
    ENSURE_SNAPSHOT = "ensure_snapshot"
    REMOVE_SNAPSHOT = "remove_snapshot"
    #: The root disk is put aside, and the snapshot's is in its place.
    ENSURE_RESTORED_DISK = "ensure_restored_disk"
    #: A copy of the root disk as of one moment, in a file that stands by itself.
    COPY_DISK = "copy_disk"
    #: The copy's bytes are those of the image that ``Snapshot`` names, which is ACTIVE.
    UPLOAD_COPY = "upload_copy"
    REMOVE_COPY = "remove_copy"
    #: The files of the record's volumes are there, and a guest that runs has those disks, and no
    #: other volumes.
    ENSURE_VOLUMES = "ensure_volumes"
    #: The same act, under a name of its own: an attach does both, before and after the record
    #: changes, and gates and metrics tell steps by it.
    PLUG_VOLUMES = "plug_volumes"
    #: The guest can be given the size that ``ChangeSize`` names; nothing is changed yet.
    CHECK_SIZE = "check_size"
    #: A guest that runs has the vCPUs and the memory that its record says.
    ENSURE_SIZE = "ensure_size"
    #: The same, as far as the guest lets it: what it has then is the answer.
    SETTLE_SIZE = "settle_size"
    #: No domain, running or defined.
    ENSURE_ABSENT = "ensure_absent"
    REMOVE_DISK = "remove_disk"
    #: The disks are put aside, whole, and new ones are made: of what the record says now.
    ENSURE_DISK_ANEW = "ensure_disk_anew"
    #: The disks that this operation put aside are in their places again.
    ENSURE_DISK_BACK = "ensure_disk_back"
    #: The disks that this operation put aside are gone.
    REMOVE_OLD_DISK = "remove_old_disk"
    #: The former disks are kept here as they were, or lie on the former host, and the instance has
    #: a copy of them that is as large as its flavor says.
    ENSURE_RESIZED_DISK = "ensure_resized_disk"
    #: The former disks are in their places again; nothing is here where they are on another host.
    REVERT_DISK = "revert_disk"
    #: What was kept here of the former disks is gone.
    REMOVE_FORMER_DISK = "remove_former_disk"
    #: The disk that a rescued instance boots from.
    ENSURE_RESCUE_DISK = "ensure_rescue_disk"
    REMOVE_RESCUE_DISK = "remove_rescue_disk"
    REMOVE_NETWORK = "remove_network"


@dataclass(frozen=True, slots=True)
class HostJob:
    """Steps for one instance, in order, in one call. The host stops at the first that fails."""

    instance: InstanceRecord
    #: The operation's sequence number. A job older than one the host has seen is refused
    #: (``Cancelled``).
    sequence: int
    steps: tuple[HostStep, ...]
    grace_seconds: float = 0.0
    #: What the action needs to know beyond its name.
    details: Details | None = None
    #: ``<saga>`` for the gates: ``boot`` makes ``boot.ensure_disk.before``.
    saga: str = ""


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file of an instance's disks, and what is in it while nothing runs."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step went. ``error`` is None when it succeeded."""

    step: HostStep
    started: datetime
    finished: datetime
    error: ComputeError | None = None
    #: What the domain is now, where this step touched it.
    power_state: PowerState | None = None
    #: What its guest has, where this step found out.
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """The steps that were tried, in order, and the domain's state afterwards.

    None where no step touched it, and the host has not looked at it since it started.
    """

    results: tuple[StepResult, ...]
    power_state: PowerState | None


@dataclass(frozen=True, slots=True)
class PowerReport:
    """A host tells an InstanceActor what the hypervisor says. Observed, never decided."""

    instance: InstanceId
    host_id: HostId
    power_state: PowerState
    #: The last operation the host served for it: a report of an older one is dropped.
    sequence: int
    at: datetime


class Host(Protocol):
    """One host."""

    async def run(self, job: HostJob) -> HostOutcome:
        """Do the steps; failures of a step come back as results.

        Raises:
            Unavailable: The host's actor or its libvirtd is away; nothing is known of the effect.
                Try again. Cancelled: A newer operation has taken this instance over.
        """
        ...

    async def abandon(self, instance: InstanceId, sequence: int) -> None:
        """The job of this operation is wanted no more, should one be under way.

        It ends after its step, or within it where that may take long, with ``Cancelled``
        (``Abandoned``). What it has done is the operation's to undo.
        """
        ...

    async def disk_files(self, instance: InstanceId) -> tuple[DiskFile, ...]:
        """The files of an instance's disks, measured: another host is to have them.

        Raises:
            Conflict: The instance runs on them.
            Unavailable: The host's actor or its libvirtd is away.
        """
        ...

    async def read_disk(self, instance: InstanceId, name: str, offset: int, length: int) -> bytes:
        """A piece of such a file; empty at its end.

        Raises:
            NotFound: There is no such file.
            Unavailable: The host's actor is away.
        """
        ...

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """At most ``limit`` bytes of the console log from ``offset``.

        A negative offset counts from the end.

        Raises:
            NotFound: The instance has no console log here.
        """
        ...

    async def console_open(self, instance: InstanceId, kind: ConsoleKind, force: bool) -> str:
        """Attach to a console: the session's id.

        Raises:
            Conflict: The guest does not run, has no such console, or somebody is attached.
            Exhausted: There are too many sessions.
        """
        ...

    async def console_read(self, session: str, wait_seconds: float) -> bytes:
        """What has come since the last time; empty when nothing came within so many seconds.

        A session from which nobody reads for 15 seconds ends.

        Raises:
            Unavailable: ``CONSOLE_LOST``: the host knows no such session (any more).
            Conflict: The guest has stopped, or somebody has taken over.
        """
        ...

    async def console_write(self, session: str, data: bytes) -> None:
        """Input; waits while the guest takes nothing.

        Raises:
            Unavailable: As above.
            Conflict: As above.
        """
        ...

    async def console_close(self, session: str) -> None:
        """End a session; one that is not there is no error."""
        ...

    async def screenshot(self, instance: InstanceId) -> Screenshot:
        """As ``Hypervisor.screenshot``."""
        ...

    async def diagnostics(self, instance: InstanceId) -> Diagnostics:
        """As ``Hypervisor.diagnostics``."""
        ...


class Hosts(Protocol):
    """Finds a host by its UUID."""

    def host(self, host_id: HostId) -> Host:
        """A handle; finding out whether the host answers is its calls' business."""
        ...
