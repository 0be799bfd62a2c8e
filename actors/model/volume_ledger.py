"""Which volumes there are and who has them, decided in memory. The VolumeActor makes it durable."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from actors.model.errors import Conflict, Invalid, NotFound
from actors.model.ids import HostId, InstanceId, ProjectId, SnapshotId, VolumeId
from actors.model.volume import (
    Attachment,
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
    VolumeStatus,
)


@dataclass(frozen=True, slots=True)
class Hold:
    """An instance's operation speaks for a volume.

    Converging: asked again, the same. A word of an older operation than the last that spoke for
    the instance changes nothing.
    """

    volume: VolumeId
    instance: InstanceId
    sequence: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep a volume for an instance, on the instance's host."""

    hold: Hold
    project: ProjectId
    host_id: HostId
    host: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since the last time somebody asked."""

    volumes: tuple[Volume, ...]
    snapshots: tuple[VolumeSnapshot, ...]
    gone_volumes: tuple[VolumeId, ...]
    gone_snapshots: tuple[SnapshotId, ...]


class VolumeLedger:
    """All volumes and their snapshots."""

    def __init__(self, volumes: Iterable[Volume], snapshots: Iterable[VolumeSnapshot]) -> None:
        self._volumes = {volume.id: volume for volume in volumes}
        self._snapshots = {snapshot.id: snapshot for snapshot in snapshots}
        self._of: dict[VolumeId, set[SnapshotId]] = {}
        for snapshot in self._snapshots.values():
            self._of.setdefault(snapshot.volume, set()).add(snapshot.id)
        self._changed: set[VolumeId] = set()
        self._changed_snapshots: set[SnapshotId] = set()
        self._gone: set[VolumeId] = set()
        self._gone_snapshots: set[SnapshotId] = set()

    # --- looking ------------------------------------------------------------------------------

    def volumes(self) -> tuple[Volume, ...]:
        """All volumes, newest first."""
        return tuple(sorted(self._volumes.values(), key=lambda v: (v.created, v.id), reverse=True))

    def snapshots(self) -> tuple[VolumeSnapshot, ...]:
        """All snapshots, newest first."""
        return tuple(
            sorted(self._snapshots.values(), key=lambda s: (s.created, s.id), reverse=True)
        )

    def volume(self, volume: VolumeId, project: ProjectId | None = None) -> Volume:
        """One volume.

        Raises:
            NotFound: No such volume, or another project's.
        """
        found = self._volumes.get(volume)
        if found is None or project not in (None, found.project):
            raise NotFound(
                f"Volume {volume} could not be found.", "VOLUME_NOT_FOUND", "", {"volume": volume}
            )
        return found

    def snapshot(self, snapshot: SnapshotId, project: ProjectId | None = None) -> VolumeSnapshot:
        """One snapshot.

        Raises:
            NotFound: No such snapshot, or another project's.
        """
        found = self._snapshots.get(snapshot)
        if found is None or project not in (None, found.project):
            raise NotFound(
                f"Snapshot {snapshot} could not be found.",
                "SNAPSHOT_NOT_FOUND",
                "",
                {"snapshot": snapshot},
            )
        return found

    def unfinished(self) -> tuple[tuple[Volume, ...], tuple[VolumeSnapshot, ...]]:
        """Volumes whose bytes are to be removed, and snapshots whose bytes are to be copied."""
        return (
            tuple(v for v in self._volumes.values() if v.status is VolumeStatus.DELETING),
            tuple(s for s in self._snapshots.values() if not s.ready),
        )

    def take_changes(self) -> Changes:
        """What one batch must write. The next answer begins from here."""
        changes = Changes(
            tuple(self._volumes[one] for one in self._changed if one in self._volumes),
            tuple(
                self._snapshots[one] for one in self._changed_snapshots if one in self._snapshots
            ),
            tuple(self._gone),
            tuple(self._gone_snapshots),
        )
        self._changed, self._changed_snapshots = set(), set()
        self._gone, self._gone_snapshots = set(), set()
        return changes

    # --- what users ask -----------------------------------------------------------------------

    def create(self, command: CreateVolume, now: datetime) -> Volume:
        """Make a volume. It has no bytes yet. The same id again is the same volume.

        Raises:
            NotFound: No such snapshot.
            Invalid: It would be smaller than what it is made from.
            Conflict: The snapshot is not complete yet.
        """
        known = self._volumes.get(command.id)
        if known is not None:
            return known
        host_id, source = None, command.source
        if command.snapshot is not None:
            snapshot = self.snapshot(command.snapshot, command.project)
            if not snapshot.ready:
                raise Conflict(
                    f"Snapshot {snapshot.id} is not complete yet. Try again in a moment.",
                    "SNAPSHOT_NOT_READY",
                )
            if command.size_gb < snapshot.size_gb:
                raise _too_small(command.size_gb, f"the snapshot has {snapshot.size_gb} GiB")
            host_id, source = snapshot.host_id, snapshot.source
        volume = Volume(
            id=command.id,
            project=command.project,
            user=command.user,
            name=command.name or "",
            description=command.description,
            metadata=command.metadata,
            size_gb=command.size_gb,
            source=source,
            snapshot=command.snapshot,
            host_id=host_id,
            shared=command.shared,
            created=now,
        )
        return self._put(volume, first=True)

    def change(self, volume: VolumeId, changes: VolumeChanges) -> Volume:
        """Describe it otherwise, or make it larger. Its bytes follow when it is next attached.

        Raises:
            NotFound: No such volume.
            Invalid: It would become smaller.
            Conflict: It is attached, and cannot grow now.
        """
        found = self.volume(volume)
        size = changes.size_gb
        if size is not None and size != found.size_gb:
            if size < found.size_gb:
                raise _too_small(size, f"the volume has {found.size_gb} GiB, and only grows")
            if found.status is not VolumeStatus.AVAILABLE:
                raise _busy(found, "be extended", "Detach it first.")
        given = ((name, getattr(changes, name)) for name in VolumeChanges.model_fields)
        changed = found.evolve(**{name: value for name, value in given if value is not None})
        return found if changed == found else self._put(changed)

    def delete(self, volume: VolumeId) -> Volume | None:
        """Delete it; None once it is gone, which it is at once where it has no bytes.

        Raises:
            Conflict: It is attached, or has snapshots.
        """
        found = self._volumes.get(volume)
        if found is None or found.status is VolumeStatus.DELETING:
            return found
        if found.status is not VolumeStatus.AVAILABLE:
            raise _busy(found, "be deleted", "Detach it first.")
        if self._of.get(volume):
            raise Conflict(
                f"Volume {volume} has snapshots. Delete them first.",
                "VOLUME_HAS_SNAPSHOTS",
                "",
                {"volume": volume},
            )
        return self._end(found)

    def take_snapshot(self, command: CreateVolumeSnapshot, now: datetime) -> VolumeSnapshot:
        """Make a snapshot; its bytes are copied next. The same id again is the same snapshot.

        Raises:
            NotFound: No such volume.
            Conflict: The volume is attached.
        """
        known = self._snapshots.get(command.id)
        if known is not None:
            return known
        volume = self.volume(command.volume, command.project)
        if volume.status is not VolumeStatus.AVAILABLE:
            raise _busy(volume, "be copied", "Detach it first.")
        snapshot = VolumeSnapshot(
            id=command.id,
            volume=volume.id,
            project=volume.project,
            name=command.name or "",
            description=command.description,
            size_gb=volume.size_gb,
            source=volume.source,
            # A volume without bytes is as empty, or as its image, in a year.
            ready=volume.host_id is None,
            host_id=volume.host_id,
            created=now,
        )
        self._snapshots[snapshot.id] = snapshot
        self._of.setdefault(volume.id, set()).add(snapshot.id)
        self._changed_snapshots.add(snapshot.id)
        return snapshot

    # --- what instances' operations ask -------------------------------------------------------

    def reserve(self, request: Reserve, now: datetime) -> Volume:
        """Keep it for an instance. Its bytes belong to the instance's host from now on.

        Raises:
            NotFound: No such volume in the project.
            Conflict: Another instance has it, it is being deleted, or its bytes lie elsewhere.
        """
        hold = request.hold
        found = self.volume(hold.volume, request.project)
        if self._holds(found, hold):
            return found
        if found.status is not VolumeStatus.AVAILABLE:
            raise _busy(found, "be attached", "Detach it first, or take another.")
        if any(not self._snapshots[one].ready for one in self._of.get(found.id, ())):
            raise Conflict(
                f"Volume {found.id} is being copied for a snapshot. Try again in a moment.",
                "VOLUME_BUSY",
                "",
                {"volume": found.id, "status": found.status.value},
            )
        if found.host_id not in (None, request.host_id) and not found.shared:
            raise Conflict(
                f"Volume {found.id} lies on another host than the instance.",
                "VOLUME_ELSEWHERE",
                f"on {found.host}",
                {"volume": found.id},
            )
        attachment = Attachment(instance=hold.instance, sequence=hold.sequence, since=now)
        return self._put(
            found.evolve(
                status=VolumeStatus.ATTACHING,
                attachment=attachment,
                host_id=request.host_id,
                host=request.host,
            )
        )

    def attached(self, hold: Hold) -> None:
        """The instance has it."""
        self._become(hold, VolumeStatus.IN_USE)

    def detaching(self, hold: Hold) -> None:
        """The instance is about to give it back."""
        self._become(hold, VolumeStatus.DETACHING)

    def release(self, hold: Hold, *, delete: bool = False) -> None:
        """The instance has it no more; with ``delete`` it goes, unless it has snapshots."""
        found = self._volumes.get(hold.volume)
        if found is None or not self._holds(found, hold):
            return
        freed = self._put(found.evolve(status=VolumeStatus.AVAILABLE, attachment=None))
        if delete and not self._of.get(freed.id):
            self._end(freed)

    # --- what hosts have done -----------------------------------------------------------------

    def removed(self, volume: VolumeId) -> None:
        """Its bytes are gone, and so is it."""
        found = self._volumes.get(volume)
        if found is not None and found.status is VolumeStatus.DELETING:
            self._forget(volume)

    def copied(self, snapshot: SnapshotId) -> None:
        """The snapshot's bytes are there."""
        found = self._snapshots.get(snapshot)
        if found is not None and not found.ready:
            raised = 0 if snapshot in self._changed_snapshots else 1
            ready = found.evolve(ready=True, generation=found.generation + raised)
            self._snapshots[snapshot] = ready
            self._changed_snapshots.add(snapshot)

    def forget_snapshot(self, snapshot: SnapshotId) -> None:
        """The snapshot's bytes are gone, and so is it."""
        found = self._snapshots.pop(snapshot, None)
        if found is not None:
            self._of[found.volume].discard(snapshot)
            self._changed_snapshots.discard(snapshot)
            self._gone_snapshots.add(snapshot)

    # ------------------------------------------------------------------------------------------

    def _holds(self, volume: Volume, hold: Hold) -> bool:
        """Whether the instance has it, and nobody later has spoken for it."""
        has = volume.attachment
        return has is not None and has.instance == hold.instance and has.sequence <= hold.sequence

    def _become(self, hold: Hold, status: VolumeStatus) -> None:
        found = self._volumes.get(hold.volume)
        if found is None or found.attachment is None or not self._holds(found, hold):
            return
        attachment = found.attachment.evolve(sequence=hold.sequence)
        changed = found.evolve(status=status, attachment=attachment)
        if changed != found:
            self._put(changed)

    def _end(self, volume: Volume) -> Volume | None:
        if volume.host_id is None:
            self._forget(volume.id)
            return None
        return self._put(volume.evolve(status=VolumeStatus.DELETING))

    def _put(self, volume: Volume, *, first: bool = False) -> Volume:
        # Once for each batch, however often it changes in it.
        if not first and volume.id not in self._changed:
            volume = volume.evolve(generation=self._volumes[volume.id].generation + 1)
        self._volumes[volume.id] = volume
        self._changed.add(volume.id)
        return volume

    def _forget(self, volume: VolumeId) -> None:
        self._volumes.pop(volume, None)
        self._changed.discard(volume)
        self._gone.add(volume)


def _busy(volume: Volume, what: str, hint: str) -> Conflict:
    return Conflict(
        f"Volume {volume.id} is {volume.status.value} and cannot {what}. {hint}",
        "VOLUME_BUSY",
        "",
        {"volume": volume.id, "status": volume.status.value},
    )


def _too_small(size_gb: int, why: str) -> Invalid:
    return Invalid(
        f"A size of {size_gb} GiB is too small: {why}.",
        "VOLUME_TOO_SMALL",
        "",
        {"volume.size_gb": why},
    )
