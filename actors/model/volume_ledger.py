"""Which volumes there are and who has them, decided in memory. The VolumeActor makes it durable."""

from datetime import datetime

from actors.model.errors import Cancelled, Conflict, Stale, Unavailable
from actors.model.ids import SnapshotId, VolumeId
from actors.model.volume import (
    Attachment,
    CreateVolume,
    CreateVolumeSnapshot,
    Released,
    SnapshotStatus,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
    VolumeStatus,
)
from actors.model.volume_hold import Hold, Moved, Reserve
from actors.model.volume_records import VolumeRecords
from actors.model.volume_refusals import being_copied, busy, check_quota, too_small

_FREE = frozenset({VolumeStatus.AVAILABLE})
#: Nobody is about to take it, or to give it back.
_SETTLED = frozenset({VolumeStatus.AVAILABLE, VolumeStatus.IN_USE})


class VolumeLedger(VolumeRecords):
    """What may be done to volumes and snapshots, and what becomes of them."""

    # --- what users ask -----------------------------------------------------------------------

    def create(self, command: CreateVolume, now: datetime) -> Volume:
        """Make a volume. It has no bytes yet. The same id again is the same volume.

        Raises:
            NotFound: No such snapshot.
            Invalid: It would be smaller than what it is made from.
            Conflict: The snapshot is not complete yet.
            QuotaExceeded: The project has as many as one may have.
        """
        known = self._volumes.get(command.id)
        if known is not None:
            return known
        check_quota(command.project, "volumes", self._volumes.values())
        volume = Volume(
            id=command.id,
            project=command.project,
            user=command.user,
            name=command.name or "",
            description=command.description,
            metadata=command.metadata,
            size_gb=command.size_gb,
            source=command.source,
            snapshot=command.snapshot,
            shared=self._shared,
            created=now,
        )
        if command.snapshot is not None:
            volume = _begun_as(self.snapshot(command.snapshot, command.project), volume)
        return self._put(volume)

    def change(
        self, volume: VolumeId, changes: VolumeChanges, generation: int | None = None
    ) -> Volume:
        """Describe it otherwise, or make it larger.

        Its bytes follow next where it is attached, and else when it is attached again.

        Raises:
            NotFound: No such volume.
            Stale: It is not of this generation.
            Invalid: It would become smaller.
            Conflict: It is being attached, detached or copied, and cannot grow now.
        """
        found = self.volume(volume)
        if generation not in (None, found.generation):
            raise Stale(
                f"Volume {volume} has changed since you read it. Read it again and repeat.",
                "ETAG_MISMATCH",
                metadata={"volume": volume},
            )
        size = changes.size_gb
        if size is not None and size != found.size_gb:
            if size < found.size_gb:
                raise too_small(size, f"the volume has {found.size_gb} GiB, and only grows")
            self._check(found, "be extended", _SETTLED)
        grows = size is not None and size != found.size_gb and found.attachment is not None
        given = ((name, getattr(changes, name)) for name in VolumeChanges.model_fields)
        changed = found.evolve(
            **{name: value for name, value in given if value is not None},
            growing=found.growing or grows,
        )
        return found if changed == found else self._put(changed)

    def delete(self, volume: VolumeId) -> None:
        """Delete it: it is gone at once where it has no bytes. One that is gone is no error.

        Raises:
            Conflict: It is attached, or has snapshots.
        """
        found = self._volumes.get(volume)
        if found is None or found.status is VolumeStatus.DELETING:
            return
        if found.status is not VolumeStatus.AVAILABLE:
            raise busy(found, "be deleted")
        if self._of.get(volume):
            raise Conflict(
                f"Volume {volume} has snapshots. Delete them first.",
                "VOLUME_HAS_SNAPSHOTS",
                "",
                {"volume": volume},
            )
        self._end(found)

    def take_snapshot(self, command: CreateVolumeSnapshot, now: datetime) -> VolumeSnapshot:
        """Make a snapshot; its bytes are copied next. The same id again is the same snapshot.

        Raises:
            NotFound: No such volume.
            Conflict: The volume is being attached, detached or deleted.
            QuotaExceeded: The project has as many as one may have.
        """
        known = self._snapshots.get(command.id)
        if known is not None:
            return known
        volume = self.volume(command.volume, command.project)
        if volume.status not in _SETTLED:
            raise busy(volume, "be copied")
        check_quota(command.project, "snapshots", self._snapshots.values())
        has_bytes = volume.host_id is not None
        return self._put_snapshot(
            VolumeSnapshot(
                id=command.id,
                volume=volume.id,
                project=volume.project,
                name=command.name or "",
                description=command.description,
                size_gb=volume.size_gb,
                source=volume.source,
                # A volume without bytes is as empty, or as its image, in a year.
                status=SnapshotStatus.CREATING if has_bytes else SnapshotStatus.AVAILABLE,
                host_id=volume.host_id,
                host=volume.host,
                shared=volume.shared,
                created=now,
            )
        )

    def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """Delete a snapshot; as ``delete``.

        Raises:
            Conflict: A volume begins as it, and has no bytes yet.
        """
        found = self._snapshots.get(snapshot)
        if found is None or found.status is SnapshotStatus.DELETING:
            return
        if found.host_id is None:
            self._forget_snapshot(found)
            return
        for volume in self._volumes.values():
            if volume.snapshot == snapshot and _needs_its_beginning(volume):
                raise Conflict(
                    f"Volume {volume.id} begins as snapshot {snapshot}, and is not made yet. "
                    "Attach it once, or delete it first.",
                    "VOLUME_SNAPSHOT_IN_USE",
                    "",
                    {"snapshot": snapshot, "volume": volume.id},
                )
        self._put_snapshot(found.evolve(status=SnapshotStatus.DELETING))

    # --- what instances' operations ask -------------------------------------------------------

    def reserve(self, request: Reserve, now: datetime) -> Volume:
        """Keep it for an instance. Its bytes belong to the instance's host from now on.

        Raises:
            NotFound: No such volume in the project.
            Conflict: An instance has it, it is being deleted, or its bytes lie elsewhere.
            Cancelled: The operation has given it back before.
        """
        hold = request.hold
        found = self.volume(hold.volume, request.project)
        has = found.attachment
        if has is not None and (has.instance, has.sequence, has.attempt) == (
            hold.instance, hold.sequence, hold.attempt,
        ):  # fmt: skip
            return found
        last = found.released
        if (
            last is not None
            and last.instance == hold.instance
            and (hold.sequence, hold.attempt) <= (last.sequence, last.attempt)
        ):
            raise Cancelled(
                f"Volume {found.id} was given back meanwhile.", detail=f"{hold} behind {last}"
            )
        self._check(found, "be attached", _FREE)
        if found.host_id not in (None, request.host_id) and not found.shared:
            raise Conflict(
                f"Volume {found.id} lies on another host than the instance.",
                "VOLUME_ELSEWHERE",
                f"on {found.host}",
                {"volume": found.id},
            )
        attachment = Attachment(
            instance=hold.instance, sequence=hold.sequence, attempt=hold.attempt, since=now
        )
        return self._put(
            found.evolve(
                status=VolumeStatus.ATTACHING,
                attachment=attachment,
                host_id=request.host_id,
                host=request.host,
            )
        )

    def attached(self, hold: Hold) -> None:
        """The instance has it, and its bytes are there."""
        self._become(hold, VolumeStatus.IN_USE)

    def detaching(self, hold: Hold) -> None:
        """The instance is about to give it back."""
        self._become(hold, VolumeStatus.DETACHING)

    def moved(self, word: Moved) -> None:
        """The instance is elsewhere: what a host does for the volume, that host does now.

        Raises:
            Unavailable: The former host still copies it.
        """
        found = self._volumes.get(word.hold.volume)
        if found is None or not _holds(found, word.hold) or not found.shared:
            return
        if found.host_id == word.host_id:
            return
        if self._is_copied(found):
            raise Unavailable(
                f"Volume {found.id} is being copied for a snapshot; the instance waits for that.",
                "VOLUME_BEING_COPIED",
            )
        self._put(found.evolve(host_id=word.host_id, host=word.host))

    def release(self, hold: Hold, *, delete: bool = False) -> None:
        """The instance has it no more; with ``delete`` it goes, unless it has snapshots."""
        found = self._volumes.get(hold.volume)
        if found is None or not _holds(found, hold):
            return
        released = Released(instance=hold.instance, sequence=hold.sequence, attempt=hold.attempt)
        freed = self._put(
            found.evolve(
                status=VolumeStatus.AVAILABLE,
                attachment=None,
                released=released,
                # What it has not grown yet, it grows when it is attached again.
                growing=False,
            )
        )
        if delete and not self._of.get(freed.id):
            self._end(freed)

    # --- what hosts have done -----------------------------------------------------------------

    def removed(self, volume: VolumeId) -> None:
        """Its bytes are gone, and so is it."""
        found = self._volumes.get(volume)
        if found is not None and found.status is VolumeStatus.DELETING:
            self._forget(found)

    def grown(self, volume: VolumeId, size_gb: int) -> None:
        """Its bytes, and its guest's disk, are as large as this."""
        found = self._volumes.get(volume)
        if found is not None and found.growing and found.size_gb == size_gb:
            self._put(found.evolve(growing=False))

    def copied(self, snapshot: SnapshotId) -> None:
        """The snapshot's bytes are there, and so are the volume's."""
        found = self._snapshots.get(snapshot)
        if found is None or found.status is not SnapshotStatus.CREATING:
            return
        self._put_snapshot(found.evolve(status=SnapshotStatus.AVAILABLE))
        volume = self._volumes.get(found.volume)
        if volume is not None and not volume.made:
            self._put(volume.evolve(made=True))

    def removed_snapshot(self, snapshot: SnapshotId) -> None:
        """The snapshot's bytes are gone, and so is it."""
        found = self._snapshots.get(snapshot)
        if found is not None and found.status is SnapshotStatus.DELETING:
            self._forget_snapshot(found)

    # ------------------------------------------------------------------------------------------

    def _check(self, volume: Volume, what: str, statuses: frozenset[VolumeStatus]) -> None:
        if volume.status not in statuses:
            raise busy(volume, what)
        if self._is_copied(volume):
            raise being_copied(volume)

    def _is_copied(self, volume: Volume) -> bool:
        copies = (self._snapshots[one].status for one in self._of.get(volume.id, ()))
        return SnapshotStatus.CREATING in copies

    def _become(self, hold: Hold, status: VolumeStatus) -> None:
        found = self._volumes.get(hold.volume)
        if found is None or found.attachment is None or not _holds(found, hold):
            return
        attachment = found.attachment.evolve(sequence=hold.sequence, attempt=hold.attempt)
        changed = found.evolve(status=status, attachment=attachment, made=True)
        if changed != found:
            self._put(changed)

    def _end(self, volume: Volume) -> None:
        if volume.host_id is None:
            self._forget(volume)
        else:
            self._put(volume.evolve(status=VolumeStatus.DELETING))


def _holds(volume: Volume, hold: Hold) -> bool:
    """Whether the instance has it, and nobody later has spoken for it."""
    has = volume.attachment
    return (
        has is not None
        and has.instance == hold.instance
        and (has.sequence, has.attempt) <= (hold.sequence, hold.attempt)
    )


def _needs_its_beginning(volume: Volume) -> bool:
    return not volume.made and volume.status is not VolumeStatus.DELETING


def _begun_as(snapshot: VolumeSnapshot, volume: Volume) -> Volume:
    """The volume, beginning as the snapshot: where its bytes are."""
    if snapshot.status is not SnapshotStatus.AVAILABLE:
        raise Conflict(
            f"Snapshot {snapshot.id} is {snapshot.status.value}; only one that is available can "
            "become a volume.",
            "VOLUME_SNAPSHOT_BUSY",
            "",
            {"snapshot": snapshot.id, "status": snapshot.status.value},
        )
    if volume.size_gb < snapshot.size_gb:
        raise too_small(volume.size_gb, f"the snapshot has {snapshot.size_gb} GiB")
    if snapshot.host_id is None:
        return volume.evolve(source=snapshot.source)
    return volume.evolve(
        source=snapshot.source,
        host_id=snapshot.host_id,
        host=snapshot.host,
        shared=snapshot.shared,
    )
