"""VolumeActor: the one writer of volumes and their snapshots.

Decides in memory (``model/volume_ledger.py``) and answers once the store has it. The bytes are the
hosts' business: they make them when a volume is first attached, and remove or copy them when this
actor asks, for as long as it takes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import ray

from actors.model.errors import ComputeError
from actors.model.ids import HostId, SnapshotId, VolumeId
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
)
from actors.model.volume_ledger import Hold, Reserve, VolumeLedger
from actors.ports.clock import Clock
from actors.ports.store import Remove, Store, Table
from actors.ports.volumes import VolumeHost
from actors.store.owner import Owner
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

    def __init__(self, store: Store, hosts: VolumeHosts, clock: Clock) -> None:
        self._store = store
        self._hosts = hosts
        self._clock = clock
        #: One decision at a time: none builds on one that may yet fail to become durable.
        self._turn = asyncio.Lock()
        self._owner = Owner(WRITER, store, clock, self._load)
        #: Set when hosts have something to do.
        self._todo = asyncio.Event()
        self._todo.set()
        self._working = asyncio.create_task(self._work())

    def __repr__(self) -> str:
        return "Volumes()"

    @ray.method
    async def volumes(self) -> tuple[Volume, ...]:
        """All volumes, newest first."""
        async with self._turn:  # what is not durable yet is not shown
            return (await self._owner.state()).volumes()

    @ray.method
    async def snapshots(self) -> tuple[VolumeSnapshot, ...]:
        """All snapshots, newest first."""
        async with self._turn:
            return (await self._owner.state()).snapshots()

    @ray.method
    async def create(self, command: CreateVolume) -> Volume:
        """As ``VolumeLedger.create``."""
        return await self._decide(lambda ledger: ledger.create(command, self._clock.now()))

    @ray.method
    async def change(self, volume: VolumeId, changes: VolumeChanges) -> Volume:
        """As ``VolumeLedger.change``."""
        return await self._decide(lambda ledger: ledger.change(volume, changes))

    @ray.method
    async def delete(self, volume: VolumeId) -> None:
        """As ``VolumeLedger.delete``; the bytes go behind."""
        await self._decide(lambda ledger: ledger.delete(volume))
        self._todo.set()

    @ray.method
    async def take_snapshot(self, command: CreateVolumeSnapshot) -> VolumeSnapshot:
        """As ``VolumeLedger.take_snapshot``; the bytes are copied behind."""
        made = await self._decide(lambda ledger: ledger.take_snapshot(command, self._clock.now()))
        self._todo.set()
        return made

    @ray.method
    async def delete_snapshot(self, snapshot: SnapshotId) -> None:
        """Delete a snapshot and its bytes."""
        async with self._turn:
            ledger = await self._owner.state()
            found = next((one for one in ledger.snapshots() if one.id == snapshot), None)
        if found is None:
            return
        if found.host_id is not None:
            await self._hosts.host(found.host_id).remove_volume_snapshot(snapshot)
        await self._decide(lambda ledger: ledger.forget_snapshot(snapshot))

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
    async def release(self, hold: Hold, delete: bool) -> None:
        """As ``VolumeLedger.release``."""
        await self._decide(lambda ledger: ledger.release(hold, delete=delete))
        self._todo.set()

    # --- what hosts do for it -----------------------------------------------------------------

    async def _work(self) -> None:
        """Have bytes removed and copied, again and again while their hosts are away."""
        while True:
            await self._todo.wait()
            self._todo.clear()
            try:
                deleting, copying = (await self._owner.state()).unfinished()
                calls = [
                    *(self._remove(volume) for volume in deleting),
                    *(self._copy(snapshot) for snapshot in copying),
                ]
                left = [done for done in await asyncio.gather(*calls) if not done]
            except ComputeError as error:
                _log.info("volumes: %s", error)
                left = [False]
            except Exception:  # noqa: BLE001 - a bug must not end the loop
                _log.exception("volumes: the work of hosts met a bug")
                left = [False]
            if left:
                await self._clock.sleep(_AGAIN_SECONDS)
                self._todo.set()

    async def _remove(self, volume: Volume) -> bool:
        if volume.host_id is not None and not await self._tried(
            self._hosts.host(volume.host_id).remove_volume(volume.id), f"volume {volume.id}"
        ):
            return False
        await self._decide(lambda ledger: ledger.removed(volume.id))
        return True

    async def _copy(self, snapshot: VolumeSnapshot) -> bool:
        if snapshot.host_id is not None:
            volume = (await self._owner.state()).volume(snapshot.volume)
            call = self._hosts.host(snapshot.host_id).copy_volume(volume, snapshot.id)
            if not await self._tried(call, f"snapshot {snapshot.id}"):
                return False
        await self._decide(lambda ledger: ledger.copied(snapshot.id))
        return True

    async def _tried(self, call: Awaitable[None], what: str) -> bool:
        try:
            await call
        except ComputeError as error:
            _log.warning("the bytes of %s wait: %s", what, error)
            return False
        return True

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
            return answer

    async def _load(self) -> VolumeLedger:
        volumes = await self._store.load(Table.VOLUMES)
        snapshots = await self._store.load(Table.VOLUME_SNAPSHOTS)
        return VolumeLedger(
            map(Volume.model_validate_json, volumes),
            map(VolumeSnapshot.model_validate_json, snapshots),
        )
