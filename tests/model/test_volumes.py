"""Volumes under any order of words, lost answers and restarts, against a dictionary.

What must hold after every step: a volume has the instance that was told so, and no other; its bytes
are where snapshots and host say; memory is what is stored.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.model.errors import Cancelled, ComputeError, Conflict, NotFound, Unavailable
from actors.model.ids import HostId, SnapshotId, VolumeId
from actors.model.volume import (
    Attachment,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
    VolumeStatus,
)
from actors.model.volume_hold import Hold
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.volume_actor import volume_actor
from tests.local.volumes import new_snapshot, new_volume, reserve

Answer = TypeVar("Answer")

VOLUME = st.sampled_from(("v", "w")).map(VolumeId)
SNAPSHOT = st.sampled_from(("s", "t")).map(SnapshotId)
HOLD = st.builds(Hold, VOLUME, st.sampled_from(("i", "j")), st.integers(1, 4), st.integers(1, 2))
HOST = st.sampled_from(("h1", "h2"))


@dataclass
class Bytes:
    """A host's files, by id; away, it refuses."""

    files: set[str]
    away: bool = False

    async def remove_volume(self, volume: VolumeId) -> None:
        self._check()
        self.files.discard(volume)

    async def grow_volume(self, volume: Volume) -> None:
        self._check()
        self.files.add(volume.id)

    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        self._check()
        self.files |= {volume.id, snapshot}

    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        self._check()
        self.files.discard(snapshot)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("away", "ACTOR_UNAVAILABLE")


class Volumes(RuleBasedStateMachine):
    """One owner at a time over one store."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = MemoryStore()
        self.hosts = {name: Bytes(set()) for name in ("id-h1", "id-h2")}
        #: Who was told that it has a volume, and has not given it back.
        self.held: dict[VolumeId, Hold] = {}
        #: The newest word with which an instance gave a volume back.
        self.given_back: dict[tuple[VolumeId, str], tuple[int, int]] = {}
        self.restart()

    def teardown(self) -> None:
        self.runner.close()

    def host(self, host_id: HostId) -> Bytes:
        return self.hosts[host_id]

    def run(self, call: Coroutine[object, object, Answer]) -> Answer:
        return self.runner.run(call)

    @rule()
    def restart(self) -> None:
        """The process dies; the next one reads the store."""

        async def start() -> None:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            self.volumes = volume_actor(self.store, self, FakeClock())
            await self.volumes.volumes(None)

        self.run(start())

    @rule(volume=VOLUME)
    def create(self, volume: VolumeId) -> None:
        self.run(self.volumes.create(new_volume(volume)))

    @rule(hold=HOLD, host=HOST, lost=st.booleans())
    def reserve(self, hold: Hold, host: str, lost: bool) -> None:
        before = self.stored().get(hold.volume)
        if lost:
            self.store.fail_next(Unavailable("away"), after_writing=True)
        try:
            kept = self.run(self.volumes.reserve(reserve(hold, host)))
        except NotFound:
            assert before is None
        except Conflict:
            assert before is not None
            elsewhere = before.host not in (None, host)
            idle = before.status is VolumeStatus.AVAILABLE
            assert not idle or elsewhere or self.copies_of(hold.volume)
        except Cancelled:
            assert word(hold) <= self.given_back[hold.volume, hold.instance]
        except Unavailable:
            assert lost
            self.held[hold.volume] = hold
        else:
            assert kept.host == host or before == kept
            assert kept.attachment is not None
            self.held[hold.volume] = hold
        self.store.forget_failures()

    @rule(hold=HOLD, detaching=st.booleans())
    def speak(self, hold: Hold, detaching: bool) -> None:
        word_of = self.volumes.detaching if detaching else self.volumes.attached
        self.run(word_of(hold))
        held = self.held.get(hold.volume)
        if held is not None and held.instance == hold.instance and word(held) <= word(hold):
            self.held[hold.volume] = hold

    @rule(hold=HOLD, delete=st.booleans())
    def release(self, hold: Hold, delete: bool) -> None:
        for _ in range(2):
            self.run(self.volumes.release(hold, delete))
        held = self.held.get(hold.volume)
        if held is not None and held.instance == hold.instance and word(held) <= word(hold):
            del self.held[hold.volume]
            # Only the last one is remembered.
            mine = (hold.volume, hold.instance)
            self.given_back = {
                key: value for key, value in self.given_back.items() if key[0] != hold.volume
            } | {mine: word(hold)}

    @rule(volume=VOLUME)
    def delete(self, volume: VolumeId) -> None:
        try:
            self.run(self.volumes.delete(volume))
        except Conflict:
            has_snapshots = any(one.volume == volume for one in self.stored_snapshots())
            assert volume in self.held or has_snapshots

    @rule(snapshot=SNAPSHOT, volume=VOLUME)
    def take_snapshot(self, snapshot: SnapshotId, volume: VolumeId) -> None:
        try:
            self.run(self.volumes.take_snapshot(new_snapshot(snapshot, volume)))
        except ComputeError:
            found = self.stored().get(volume)
            settled = (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)
            assert found is None or found.status not in settled

    @rule(volume=VOLUME, more=st.integers(0, 2))
    def grow(self, volume: VolumeId, more: int) -> None:
        before = self.stored().get(volume)
        size = 1 if before is None else before.size_gb + more
        try:
            changed = self.run(self.volumes.change(volume, VolumeChanges(size_gb=size), None))
        except NotFound:
            assert before is None
        except Conflict:
            assert before is not None
            settled = before.status in (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)
            assert not settled or self.copies_of(volume)
        else:
            assert changed.size_gb == size

    @rule(snapshot=SNAPSHOT)
    def delete_snapshot(self, snapshot: SnapshotId) -> None:
        self.run(self.volumes.delete_snapshot(snapshot))

    @rule(host=HOST, away=st.booleans())
    def hosts_come_and_go(self, host: str, away: bool) -> None:
        self.hosts[f"id-{host}"].away = away

    @rule()
    def time_passes(self) -> None:
        """Hosts that are there have done what they were asked."""

        async def wait() -> None:
            for _ in range(50):
                await asyncio.sleep(0)

        self.run(wait())
        away = {name for name, host in self.hosts.items() if host.away}
        for volume in self.stored().values():
            assert volume.status is not VolumeStatus.DELETING or volume.host_id in away
            assert not volume.growing or volume.host_id in away
        for snapshot in self.stored_snapshots():
            assert snapshot.status == "available" or snapshot.host_id in away

    # What must hold

    def stored(self) -> dict[VolumeId, Volume]:
        rows = self.store.rows[Table.VOLUMES].values()
        volumes = (Volume.model_validate_json(row.body) for row in rows)
        return {volume.id: volume for volume in volumes}

    def stored_snapshots(self) -> list[VolumeSnapshot]:
        rows = self.store.rows[Table.VOLUME_SNAPSHOTS].values()
        return [VolumeSnapshot.model_validate_json(row.body) for row in rows]

    def copies_of(self, volume: VolumeId) -> bool:
        return any(
            one.volume == volume and one.status == "creating" for one in self.stored_snapshots()
        )

    @invariant()
    def instances_have_what_they_were_told(self) -> None:
        stored = self.stored()
        held = {name: volume.attachment for name, volume in stored.items() if volume.attachment}
        assert held.keys() == self.held.keys()
        for name, attachment in held.items():
            assert who(attachment) == (self.held[name].instance, *word(self.held[name]))
        for volume in stored.values():
            free = volume.status in (VolumeStatus.AVAILABLE, VolumeStatus.DELETING)
            assert free == (volume.attachment is None)

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        told = self.run(self.volumes.volumes(None))
        assert {volume.id: volume for volume in told} == self.stored()

    @invariant()
    def what_grows_is_attached(self) -> None:
        for volume in self.stored().values():
            assert not volume.growing or volume.attachment is not None

    @invariant()
    def every_snapshot_has_its_volume(self) -> None:
        stored = self.stored()
        for snapshot in self.stored_snapshots():
            assert stored[snapshot.volume].status is not VolumeStatus.DELETING

    @invariant()
    def a_snapshot_that_is_available_has_its_bytes(self) -> None:
        for snapshot in self.stored_snapshots():
            if snapshot.status == "available" and snapshot.host_id is not None:
                assert snapshot.id in self.hosts[snapshot.host_id].files


def word(hold: Hold) -> tuple[int, int]:
    return hold.sequence, hold.attempt


def who(attachment: Attachment) -> tuple[str, int, int]:
    return attachment.instance, attachment.sequence, attachment.attempt


TestVolumes = Volumes.TestCase
