"""VolumeActor: the one writer of volumes and their snapshots.

Decides in memory (``model/volume_ledger.py``) and answers once the store has it. The bytes are the
hosts' business: they make them when a volume is first attached, and grow, copy or remove them when
this actor asks, for as long as it takes.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, assert_never

import ray

from actors.model.errors import ComputeError
from actors.model.ids import HostId, ProjectId, SnapshotId, VolumeId
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_hold import Hold, Moved, Reserve
from actors.model.volume_ledger import VolumeLedger
from actors.model.volume_records import (
    CopyVolume,
    Errand,
    GrowVolume,
    RemoveSnapshot,
    RemoveVolume,
)
from actors.ports.clock import Clock
from actors.ports.store import Remove, Store, Table
from actors.ports.volumes import VolumeHost
from actors.store.owner import REPLACED, Owner
from actors.store.tables import put_volume, put_volume_snapshot

WRITER: Final = "volumes"
#: Between two tries of what a host has not done yet.
_AGAIN_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class VolumeHosts(Protocol):
    """Finds a host by its UUID."""

    def host(self, host_id: HostId) -> VolumeHost:
        """A handle."""
        ...


class VolumeActor:
    """Implements ``ports.volumes.Volumes``."""

    def __init__(
        self, store: Store, hosts: VolumeHosts, clock: Clock, *, shared: bool = False
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._clock = clock
        #: New volumes lie in a folder that all hosts have.
        self._shared = shared
        #: One decision at a time: none builds on one that may yet fail to become durable.
        self._turn = asyncio.Lock()
        self._owner = Owner(WRITER, store, clock, self._load)
        #: What hosts do for volumes and snapshots: one thing at a time for each.
        self._errands: dict[VolumeId | SnapshotId, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return "Volumes()"

    @ray.method
    async def volumes(self, project: ProjectId | None) -> tuple[Volume, ...]:
        """All volumes, or a project's, newest first."""
        async with self._turn:  # what is not durable yet is not shown
            return (await self._owner.state()).volumes(project)

    @ray.method
    async def volume(self, volume: VolumeId) -> Volume:
        """As ``VolumeLedger.volume``."""
        async with self._turn:
            return (await self._owner.state()).volume(volume)

    @ray.method
    async def snapshots(self, project: ProjectId | None) -> tuple[VolumeSnapshot, ...]:
        """All snapshots, or a project's, newest first."""
        async with self._turn:
            return (await self._owner.state()).snapshots(project)

    @ray.method
    async def snapshot(self, snapshot: SnapshotId) -> VolumeSnapshot:
        """As ``VolumeLedger.snapshot``."""
        async with self._turn:
            return (await self._owner.state()).snapshot(snapshot)

    @ray.method
    async def create(self, command: CreateVolume) -> Volume:
        """As ``VolumeLedger.create``."""
        return await self._decide(lambda ledger: ledger.create(command, self._clock.now()))

    @ray.method
    async def change(
        self, volume: VolumeId, changes: VolumeChanges, generation: int | None
    ) -> Volume:
        """As ``VolumeLedger.change``."""
        return await self._decide(lambda ledger: ledger.change(volume, changes, generation))

    @ray.method
    async def delete(self, volume: VolumeId) -> None:
        """As ``VolumeLedger.delete``; the bytes go behind."""
        await self._decide(lambda ledger: ledger.delete(volume))

    @ray.method
    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        """As ``VolumeLedger.take_snapshot``; the bytes are copied behind."""
        return await self._decide(lambda ledger: ledger.take_snapshot(command, self._clock.now()))

    @ray.method
    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """As ``VolumeLedger.delete_snapshot``; the bytes go behind."""
        await self._decide(lambda ledger: ledger.delete_snapshot(snapshot))

    @ray.method
    async def reserve(self, request: Reserve) -> Volume:
        """As ``VolumeLedger.reserve``."""
        return await self._decide(lambda ledger: ledger.reserve(request, self._clock.now()))

    @ray.method
    async def attached(self, hold: Hold) -> None:
        """As ``VolumeLedger.attached``."""
        await self._decide(lambda ledger: ledger.attached(hold))

    @ray.method
    async def detaching(self, hold: Hold) -> None:
        """As ``VolumeLedger.detaching``."""
        await self._decide(lambda ledger: ledger.detaching(hold))

    @ray.method
    async def moved(self, word: Moved) -> None:
        """As ``VolumeLedger.moved``."""
        await self._decide(lambda ledger: ledger.moved(word))

    @ray.method
    async def release(self, hold: Hold, delete: bool) -> None:
        """As ``VolumeLedger.release``."""
        await self._decide(lambda ledger: ledger.release(hold, delete=delete))

    # --- what hosts do for it -----------------------------------------------------------------

    def _send(self, what: VolumeId | SnapshotId) -> None:
        """Have a host do what is to be done for this, unless one does already."""
        if what not in self._errands:
            self._errands[what] = asyncio.create_task(self._run(what))

    async def _run(self, what: VolumeId | SnapshotId) -> None:
        """Have a host do what is to be done, again and again while it is away."""
        try:
            while not await self._ended(what):
                await self._clock.sleep(_AGAIN_SECONDS)
        finally:
            del self._errands[what]

    async def _ended(self, what: VolumeId | SnapshotId) -> bool:
        """Whether nothing is left to do for it, or this process is not the one to do it."""
        try:
            while (errand := await self._errand(what)) is not None:
                await self._do(errand)
        except ComputeError as error:
            if error.reason == REPLACED:
                return True
            _log.warning("the bytes of %s wait: %s", what, error)
            return False
        except Exception:  # noqa: BLE001 - a bug must not end it: the next try may do better
            _log.exception("the bytes of %s: a bug", what)
            return False
        return True

    async def _errand(self, what: VolumeId | SnapshotId) -> Errand | None:
        async with self._turn:  # no byte is removed for what is not durable yet
            return (await self._owner.state()).errand(what)

    async def _do(self, errand: Errand) -> None:
        match errand:
            case RemoveVolume(volume, host):
                await self._hosts.host(host).remove_volume(volume)
                await self._decide(lambda ledger: ledger.removed(volume))
            case GrowVolume(grows, host):
                await self._hosts.host(host).grow_volume(grows)
                await self._decide(lambda ledger: ledger.grown(grows.id, grows.size_gb))
            case CopyVolume(source, snapshot, host):
                await self._hosts.host(host).copy_volume(source, snapshot)
                await self._decide(lambda ledger: ledger.copied(snapshot))
            case RemoveSnapshot(snapshot, host):
                await self._hosts.host(host).remove_volume_snapshot(snapshot)
                await self._decide(lambda ledger: ledger.removed_snapshot(snapshot))
            case _:
                assert_never(errand)

    async def _decide(self, decide: Callable[[VolumeLedger], Answer]) -> Answer:
        async with self._turn:
            ledger = await self._owner.state()
            try:
                answer = decide(ledger)
            except ComputeError:
                raise  # it has changed nothing
            except Exception:
                _log.exception("volumes: a decision met a bug")
                self._owner.load_again()
                raise
            changes = ledger.take_changes()
            await self._owner.commit(
                (
                    *map(put_volume, changes.volumes),
                    *map(put_volume_snapshot, changes.snapshots),
                ),
                (
                    *(Remove(Table.VOLUMES, one) for one in changes.gone_volumes),
                    *(Remove(Table.VOLUME_SNAPSHOTS, one) for one in changes.gone_snapshots),
                ),
            )
            for what in changes.ids():
                if ledger.errand(what) is not None:
                    self._send(what)
            return answer

    async def _load(self) -> VolumeLedger:
        volumes = await self._store.load(Table.VOLUMES)
        snapshots = await self._store.load(Table.VOLUME_SNAPSHOTS)
        ledger = VolumeLedger(
            map(Volume.model_validate_json, volumes),
            map(VolumeSnapshot.model_validate_json, snapshots),
            shared=self._shared,
        )
        # Left by the process before this one, or by a commit whose answer was lost.
        for what in ledger.unfinished():
            self._send(what)
        return ledger
