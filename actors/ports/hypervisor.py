"""What a HostActor needs of libvirt, and of the host's own disk.

Blocking: the shell calls it in threads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from actors.model.console import ConsoleKind, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.flavor import Size
from actors.model.guest_data import GuestData
from actors.model.host import Inventory
from actors.model.host_view import HostView
from actors.model.ids import InstanceId, NetworkId, PortId, SnapshotId, VolumeId
from actors.model.instance import AttachedVolume, InstanceRecord, PowerState

if TYPE_CHECKING:
    from concurrent.futures import Future


@dataclass(frozen=True, slots=True)
class BootFiles:
    """Where the boot source's files lie on this host."""

    disk: Path
    kernel: Path | None = None
    ramdisk: Path | None = None
    #: What a rescued instance boots from instead.
    rescue: "BootFiles | None" = None


@dataclass(frozen=True, slots=True)
class Guest:
    """A domain of ours, as libvirt has it (known by our metadata element, not by its name)."""

    instance: InstanceId
    project: str
    sequence: int
    power_state: PowerState


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What the host is."""

    driver: str
    version: int
    virt_type: str
    inventory: Inventory


#: Called from libvirt's event thread with the domain's instance and what it has become.
PowerListener = Callable[[InstanceId, PowerState], None]
#: Called from libvirt's event thread with True when the connection is up, False and why when it
#: is lost.
ConnectionListener = Callable[[bool, str], None]
#: Called from any thread with a guest that asks the metadata service: what it is to be told.
GuestDataSource = Callable[[InstanceRecord], "Future[GuestData | None]"]


class Hypervisor(Protocol):
    """One libvirt connection. Every method raises ``Unavailable`` while libvirtd is away.

    All converge. Where libvirt refuses they raise ``HypervisorRefused`` (or ``Exhausted`` for a
    full disk).
    """

    def open(self, power: PowerListener, connection: ConnectionListener) -> None:
        """Connect, and listen for events."""
        ...

    def close(self) -> None:
        """Deregister and disconnect. Domains stay as they are."""
        ...

    def has_drive(self, record: InstanceRecord) -> bool:
        """Whether ``ensure_running`` writes a config drive, and so wants the guest's data."""
        ...

    def facts(self) -> HypervisorFacts:
        """What this host offers."""
        ...

    def guests(self) -> tuple[Guest, ...]:
        """All our domains, running or not (``virConnectListAllDomains(0)``)."""
        ...

    def ensure_disk(self, record: InstanceRecord, base: Path) -> None:
        """The root disk.

        A qcow2 overlay on ``base``, as large as the flavor says or as the image is.
        """
        ...

    def clone_disk(self, record: InstanceRecord, origin: InstanceId, base: Path) -> None:
        """The root disk, as that of ``origin`` is now; ephemeral and swap disks are new.

        The other's guest runs on. Both disks lie on what they share. Already there: nothing is
        done.

        Raises:
            NotFound: The other has no disk here any more.
            Conflict: The other does not lie on ``base`` any more, is suspended, or its disk has
                been frozen too many times.
        """
        ...

    def flatten_disk(self, record: InstanceRecord, base: Path) -> None:
        """Let the root disk lie on ``base`` alone: it can leave this host.

        Raises:
            Conflict: The domain runs on it.
        """
        ...

    def keep_disk(self, instance: InstanceId, layer: str) -> None:
        """Keep the root disk as of now under this UUID; the guest runs on.

        Raises:
            As ``clone_disk``.
        """
        ...

    def forget_kept_disk(self, instance: InstanceId, layer: str) -> None:
        """Do not keep it any more. None that is kept is no error."""
        ...

    def restore_disk(self, record: InstanceRecord, layer: str, base: Path, sequence: int) -> None:
        """Put the root disk aside under this operation's number, and what was kept in its place.

        ``put_disks_back`` and ``forget_old_disks`` end it.

        Raises:
            NotFound: It is not kept here.
            Conflict: The domain runs on the disk.
        """
        ...

    def sweep_layers(self) -> None:
        """Remove what disks shared and none lies on any more."""
        ...

    def remove_disk(self, instance: InstanceId) -> None:
        """Remove the root disk, and the instance's folder with its console log."""
        ...

    def put_disks_aside(self, instance: InstanceId, sequence: int) -> None:
        """Keep the instance's own disks under this operation's number, out of the way of new ones.

        Raises:
            Conflict: The domain still runs on them.
        """
        ...

    def put_disks_back(self, instance: InstanceId, sequence: int) -> None:
        """Put what this operation put aside in its place again; what lies there now goes.

        Nothing put aside is no error: then nothing is done.

        Raises:
            Conflict: The domain still runs on what lies there.
        """
        ...

    def forget_old_disks(self, instance: InstanceId, sequence: int) -> None:
        """Remove what this operation put aside, if it is there."""
        ...

    def has_resized_disks(self, record: InstanceRecord) -> bool:
        """Whether the disks of the record's resize (``former``) are made."""
        ...

    def resize_disks(self, record: InstanceRecord, base: Path, incoming: Path | None) -> None:
        """Make the disks of the record's resize, as large as its flavor says; none shrinks.

        They are copies: of what came from another host (``incoming``), or of the instance's own,
        which are put aside under the resize's number.

        Raises:
            Conflict: The domain still runs on the former ones.
        """
        ...

    def incoming_path(self, instance: InstanceId, sequence: int) -> Path:
        """The folder that disks from another host come to, for this resize."""
        ...

    def disk_files(self, instance: InstanceId) -> tuple[Path, ...]:
        """The files of an instance's disks, to be read; none where disks have no content.

        Raises:
            Conflict: The domain runs on them.
        """
        ...

    def ensure_rescue_disk(self, record: InstanceRecord, base: Path) -> None:
        """The disk that a rescued instance boots from, as large as its image."""
        ...

    def remove_rescue_disk(self, instance: InstanceId) -> None:
        """Remove it, if it is there."""
        ...

    def ensure_running(
        self,
        record: InstanceRecord,
        sequence: int,
        files: BootFiles,
        bridges: dict[str, str],
        data: GuestData | None = None,
    ) -> PowerState:
        """Define the domain where it is missing and start it where it does not run.

        ``bridges`` maps a network's id to the bridge on this host; empty where the host builds no
        networks. ``data`` goes onto the config drive, where the instance has one.
        """
        ...

    def has_volume(self, volume: VolumeId) -> bool:
        """Whether a volume has bytes here."""
        ...

    def ensure_volume(self, volume: AttachedVolume, base: Path | None) -> None:
        """Make a volume's bytes unless they are there; ``base`` is the image they begin as."""
        ...

    def remove_volume(self, volume: VolumeId) -> None:
        """Remove a volume's bytes. None is no error."""
        ...

    def copy_volume(self, volume: VolumeId, snapshot: SnapshotId) -> None:
        """Keep a volume as it is now; a copy that is there is no error."""
        ...

    def grow_volume(self, instance: InstanceId, volume: VolumeId, size_gb: int) -> None:
        """Make a volume that an instance has larger, never smaller.

        A guest that runs sees it (virDomainBlockResize).
        """
        ...

    def begin_volume_copy(
        self, instance: InstanceId, volume: VolumeId, snapshot: SnapshotId
    ) -> bool:
        """Begin to keep a volume that an instance has, unless it is being kept or was.

        Whether the guest's QEMU copies it (virDomainBackupBegin): then the guest may be started and
        stopped meanwhile. Else the guest must not run until the copy is done, or ended.

        Raises:
            NotFound: The volume has no bytes here.
            Unavailable: Another copy of the guest's disks is being made.
        """
        ...

    def volume_copy_done(
        self, instance: InstanceId, volume: VolumeId, snapshot: SnapshotId
    ) -> bool:
        """Whether it is kept.

        Raises:
            Unavailable: What made the copy is gone. Begin again.
        """
        ...

    def end_volume_copy(self, instance: InstanceId, snapshot: SnapshotId) -> None:
        """Stop copying, and remove what is half copied. None is no error."""
        ...

    def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes. None is no error."""
        ...

    def plug(self, record: InstanceRecord, ask: bool) -> bool:
        """Give a guest that runs the record's volumes, and with ``ask`` ask it for all others.

        Whether it has just those (virDomainAttachDeviceFlags, virDomainDetachDeviceFlags). One
        that does not run gets them when it is started.
        """
        ...

    def check_size(self, record: InstanceRecord, size: Size) -> None:
        """Let a guest that runs be given this size, or say why not.

        Raises:
            Conflict: Its accelerator cannot change vCPUs, or it was started without slots.
        """
        ...

    def change_size(self, record: InstanceRecord, ask: bool) -> bool:
        """Give a guest that runs what its record says, and with ``ask`` ask it for what is more.

        Whether it has just that (virDomainAttachDeviceFlags, virDomainDetachDeviceAlias,
        virDomainSetVcpusFlags). One that does not run gets it when it is started.
        """
        ...

    def guest_size(self, record: InstanceRecord) -> Size | None:
        """What a guest that runs has; None where none runs, or it cannot be told."""
        ...

    def begin_copy(self, record: InstanceRecord, sequence: int) -> None:
        """Begin to copy the root disk as of now, unless it is being copied or was.

        Of a guest that runs, QEMU makes the copy beside the guest's work
        (virDomainBackupBegin); of one that is off, qemu-img.
        """
        ...

    def copy_done(self, instance: InstanceId, sequence: int) -> bool:
        """Whether the copy is whole.

        Raises:
            Unavailable: What made it is gone. Begin again.
        """
        ...

    def copy_path(self, instance: InstanceId, sequence: int) -> Path:
        """Where the copy lies: a qcow2 file without a backing file."""
        ...

    def end_copy(self, instance: InstanceId, sequence: int) -> None:
        """Stop copying, and remove what there is of the copy. None is no error."""
        ...

    def shut_down(self, instance: InstanceId) -> None:
        """Press the ACPI power button. Returns at once; a domain that does not run is no error."""
        ...

    def force_off(self, instance: InstanceId) -> PowerState:
        """Pull the plug (virDomainDestroy), and forget a suspended guest's memory.

        A domain that does not run is no error.
        """
        ...

    def runs_since(self, instance: InstanceId, sequence: int) -> bool:
        """Whether it runs, and was started or confirmed by the operation with this number."""
        ...

    def pause(self, instance: InstanceId) -> PowerState:
        """Stop the guest's clock (virDomainSuspend).

        Raises:
            Conflict: It does not run.
        """
        ...

    def unpause(self, instance: InstanceId) -> PowerState:
        """Let it run on (virDomainResume).

        Raises:
            Conflict: It does not run.
        """
        ...

    def suspend(self, instance: InstanceId) -> PowerState:
        """Write the guest's memory to disk and end its process (virDomainManagedSave).

        Raises:
            Conflict: It does not run.
        """
        ...

    def abort_suspend(self, instance: InstanceId) -> None:
        """End a suspend that is under way (virDomainAbortJob): its call fails, the guest runs on.

        None that is under way is no error.
        """
        ...

    def ensure_absent(self, instance: InstanceId) -> None:
        """Destroy and undefine. A domain that is not there is no error."""
        ...

    def power_state(self, instance: InstanceId) -> PowerState:
        """What libvirt says now; NOSTATE where it knows no such domain."""
        ...

    def console_path(self, instance: InstanceId) -> Path:
        """Where the console log lies."""
        ...

    def open_console(self, instance: InstanceId, kind: ConsoleKind) -> int:
        """A descriptor that reads and writes and does not block. Whoever asked closes it.

        Raises:
            Conflict: The guest does not run, or has no such console.
        """
        ...

    def screenshot(self, instance: InstanceId) -> Screenshot:
        """A picture of the guest's first screen (virDomainScreenshot).

        Raises:
            Conflict: The guest does not run, or has no screen.
            TooLarge: The picture is over 16 MiB.
        """
        ...

    def diagnostics(self, instance: InstanceId) -> Diagnostics:
        """What the guest has used so far (virDomainGetVcpus, BlockStats, InterfaceStats, …).

        Raises:
            Conflict: The guest does not run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attached:
    """What the guests of a host are attached to."""

    #: Where other hosts' VXLAN frames reach this one.
    tunnel_address: IPv4Address
    networks: frozenset[NetworkId]
    ports: frozenset[PortId]
    #: The tunnel addresses that a network's frames go to now.
    peers: Mapping[NetworkId, frozenset[IPv4Address]]


class HostNetwork(Protocol):
    """The host's own side of the networks. Converging; blocking."""

    def open(self, data: GuestDataSource) -> None:
        """Let guests ask for their data (the metadata service)."""
        ...

    def ensure(self, record: InstanceRecord) -> dict[str, str]:
        """Bridge, DHCP namespace and DHCP entry for each card of the instance.

        Bridge names by network id.
        """
        ...

    def remove(self, record: InstanceRecord) -> None:
        """Take the instance out; take a network down that no instance here uses any more."""
        ...

    def restore(self, records: tuple[InstanceRecord, ...]) -> None:
        """Build again all that these instances need, after the host or its actor started."""
        ...

    def on_change(self, tell: Callable[[], None]) -> None:
        """Say it, from any thread, when ``presence`` may have changed."""
        ...

    def presence(self) -> Attached | None:
        """What guests here are attached to; None where no guest has packets."""
        ...

    def follow(self, view: HostView) -> None:
        """Bring the host to what the NetworkActor says of its guests' networks.

        Raises:
            HypervisorRefused: The host would not, somewhere. The rest is done.
        """
        ...
