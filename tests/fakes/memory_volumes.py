"""``ports.volumes.Volumes`` in memory: the real ledger, and hosts that do everything at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from actors.model.ids import ProjectId, SnapshotId, VolumeId
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_hold import Hold, Moved, Reserve
from actors.model.volume_ledger import VolumeLedger
from actors.model.volume_records import CopyVolume, GrowVolume, RemoveVolume
from tests.fakes.memory_port import MemoryPort, Switches

Answer = TypeVar("Answer")


class MemoryVolumes(MemoryPort):
    """Hosts act at once, but where ``settle`` is off."""

    def __init__(self, compute: Switches) -> None:
        super().__init__(compute)
        self.ledger = VolumeLedger()
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    async def volumes(self, project: ProjectId | None) -> tuple[Volume, ...]:
        return await self._do("volumes", lambda: self.ledger.volumes(project))

    async def volume(self, volume: VolumeId) -> Volume:
        return await self._do("volume", lambda: self.ledger.volume(volume))

    async def snapshots(self, project: ProjectId | None) -> tuple[VolumeSnapshot, ...]:
        return await self._do("snapshots", lambda: self.ledger.snapshots(project))

    async def snapshot(self, snapshot: SnapshotId) -> VolumeSnapshot:
        return await self._do("snapshot", lambda: self.ledger.snapshot(snapshot))

    async def create(self, command: CreateVolume) -> Volume:
        return await self._do("create_volume", lambda: self.ledger.create(command, self._tick()))

    async def change(
        self, volume: VolumeId, changes: VolumeChanges, generation: int | None
    ) -> Volume:
        return await self._do(
            "change_volume", lambda: self.ledger.change(volume, changes, generation)
        )

    async def delete(self, volume: VolumeId) -> None:
        await self._do("delete_volume", lambda: self.ledger.delete(volume))

    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        return await self._do(
            "take_snapshot", lambda: self.ledger.take_snapshot(command, self._tick())
        )

    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        await self._do("delete_snapshot", lambda: self.ledger.delete_snapshot(snapshot))

    async def reserve(self, request: Reserve) -> Volume:
        return await self._do("reserve", lambda: self.ledger.reserve(request, self._tick()))

    async def attached(self, hold: Hold) -> None:
        await self._do("attached", lambda: self.ledger.attached(hold))

    async def detaching(self, hold: Hold) -> None:
        await self._do("detaching", lambda: self.ledger.detaching(hold))

    async def moved(self, word: Moved) -> None:
        await self._do("moved", lambda: self.ledger.moved(word))

    async def release(self, hold: Hold, delete: bool) -> None:
        await self._do("release", lambda: self.ledger.release(hold, delete=delete))

    async def _do(self, name: str, call: Callable[[], Answer]) -> Answer:
        await self._called(name)
        answer = call()
        if self._compute.settle:
            for what in self.ledger.unfinished():
                self._act(what)
        self.ledger.take_changes()
        return answer

    def _act(self, what: VolumeId | SnapshotId) -> None:
        match self.ledger.errand(what):
            case None:
                pass
            case RemoveVolume(volume, _):
                self.ledger.removed(volume)
            case GrowVolume(grows, _):
                self.ledger.grown(grows.id, grows.size_gb)
            case CopyVolume(_, snapshot, _):
                self.ledger.copied(snapshot)
            case errand:
                self.ledger.removed_snapshot(errand.snapshot)

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
