"""The hypervisor of one host, by libvirt: ``actors.ports.hypervisor.Hypervisor``.

Owns the connection and what lies in the instances' folders. Decides nothing about an instance: what
its domain looks like is ``build``'s, what libvirt's words mean ``errors``' and ``power``'s.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import libvirt

from actors.drivers.libvirt import accelerator, consoles, counters, domains, live_size
from actors.drivers.libvirt.build import TEST, Place, domain_of, volume_disks
from actors.drivers.libvirt.connection import Connection
from actors.drivers.libvirt.copy_jobs import CopyJobs
from actors.drivers.libvirt.direct_io import cache_mode
from actors.drivers.libvirt.disk_copy import BlankCopies, Copies, DiskCopies
from actors.drivers.libvirt.disks import Disks, FileDisks, folder_of, make_folder
from actors.drivers.libvirt.disks_resized import incoming_of
from actors.drivers.libvirt.errors import away
from actors.drivers.libvirt.extra_disks import ensure_extra_disks
from actors.drivers.libvirt.plugs import grow, plug, target_of
from actors.drivers.libvirt.pool_disks import PoolDisks
from actors.drivers.libvirt.power import fold_event
from actors.drivers.libvirt.rescue import rescued
from actors.drivers.libvirt.settings import LibvirtSettings, VirtType
from actors.drivers.libvirt.volume_copies import VolumeCopies
from actors.drivers.libvirt.volume_files import VolumeFiles
from actors.model.console import ConsoleKind, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.errors import Conflict
from actors.model.flavor import Size
from actors.model.guest_data import GuestData
from actors.model.host import Inventory
from actors.model.ids import InstanceId, SnapshotId, VolumeId
from actors.model.instance import ROOT_TARGET, AttachedVolume, InstanceRecord, PowerState
from actors.ports.hypervisor import (
    BootFiles,
    ConnectionListener,
    Guest,
    HypervisorFacts,
    PowerListener,
)

if TYPE_CHECKING:
    from actors.drivers.config_drive import ConfigDrives

_CONSOLE: Final = "console.log"
_CONFIG_DRIVE: Final = "config.iso"
_NO_CONSOLE: Final = (
    "This instance runs on libvirt's test driver: it has no console, and nothing runs in it.\n"
)
_CPUINFO: Final = Path("/proc/cpuinfo")
_GIB: Final = 1024**3


class LibvirtHypervisor:
    """One host's libvirt. Calls for different instances may run at the same time, in threads."""

    def __init__(self, settings: LibvirtSettings, drives: "ConfigDrives | None" = None) -> None:
        """Know how to reach it.

        Args:
            settings: Where libvirt is and what it may use.
            drives: Writes config drives. None where nothing reads them (libvirt's test driver).
        """
        self._settings = settings
        self._drives = drives
        self._connection: Connection | None = None
        instances = settings.instances_dir
        self._chosen: VirtType | None = None
        self._disks: Disks = PoolDisks(instances) if settings.is_test else FileDisks(instances)
        self._volumes = VolumeFiles(settings.volumes_dir)
        #: What copies disks: one thing at a time for each guest.
        self._jobs = CopyJobs()
        self._copies: Copies = (
            BlankCopies(instances) if settings.is_test else DiskCopies(instances, self._jobs)
        )
        self._volume_copies = VolumeCopies(self._volumes, self._jobs)

    def __repr__(self) -> str:
        return self._settings.uri

    # --- the connection -----------------------------------------------------------------------

    def open(self, power: PowerListener, connection: ConnectionListener) -> None:
        """Connect, and listen for lifecycle events.

        A libvirtd that is away is no error: ``connection`` hears of it, and the tries go on.
        """
        self.close()
        make_folder(self._settings.instances_dir)

        def on_domain(domain: libvirt.virDomain, event: int, detail: int) -> None:
            state = fold_event(event, detail)
            name = domain.name()
            # Ours are named by their UUID, and the event brings both: asking libvirtd for the
            # metadata here would hold up every other event.
            if state is not None and name == domain.UUIDString():
                power(InstanceId(name), state)

        self._connection = Connection(self._settings, on_domain, connection)
        self._connection.open()

    def close(self) -> None:
        """Deregister and disconnect. Domains stay as they are (the test driver's are gone)."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _use(self, action: str) -> Iterator[libvirt.virConnect]:
        if self._connection is None:
            raise away("libvirt: the connection is not open")
        with self._connection.use(action) as conn:
            yield conn

    # --- the host -----------------------------------------------------------------------------

    def facts(self) -> HypervisorFacts:
        """What this host offers (virConnectGetType, virConnectGetVersion, virNodeGetInfo)."""
        with self._use("describe its host") as conn:
            return HypervisorFacts(
                driver=conn.getType(),
                version=conn.getVersion(),
                virt_type=self._virt_type(conn),
                inventory=self._settings.inventory or self._inventory(conn),
            )

    def _inventory(self, conn: libvirt.virConnect) -> Inventory:
        settings = self._settings
        info = conn.getInfo()
        disk = os.statvfs(settings.state_dir)
        return Inventory(
            vcpus=info[2],
            memory_mb=info[1],
            disk_gb=disk.f_blocks * disk.f_frsize // _GIB,
            reserved_memory_mb=settings.reserved_memory_mb,
            cpu_ratio=settings.cpu_ratio,
            memory_ratio=settings.memory_ratio,
            disk_ratio=settings.disk_ratio,
        )

    def _virt_type(self, conn: libvirt.virConnect) -> str:
        if self._settings.is_test:
            return TEST
        if self._chosen is None:
            wanted = self._settings.virt_type
            # The first question about KVM makes libvirtd start a QEMU: not asked where it decides
            # nothing.
            kvm = accelerator.kvm_capabilities(conn) if wanted is VirtType.AUTO else None
            cpuinfo = _CPUINFO.read_text(encoding="utf-8", errors="replace")
            self._chosen = accelerator.choose(wanted, cpuinfo, kvm)
        return str(self._chosen)

    def guests(self) -> tuple[Guest, ...]:
        """All our domains (virConnectGetAllDomainStats: one call for all states)."""
        with self._use("list its instances") as conn:
            return tuple(domains.guests(conn))

    @cached_property
    def _cache_mode(self) -> str:
        return cache_mode(self._settings.instances_dir)

    # --- disks --------------------------------------------------------------------------------

    def ensure_disk(self, record: InstanceRecord, base: Path) -> None:
        """The root disk: a qcow2 overlay on ``base``, which is never written; and the others."""
        with self._use(f"make the disk of instance {record.id}") as conn:
            if not record.boots_from_volume:
                self._disks.ensure(conn, record, base)
            if not self._settings.is_test:
                folder = folder_of(self._settings.instances_dir, record.id)
                ensure_extra_disks(folder, record)

    def clone_disk(self, record: InstanceRecord, origin: InstanceId, base: Path) -> None:
        """The root disk, as that of ``origin`` is now; the others are new."""
        with self._use(f"clone the disk of instance {origin}") as conn:
            self._interrupt_copies(conn, origin)
            self._disks.clone(conn, record, origin, base)
            if not self._settings.is_test:
                folder = folder_of(self._settings.instances_dir, record.id)
                ensure_extra_disks(folder, record)

    def flatten_disk(self, record: InstanceRecord, base: Path) -> None:
        """Let the root disk lie on ``base`` alone.

        Raises:
            Conflict: The domain runs on it.
        """
        with self._use_of_disks(record.id, "made one piece") as conn:
            self._disks.flatten(conn, record, base)

    def keep_disk(self, instance: InstanceId, layer: str) -> None:
        """Keep the root disk as of now."""
        with self._use(f"take a snapshot of instance {instance}") as conn:
            self._interrupt_copies(conn, instance)
            self._disks.keep(conn, instance, layer)

    def forget_kept_disk(self, instance: InstanceId, layer: str) -> None:
        """Do not keep it any more."""
        with self._use(f"delete a snapshot of instance {instance}"):
            self._disks.forget_kept(instance, layer)

    def restore_disk(self, record: InstanceRecord, layer: str, base: Path, sequence: int) -> None:
        """Put what was kept in the root disk's place.

        Raises:
            Conflict: The domain runs on the disk.
        """
        with self._use(f"restore a snapshot of instance {record.id}") as conn:
            if self._disks.is_restored(conn, record.id, sequence):
                return  # and a guest may run on it by now
        with self._use_of_disks(record.id, "restored") as conn:
            self._disks.restore(conn, record, layer, base, sequence)

    def sweep_layers(self) -> None:
        """Remove layers that no disk lies on."""
        self._disks.sweep_layers()

    def remove_disk(self, instance: InstanceId) -> None:
        """Remove the root disk, and the instance's folder with its console log.

        Raises:
            Conflict: The domain still runs on it.
        """
        with self._use_of_disks(instance, "removed") as conn:
            # A qemu-img would go on writing to a file that has no name.
            self._copies.end(conn, instance, sys.maxsize)
            self._disks.remove(conn, instance)

    def put_disks_aside(self, instance: InstanceId, sequence: int) -> None:
        """Keep its own disks under this operation's number.

        Raises:
            Conflict: The domain still runs on them.
        """
        # What runs once they are aside runs on the new ones.
        if not self._disks.are_aside(instance, sequence):
            with self._use_of_disks(instance, "put aside") as conn:
                self._disks.put_aside(conn, instance, sequence)

    def put_disks_back(self, instance: InstanceId, sequence: int) -> None:
        """Put what this operation put aside in its place again.

        Raises:
            Conflict: The domain still runs on what lies there.
        """
        with self._use_of_disks(instance, "put back") as conn:
            self._disks.put_back(conn, instance, sequence)

    def forget_old_disks(self, instance: InstanceId, sequence: int) -> None:
        """Remove what this operation put aside."""
        with self._use(f"remove the old disk of instance {instance}") as conn:
            self._disks.forget(conn, instance, sequence)

    def has_resized_disks(self, record: InstanceRecord) -> bool:
        """Whether the disks of the record's resize are made."""
        with self._use(f"look at the disk of instance {record.id}"):
            return self._disks.has_resized(record)

    def resize_disks(self, record: InstanceRecord, base: Path, incoming: Path | None) -> None:
        """Make the disks of the record's resize.

        Raises:
            Conflict: The domain still runs on the former ones.
        """
        with self._use_of_disks(record.id, "resized") as conn:
            self._disks.resize(conn, record, base, incoming)

    def incoming_path(self, instance: InstanceId, sequence: int) -> Path:
        """Where disks from another host come to."""
        return incoming_of(folder_of(self._settings.instances_dir, instance), sequence)

    def disk_files(self, instance: InstanceId) -> tuple[Path, ...]:
        """The files of its disks.

        Raises:
            Conflict: The domain runs on them.
        """
        with self._use_of_disks(instance, "read"):
            return self._disks.files(instance)

    def ensure_rescue_disk(self, record: InstanceRecord, base: Path) -> None:
        """The disk that a rescued instance boots from."""
        if record.rescue is not None:
            with self._use(f"make the rescue disk of instance {record.id}") as conn:
                self._disks.ensure_rescue(conn, record.id, record.rescue.source, base)

    def remove_rescue_disk(self, instance: InstanceId) -> None:
        """Remove it."""
        with self._use(f"remove the rescue disk of instance {instance}") as conn:
            self._disks.remove_rescue(conn, instance)

    @contextmanager
    def _use_of_disks(self, instance: InstanceId, participle: str) -> Iterator[libvirt.virConnect]:
        with self._use(f"have the disk of instance {instance} {participle}") as conn:
            found = domains.find(conn, instance)
            if found is not None and found[0].isActive():
                raise Conflict(
                    f"Instance {instance} runs; its disk cannot be {participle}.", "INSTANCE_RUNS"
                )
            yield conn

    # --- volumes ------------------------------------------------------------------------------

    def has_volume(self, volume: VolumeId) -> bool:
        """Whether a volume has bytes here."""
        return self._volumes.is_made(volume)

    def ensure_volume(self, volume: AttachedVolume, base: Path | None) -> None:
        """Make a volume's bytes unless they are there."""
        with self._use(f"make volume {volume.volume}"):
            self._volumes.ensure(volume, base)

    def remove_volume(self, volume: VolumeId) -> None:
        """Remove a volume's bytes."""
        with self._use(f"remove volume {volume}"):
            self._volumes.remove(volume)

    def grow_volume(self, instance: InstanceId, volume: VolumeId, size_gb: int) -> None:
        """Make a volume that an instance has larger."""
        with self._use(f"extend volume {volume}") as conn:
            domain = self._running_qemu(conn, instance)
            target = None if domain is None else target_of(domain, self._volumes.path(volume))
            if domain is None or target is None:
                self._volumes.grow(volume, size_gb)
            else:
                grow(domain, target, size_gb * _GIB)

    def copy_volume(self, volume: VolumeId, snapshot: SnapshotId) -> None:
        """Keep a volume as it is now."""
        with self._use(f"copy volume {volume}"):
            self._volumes.copy(volume, snapshot)

    def begin_volume_copy(
        self, instance: InstanceId, volume: VolumeId, snapshot: SnapshotId
    ) -> bool:
        """Begin to keep a volume that an instance has."""
        with self._use(f"copy volume {volume}") as conn:
            if self._settings.is_test:
                self._volumes.copy(volume, snapshot)
                return False
            domain = self._running_qemu(conn, instance)
            return self._volume_copies.begin(conn, domain, instance, volume, snapshot)

    def volume_copy_done(
        self, instance: InstanceId, volume: VolumeId, snapshot: SnapshotId
    ) -> bool:
        """Whether it is kept."""
        with self._use(f"copy volume {volume}") as conn:
            domain = self._running_qemu(conn, instance)
            return self._volume_copies.done(conn, domain, instance, volume, snapshot)

    def end_volume_copy(self, instance: InstanceId, snapshot: SnapshotId) -> None:
        """Stop copying."""
        with self._use(f"end the copy of snapshot {snapshot}") as conn:
            self._volume_copies.end(self._running_qemu(conn, instance), instance, snapshot)

    def _running_qemu(
        self, conn: libvirt.virConnect, instance: InstanceId
    ) -> libvirt.virDomain | None:
        """The domain, where a QEMU has the disks open; the test driver has none."""
        found = domains.find(conn, instance)
        if self._settings.is_test or found is None or not found[0].isActive():
            return None
        return found[0]

    def _interrupt_copies(self, conn: libvirt.virConnect, instance: InstanceId) -> bool:
        """What is asked of a guest goes before copies of its volumes, where QEMU cannot do both."""
        domain = self._running_qemu(conn, instance)
        return domain is None or self._jobs.interrupt(domain, instance)

    def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes."""
        with self._use(f"remove snapshot {snapshot}"):
            self._volumes.remove_snapshot(snapshot)

    def plug(self, record: InstanceRecord, ask: bool) -> bool:
        """Make the volumes of a guest that runs those of its record.

        The test driver cannot change a domain that runs: its next start will.
        """
        with self._use(f"change the volumes of instance {record.id}") as conn:
            domain = self._running_qemu(conn, record.id)
            if domain is None:
                return True
            paths = self._volume_paths(record)
            # What it boots from is there as long as it runs.
            root = {str(paths[one.volume]) for one in record.volumes if one.target == ROOT_TARGET}
            return plug(
                domain,
                volume_disks(record, paths, self._cache_mode),
                lambda file: self._volumes.owns(file) and file not in root,
                lambda: self._interrupt_copies(conn, record.id),
                ask=ask,
            )

    def check_size(self, record: InstanceRecord, size: Size) -> None:
        """Let a guest that runs be given this size, or say why not.

        Raises:
            Conflict: Its accelerator cannot change vCPUs, or it was started without slots.
        """
        with self._use(f"look at instance {record.id}") as conn:
            found = domains.find(conn, record.id)
            if found is not None and found[0].isActive():
                live_size.check(found[0], record, size, self._virt_type(conn))

    def change_size(self, record: InstanceRecord, ask: bool) -> bool:
        """Give a guest that runs what its record says."""
        with self._use(f"change the size of instance {record.id}") as conn:
            found = domains.find(conn, record.id)
            if found is None or not found[0].isActive():
                return True
            try:
                return live_size.change(found[0], record, self._virt_type(conn), ask=ask)
            except libvirt.libvirtError:
                if found[0].isActive():
                    raise
                return True  # it has ended meanwhile: its next start has what the record says

    def guest_size(self, record: InstanceRecord) -> Size | None:
        """What a guest that runs has. The test driver's memory is that of its start."""
        with self._use(f"look at instance {record.id}") as conn:
            found = domains.find(conn, record.id)
            if found is None or not found[0].isActive() or self._settings.is_test:
                return None
            with domains.Tolerate(libvirt.VIR_ERR_OPERATION_INVALID):  # it has ended meanwhile
                return live_size.size_of(found[0], record)
            return None

    def _volume_paths(self, record: InstanceRecord) -> dict[VolumeId, Path]:
        return {one.volume: self._volumes.path(one.volume) for one in record.volumes}

    def begin_copy(self, record: InstanceRecord, sequence: int) -> None:
        """Begin to copy the root disk as of now."""
        with self._use(f"copy the disk of instance {record.id}") as conn:
            self._copies.begin(conn, record, sequence)

    def copy_done(self, instance: InstanceId, sequence: int) -> bool:
        """Whether the copy is whole."""
        with self._use(f"copy the disk of instance {instance}") as conn:
            return self._copies.done(conn, instance, sequence)

    def copy_path(self, instance: InstanceId, sequence: int) -> Path:
        """Where the copy lies."""
        return self._copies.path(instance, sequence)

    def end_copy(self, instance: InstanceId, sequence: int) -> None:
        """Stop copying, and remove what there is of the copy."""
        with self._use(f"remove the copy of the disk of instance {instance}") as conn:
            self._copies.end(conn, instance, sequence)

    # --- power --------------------------------------------------------------------------------

    def ensure_running(
        self,
        record: InstanceRecord,
        sequence: int,
        files: BootFiles,
        bridges: dict[str, str],
        data: GuestData | None = None,
    ) -> PowerState:
        """Define the domain where it is missing and start it where it does not run.

        One that runs is left as it is, whatever the record says by now; one that is off is defined
        anew, since bridges and files may have changed.
        """
        with self._use(f"start instance {record.id}") as conn:
            found = domains.find(conn, record.id)
            if found is not None and found[0].isActive():
                return domains.keep_running(*found, sequence)
            saved = found is not None and bool(found[0].hasManagedSaveImage(0))
            if not saved:  # what is saved wants its files by the names it knows
                self._disks.take_plain_name(record.id)
            self._write_config_drive(record, data, saved=saved)
            domain = conn.defineXMLFlags(self._xml(conn, record, sequence, files, bridges), 0)
            domains.start(domain)
            return domains.keep_restored(domain, sequence) if saved else domains.power_of(domain)

    def has_drive(self, record: InstanceRecord) -> bool:
        """Whether a config drive is written: not where nothing runs that could read it."""
        return record.config_drive and self._drives is not None

    def _write_config_drive(
        self, record: InstanceRecord, data: GuestData | None, *, saved: bool
    ) -> None:
        """Before each start anew, so that it says what the record says now."""
        if self._drives is None or not self.has_drive(record):
            return
        path = self._config_drive(record)
        # A suspended guest goes on with the drive that it has in its memory.
        if not (saved and path.exists()):
            make_folder(path.parent)
            self._drives.write(path, record, data)

    def _config_drive(self, record: InstanceRecord) -> Path:
        return folder_of(self._settings.instances_dir, record.id) / _CONFIG_DRIVE

    def _xml(
        self,
        conn: libvirt.virConnect,
        record: InstanceRecord,
        sequence: int,
        files: BootFiles,
        bridges: dict[str, str],
    ) -> str:
        console = self.console_path(record.id)
        make_folder(console.parent)
        if self._settings.is_test and not console.exists():
            console.write_text(_NO_CONSOLE, encoding="utf-8")
        place = Place(
            virt_type=self._virt_type(conn),
            folder=console.parent,
            disk=self._disks.path(record.id),
            layers=self._disks.layers(record.id),
            cache=self._cache_mode,
            console=console,
            config_drive=self._config_drive(record) if record.config_drive else None,
            files=files,
            bridges=bridges,
            volumes=self._volume_paths(record),
        )
        domain = domain_of(record, sequence, place)
        if files.rescue is not None:
            disk = self._disks.rescue_path(record.id)
            domain = rescued(domain, record, disk, files.rescue)
        return domain.to_text()

    def shut_down(self, instance: InstanceId) -> None:
        """Press the ACPI power button, and return at once."""
        with self._use(f"shut down instance {instance}") as conn:
            if found := domains.find(conn, instance):
                domains.press_power_button(found[0])

    def force_off(self, instance: InstanceId) -> PowerState:
        """Pull the plug."""
        with self._use(f"stop instance {instance}") as conn:
            found = domains.find(conn, instance)
            if found is None:
                return PowerState.NOSTATE
            domains.destroy(found[0])
            domains.forget_saved(found[0])
            return domains.power_of(found[0])

    def runs_since(self, instance: InstanceId, sequence: int) -> bool:
        """Whether it runs, and was started or confirmed by this operation."""
        with self._use(f"look at instance {instance}") as conn:
            found = domains.find(conn, instance)
            return found is not None and bool(found[0].isActive()) and found[1].sequence == sequence

    def pause(self, instance: InstanceId) -> PowerState:
        """Stop the guest's clock."""
        return self._change(instance, "paused", domains.pause, PowerState.PAUSED)

    def unpause(self, instance: InstanceId) -> PowerState:
        """Let it run on."""
        return self._change(instance, "unpaused", domains.unpause, PowerState.RUNNING)

    def suspend(self, instance: InstanceId) -> PowerState:
        """Write the guest's memory to disk and end its process."""
        with self._use(f"have instance {instance} suspended") as conn:
            self._interrupt_copies(conn, instance)
        return self._change(instance, "suspended", domains.save, PowerState.SUSPENDED)

    def abort_suspend(self, instance: InstanceId) -> None:
        """End a suspend that is under way."""
        with self._use(f"abort the suspend of instance {instance}") as conn:
            if found := domains.find(conn, instance):
                domains.abort_save(found[0])

    def _change(
        self,
        instance: InstanceId,
        participle: str,
        call: Callable[[libvirt.virDomain], None],
        end: PowerState,
    ) -> PowerState:
        with self._use(f"have instance {instance} {participle}") as conn:
            found = domains.find(conn, instance)
            if found is not None:
                call(found[0])
            state = PowerState.NOSTATE if found is None else domains.power_of(found[0])
            if state is not end:
                raise Conflict(
                    f"Instance {instance} cannot be {participle}: its guest is {state.words}.",
                    "GUEST_NOT_RUNNING",
                    "",
                    {"instance": instance, "power_state": state.value},
                )
            return state

    def ensure_absent(self, instance: InstanceId) -> None:
        """Destroy and undefine."""
        with self._use(f"remove instance {instance}") as conn:
            if found := domains.find(conn, instance):
                domains.destroy(found[0])
                domains.undefine(found[0])

    def power_state(self, instance: InstanceId) -> PowerState:
        """What libvirt says now."""
        with self._use(f"look at instance {instance}") as conn:
            found = domains.find(conn, instance)
            return PowerState.NOSTATE if found is None else domains.power_of(found[0])

    def console_path(self, instance: InstanceId) -> Path:
        """Where the console log lies."""
        return folder_of(self._settings.instances_dir, instance) / _CONSOLE

    # --- looking into a guest -----------------------------------------------------------------

    def open_console(self, instance: InstanceId, kind: ConsoleKind) -> int:
        """A descriptor on a console."""
        with self._running(instance, "attach to a console of") as (conn, _):
            return consoles.open_console(conn, instance, kind)

    def screenshot(self, instance: InstanceId) -> Screenshot:
        """A picture of the screen."""
        with self._running(instance, "photograph the screen of") as (conn, _):
            return consoles.screenshot(conn, instance)

    def diagnostics(self, instance: InstanceId) -> Diagnostics:
        """What the guest has used so far."""
        with self._running(instance, "read the counters of") as (_, domain):
            return counters.diagnostics(domain)

    @contextmanager
    def _running(
        self, instance: InstanceId, verb: str
    ) -> Iterator[tuple[libvirt.virConnect, libvirt.virDomain]]:
        with self._use(f"{verb} instance {instance}") as conn:
            found = domains.find(conn, instance)
            if found is None or not found[0].isActive():
                raise consoles.gone(instance)
            yield conn, found[0]
