"""Volumes, as gateway and sagas see them, and what a host does for them."""

from typing import Protocol

from actors.model.ids import SnapshotId, VolumeId
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_ledger import Hold, Reserve


class Volumes(Protocol):
    """One writer of volumes and their snapshots. Durable when they return."""

    async def volumes(self) -> tuple[Volume, ...]:
        """All volumes, newest first."""
        ...

    async def snapshots(self) -> tuple[VolumeSnapshot, ...]:
        """All snapshots of volumes, newest first."""
        ...

    async def create(self, command: CreateVolume) -> Volume:
        """As ``VolumeLedger.create``."""
        ...

    async def change(self, volume: VolumeId, changes: VolumeChanges) -> Volume:
        """As ``VolumeLedger.change``."""
        ...

    async def delete(self, volume: VolumeId) -> None:
        """As ``VolumeLedger.delete``. Its bytes go once their host is there."""
        ...

    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        """As ``VolumeLedger.take_snapshot``. It is ready once its host has copied the bytes."""
        ...

    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """Delete a snapshot and its bytes. One that is gone is no error.

        Raises:
            Unavailable: The host with its bytes is away.
        """
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

    async def release(self, hold: Hold, delete: bool) -> None:
        """As ``VolumeLedger.release``."""
        ...


class VolumeHost(Protocol):
    """A host, as the owner of volumes needs it."""

    async def remove_volume(self, volume: VolumeId) -> None:
        """Remove a volume's bytes. None there is no error."""
        ...

    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        """Copy the bytes of a volume that nobody has. A copy that is there is no error."""
        ...

    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes. None there is no error."""
        ...
