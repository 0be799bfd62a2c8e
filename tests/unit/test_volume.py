"""The actor around the ledger: durability, restarts, and what hosts do for it."""

import asyncio
from collections.abc import Callable

import pytest

from actors.model.errors import Conflict, Internal, NotFound, Unavailable
from actors.model.ids import HostId, SnapshotId, VolumeId
from actors.model.volume import SnapshotStatus, Volume, VolumeChanges, VolumeSnapshot, VolumeStatus
from actors.ports.store import Table
from actors.ports.volumes import Volumes
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.volume_actor import volume_actor
from tests.local.volumes import PROJECT, hold, new_snapshot, new_volume, reserve

V, S = VolumeId("v"), SnapshotId("s")


class FakeHost:
    """What is on it, by id; it may be away, or slow."""

    def __init__(self) -> None:
        self.bytes: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.calls: list[str] = []
        self.away = False
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()

    async def remove_volume(self, volume: VolumeId) -> None:
        await self._called(f"remove {volume}")
        self.bytes.discard(volume)

    async def grow_volume(self, volume: Volume) -> None:
        await self._called(f"grow {volume.id} {volume.size_gb}")
        self.sizes[volume.id] = volume.size_gb

    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        await self._called(f"copy {volume.id}")
        self.bytes.add(snapshot)

    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        await self._called(f"remove {snapshot}")
        self.bytes.discard(snapshot)

    async def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.away:
            raise Unavailable("The host is away.", "ACTOR_UNAVAILABLE")
        if self.broken:
            raise ZeroDivisionError
        await self.open.wait()


class Bench:
    """An actor over a store and a host that outlive it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.on_host = FakeHost()
        self.restart()

    def host(self, host_id: HostId) -> FakeHost:
        assert host_id == "id-h1"
        return self.on_host

    def restart(self) -> Volumes:
        self.volumes = volume_actor(self.store, self, self.clock)
        return self.volumes

    async def with_bytes(self) -> "Bench":
        """A volume that was attached, and was given back."""
        await self.volumes.create(new_volume())
        await self.volumes.reserve(reserve())
        await self.volumes.attached(hold())
        await self.volumes.release(hold(sequence=3), False)
        self.on_host.bytes.add(V)
        return self

    def stored(self) -> tuple[list[Volume], list[VolumeSnapshot]]:
        volumes, snapshots = self.store.rows[Table.VOLUMES], self.store.rows[Table.VOLUME_SNAPSHOTS]
        return (
            [Volume.model_validate_json(row.body) for row in volumes.values()],
            [VolumeSnapshot.model_validate_json(row.body) for row in snapshots.values()],
        )


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - the fake clock's sleeps let time pass at once
            await asyncio.sleep(0)


async def test_what_is_answered_is_stored() -> None:
    bench = Bench()
    made = await bench.volumes.create(new_volume())
    changed = await bench.volumes.change(V, VolumeChanges(name="called"), made.generation)
    assert bench.stored() == ([changed], [])
    assert await bench.restart().volumes(None) == (changed,)


async def test_a_refusal_writes_nothing() -> None:
    bench = await Bench().with_bytes()
    commits = len(bench.store.commits)
    await bench.volumes.take_snapshot(new_snapshot())
    await until(lambda: bench.stored()[1][0].status is SnapshotStatus.AVAILABLE)
    with pytest.raises(Conflict):
        await bench.volumes.delete(V)
    with pytest.raises(NotFound):
        await bench.volumes.volume(VolumeId("nobody"))
    assert len(bench.store.commits) == commits + 2


async def test_a_volume_is_gone_when_its_host_has_removed_it() -> None:
    bench = await Bench().with_bytes()
    bench.on_host.open.clear()
    await bench.volumes.delete(V)
    assert (await bench.volumes.volume(V)).status is VolumeStatus.DELETING
    bench.on_host.open.set()
    await until(lambda: bench.stored() == ([], []))
    assert bench.on_host.bytes == set()
    assert bench.on_host.calls == ["remove v"]


@pytest.mark.parametrize("trouble", ["away", "broken"])
async def test_a_host_that_does_not_do_it_is_asked_again(trouble: str) -> None:
    bench = await Bench().with_bytes()
    setattr(bench.on_host, trouble, True)
    await bench.volumes.delete(V)
    await until(lambda: len(bench.on_host.calls) > 2)
    assert bench.stored()[0][0].status is VolumeStatus.DELETING
    setattr(bench.on_host, trouble, False)
    await until(lambda: bench.stored() == ([], []))


async def attached(bench: Bench) -> Bench:
    await bench.volumes.create(new_volume())
    await bench.volumes.reserve(reserve())
    await bench.volumes.attached(hold())
    return bench


async def test_a_volume_that_is_attached_grows_on_its_host() -> None:
    bench = await attached(Bench())
    bench.on_host.open.clear()
    await bench.volumes.change(V, VolumeChanges(size_gb=2), None)
    await until(lambda: bench.on_host.calls == ["grow v 2"])
    # The host is at it still: then it is asked for what is wanted by now.
    await bench.volumes.change(V, VolumeChanges(size_gb=3), None)
    assert (await bench.volumes.volume(V)).shown is VolumeStatus.EXTENDING
    bench.on_host.open.set()
    await until(lambda: not bench.stored()[0][0].growing)
    assert bench.on_host.sizes == {V: 3}
    assert (await bench.volumes.volume(V)).shown is VolumeStatus.IN_USE


@pytest.mark.parametrize("lost", [True, False], ids=["before", "after"])
async def test_a_restart_goes_on_with_what_grows(lost: bool) -> None:
    """The owner dies before the host has heard, or before it has said that it is done."""
    bench = await attached(Bench())
    bench.on_host.away = lost
    if not lost:
        bench.on_host.open.clear()
    await bench.volumes.change(V, VolumeChanges(size_gb=2), None)
    await until(lambda: "grow v 2" in bench.on_host.calls)
    bench.restart()
    bench.on_host.away = False
    bench.on_host.open.set()
    await until(lambda: not bench.stored()[0][0].growing)
    assert bench.on_host.sizes == {V: 2}


async def test_a_host_that_is_away_makes_it_larger_later() -> None:
    bench = await attached(Bench())
    bench.on_host.away = True
    await bench.volumes.change(V, VolumeChanges(size_gb=2), None)
    await until(lambda: len(bench.on_host.calls) > 2)
    assert bench.stored()[0][0].growing
    bench.on_host.away = False
    await until(lambda: not bench.stored()[0][0].growing)


async def test_one_host_does_not_wait_for_another() -> None:
    bench = await Bench().with_bytes()
    bench.on_host.open.clear()
    await bench.volumes.take_snapshot(new_snapshot())
    await until(lambda: bench.on_host.calls == ["copy v"])
    await bench.volumes.create(new_volume("w"))
    await bench.volumes.reserve(reserve(hold("w")))
    await bench.volumes.release(hold("w"), True)
    await until(lambda: bench.on_host.calls == ["copy v", "remove w"])


async def test_a_restart_goes_on_with_a_delete() -> None:
    bench = await Bench().with_bytes()
    bench.on_host.open.clear()
    await bench.volumes.delete(V)
    await until(lambda: bench.on_host.calls == ["remove v"])
    bench.restart()
    bench.on_host.open.set()
    await until(lambda: bench.stored() == ([], []))
    assert bench.on_host.calls == ["remove v"] * 2


async def test_a_restart_goes_on_with_a_copy() -> None:
    bench = await Bench().with_bytes()
    bench.on_host.away = True
    await bench.volumes.take_snapshot(new_snapshot())
    bench.restart()
    bench.on_host.away = False
    await until(lambda: bench.stored()[1][0].status is SnapshotStatus.AVAILABLE)
    assert bench.on_host.bytes == {V, S}
    assert (await bench.volumes.snapshot(S)).generation == 2


async def test_a_snapshot_that_is_deleted_while_it_is_copied_leaves_nothing() -> None:
    bench = await Bench().with_bytes()
    bench.on_host.open.clear()
    await bench.volumes.take_snapshot(new_snapshot())
    await until(lambda: bench.on_host.calls == ["copy v"])
    await bench.volumes.delete_snapshot(S)
    bench.on_host.open.set()
    await until(lambda: bench.stored()[1] == [])
    assert bench.on_host.calls == ["copy v", "remove s"]
    assert bench.on_host.bytes == {V}


async def test_a_delete_whose_answer_was_lost_is_carried_out() -> None:
    bench = await Bench().with_bytes()
    bench.store.fail_next(Unavailable("away"), after_writing=True)
    with pytest.raises(Unavailable):
        await bench.volumes.delete(V)
    await until(lambda: bench.stored() == ([], []))


async def test_a_delete_that_was_not_written_removes_nothing() -> None:
    bench = await Bench().with_bytes()
    bench.store.fail_next(Unavailable("away"))
    with pytest.raises(Unavailable):
        await bench.volumes.delete(V)
    assert (await bench.volumes.volume(V)).status is VolumeStatus.AVAILABLE
    assert bench.on_host.calls == []


async def test_bytes_stay_while_it_is_not_sure_that_they_may_go() -> None:
    """A copy ends while the delete of its snapshot is being written, and that fails."""
    bench = await Bench().with_bytes()
    bench.on_host.open.clear()
    await bench.volumes.take_snapshot(new_snapshot())
    await until(lambda: bench.on_host.calls == ["copy v"])
    bench.store.hold()
    deleting = asyncio.create_task(bench.volumes.delete_snapshot(S))
    await asyncio.sleep(0)
    bench.on_host.open.set()
    for _ in range(20):
        await asyncio.sleep(0)
    bench.store.fail_next(Internal("broken"))
    bench.store.let_go()
    with pytest.raises((Unavailable, Internal)):
        await deleting
    await until(lambda: bench.stored()[1][0].status is SnapshotStatus.AVAILABLE)
    assert "remove s" not in bench.on_host.calls
    assert bench.on_host.bytes == {V, S}


async def test_one_that_was_replaced_asks_no_host_any_more() -> None:
    bench = await Bench().with_bytes()
    old = bench.volumes
    await bench.restart().create(new_volume("w"))
    with pytest.raises(Unavailable):
        await old.delete(V)
    assert bench.on_host.calls == []
    assert [one.id for one in await bench.volumes.volumes(PROJECT)] == ["w", "v"]
