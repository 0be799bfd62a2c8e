"""Volumes, as gateway and sagas see them, and what a host does for them."""

from typing import Protocol

from actors.model.ids import ProjectId, SnapshotId, VolumeId
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_hold import Hold, Moved, Reserve


class Volumes(Protocol):
    """One writer of volumes and their snapshots. Durable when they return."""

    async def volumes(self, project: ProjectId | None) -> tuple[Volume, ...]:
        """All volumes, or a project's, newest first."""
        ...

    async def volume(self, volume: VolumeId) -> Volume:
        """One volume.

        Raises:
            NotFound: There is none with this id.
        """
        ...

    async def snapshots(self, project: ProjectId | None) -> tuple[VolumeSnapshot, ...]:
        """All snapshots of volumes, or a project's, newest first."""
        ...

    async def snapshot(self, snapshot: SnapshotId) -> VolumeSnapshot:
        """One snapshot.

        Raises:
            NotFound: There is none with this id.
        """
        ...

    async def create(self, command: CreateVolume) -> Volume:
        """As ``VolumeLedger.create``."""
        ...

    async def change(
        self, volume: VolumeId, changes: VolumeChanges, generation: int | None
    ) -> Volume:
        """As ``VolumeLedger.change``."""
        ...

    async def delete(self, volume: VolumeId) -> None:
        """As ``VolumeLedger.delete``. Its bytes go once their host is there."""
        ...

    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        """As ``VolumeLedger.take_snapshot``. It is ready once its host has copied the bytes."""
        ...

    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """As ``VolumeLedger.delete_snapshot``. Its bytes go once their host is there."""
        ...

    async def reserve(self, request: Reserve) -> Volume:
        """As ``VolumeLedger.reserve``."""
        ...

    async def attached(self, hold: Hold) -> None:
        """As ``VolumeLedger.attached``."""
        ...

    async def detaching(self, hold: Hold) -> None:
        """As ``VolumeLedger.detaching``."""
        ...

    async def moved(self, word: Moved) -> None:
        """As ``VolumeLedger.moved``."""
        ...

    async def release(self, hold: Hold, delete: bool) -> None:
        """As ``VolumeLedger.release``."""
        ...


class VolumeHost(Protocol):
    """A host, as the owner of volumes needs it.

    All of it converges: done twice, it has the effect of once.
    """

    async def remove_volume(self, volume: VolumeId) -> None:
        """Remove a volume's bytes. None there is no error."""
        ...

    async def grow_volume(self, volume: Volume) -> None:
        """Make bytes and guest of a volume that is attached as large as it says.

        A guest that runs sees its disk grow.

        Raises:
            Unavailable: Something else is being done to the guest. Ask again.
        """
        ...

    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        """Copy a volume's bytes as they are at one moment. A copy that is there is no error.

        A guest that has it runs on, and what it is asked for goes before the copy.

        Raises:
            Unavailable: Something else is being done to the guest. Ask again: it begins anew.
        """
        ...

    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes. None there is no error."""
        ...
