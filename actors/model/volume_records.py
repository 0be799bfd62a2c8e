"""The records of all volumes and snapshots, and which of them a batch has changed."""

from collections.abc import Iterable
from dataclasses import dataclass

from actors.model.errors import NotFound
from actors.model.ids import HostId, ProjectId, SnapshotId, VolumeId
from actors.model.volume import SnapshotStatus, Volume, VolumeSnapshot, VolumeStatus


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since the last time somebody asked."""

    volumes: tuple[Volume, ...]
    snapshots: tuple[VolumeSnapshot, ...]
    gone_volumes: tuple[VolumeId, ...]
    gone_snapshots: tuple[SnapshotId, ...]

    def ids(self) -> tuple[VolumeId | SnapshotId, ...]:
        """Of all that are still there."""
        return (*(one.id for one in self.volumes), *(one.id for one in self.snapshots))


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """A host has to remove a volume's bytes."""

    volume: VolumeId
    host: HostId


@dataclass(frozen=True, slots=True)
class GrowVolume:
    """A host has to make a volume that is attached as large as it should be."""

    volume: Volume
    host: HostId


@dataclass(frozen=True, slots=True)
class CopyVolume:
    """A host has to copy a volume's bytes."""

    volume: Volume
    snapshot: SnapshotId
    host: HostId


@dataclass(frozen=True, slots=True)
class RemoveSnapshot:
    """A host has to remove a snapshot's bytes."""

    snapshot: SnapshotId
    host: HostId


Errand = RemoveVolume | GrowVolume | CopyVolume | RemoveSnapshot


class VolumeRecords:
    """All volumes and their snapshots.

    Args:
        volumes: As they are stored.
        snapshots: As they are stored.
        shared: New volumes lie in a folder that all hosts have.
    """

    def __init__(
        self,
        volumes: Iterable[Volume] = (),
        snapshots: Iterable[VolumeSnapshot] = (),
        *,
        shared: bool = False,
    ) -> None:
        self._shared = shared
        self._volumes = {volume.id: volume for volume in volumes}
        self._snapshots = {snapshot.id: snapshot for snapshot in snapshots}
        #: The snapshots of each volume.
        self._of: dict[VolumeId, set[SnapshotId]] = {}
        for snapshot in self._snapshots.values():
            self._of.setdefault(snapshot.volume, set()).add(snapshot.id)
        self._changed: set[VolumeId] = set()
        self._changed_snapshots: set[SnapshotId] = set()
        self._gone: set[VolumeId] = set()
        self._gone_snapshots: set[SnapshotId] = set()

    def __repr__(self) -> str:
        return f"{len(self._volumes)} volumes, {len(self._snapshots)} snapshots"

    def volumes(self, project: ProjectId | None = None) -> tuple[Volume, ...]:
        """All volumes, or a project's, newest first."""
        found = (one for one in self._volumes.values() if project in (None, one.project))
        return tuple(sorted(found, key=lambda one: (one.created, one.id), reverse=True))

    def snapshots(self, project: ProjectId | None = None) -> tuple[VolumeSnapshot, ...]:
        """All snapshots, or a project's, newest first."""
        found = (one for one in self._snapshots.values() if project in (None, one.project))
        return tuple(sorted(found, key=lambda one: (one.created, one.id), reverse=True))

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
                "VOLUME_SNAPSHOT_NOT_FOUND",
                "",
                {"snapshot": snapshot},
            )
        return found

    def unfinished(self) -> tuple[VolumeId | SnapshotId, ...]:
        """What hosts have something to do for: each has an ``errand``."""
        return (
            *(
                one.id
                for one in self._volumes.values()
                if one.status is VolumeStatus.DELETING or one.growing
            ),
            *(
                one.id
                for one in self._snapshots.values()
                if one.status is not SnapshotStatus.AVAILABLE
            ),
        )

    def errand(self, what: VolumeId | SnapshotId) -> Errand | None:
        """What a host has to do for a volume or a snapshot now; None for nothing."""
        volume = self._volumes.get(VolumeId(what))
        if volume is not None and volume.host_id is not None:
            if volume.status is VolumeStatus.DELETING:
                return RemoveVolume(volume.id, volume.host_id)
            return GrowVolume(volume, volume.host_id) if volume.growing else None
        snapshot = self._snapshots.get(SnapshotId(what))
        if snapshot is None or snapshot.host_id is None:
            return None
        match snapshot.status:
            case SnapshotStatus.AVAILABLE:
                return None
            case SnapshotStatus.CREATING:
                source = self._volumes[snapshot.volume]
                return CopyVolume(source, snapshot.id, snapshot.host_id)
            case SnapshotStatus.DELETING:
                return RemoveSnapshot(snapshot.id, snapshot.host_id)

    def take_changes(self) -> Changes:
        """What one batch must write. The next answer begins from here."""
        changes = Changes(
            tuple(self._volumes[one] for one in self._changed),
            tuple(self._snapshots[one] for one in self._changed_snapshots),
            tuple(self._gone),
            tuple(self._gone_snapshots),
        )
        self._changed, self._changed_snapshots = set(), set()
        self._gone, self._gone_snapshots = set(), set()
        return changes

    def _put(self, volume: Volume) -> Volume:
        before = self._volumes.get(volume.id)
        # Once for each batch, however often it changes in it.
        if before is not None and volume.id not in self._changed:
            volume = volume.evolve(generation=before.generation + 1)
        self._volumes[volume.id] = volume
        self._changed.add(volume.id)
        return volume

    def _put_snapshot(self, snapshot: VolumeSnapshot) -> VolumeSnapshot:
        before = self._snapshots.get(snapshot.id)
        if before is not None and snapshot.id not in self._changed_snapshots:
            snapshot = snapshot.evolve(generation=before.generation + 1)
        self._snapshots[snapshot.id] = snapshot
        self._of.setdefault(snapshot.volume, set()).add(snapshot.id)
        self._changed_snapshots.add(snapshot.id)
        return snapshot

    def _forget(self, volume: Volume) -> None:
        del self._volumes[volume.id]
        self._of.pop(volume.id, None)
        self._changed.discard(volume.id)
        self._gone.add(volume.id)

    def _forget_snapshot(self, snapshot: VolumeSnapshot) -> None:
        del self._snapshots[snapshot.id]
        self._of[snapshot.volume].discard(snapshot.id)
        self._changed_snapshots.discard(snapshot.id)
        self._gone_snapshots.add(snapshot.id)
