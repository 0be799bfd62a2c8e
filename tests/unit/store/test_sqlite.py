"""What actors load, how a database is opened, and how one conductor takes over from another."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from actors.model.errors import Fenced, Invalid, Unavailable
from actors.model.ids import HostId, OperationId, ProjectId, partition_of
from actors.model.instance import VmState
from actors.ports.store import Batch, Eviction, Remove, Store, Table
from actors.store.sqlite import SqliteStore
from actors.store.tables import eviction_key, put_eviction
from tests.unit.store.records import (
    DEMO,
    NOON,
    PARTITIONS,
    WRITER,
    batch,
    instance,
    open_store,
    operation,
)

VM = instance()
OTHER = ProjectId("other")


async def test_it_is_a_store(store: SqliteStore) -> None:
    as_port: Store = store
    assert as_port is store


async def test_a_partition_loads_what_lives_and_what_is_unfinished(store: SqliteStore) -> None:
    living = [instance(str(n)) for n in range(20)]
    deleted = instance("deleted").evolve(vm_state=VmState.DELETED)
    await store.commit_many(
        [batch(vm, operation(vm), operation(vm, 2, done=True)) for vm in (*living, deleted)]
    )
    for partition in range(PARTITIONS):
        instances, operations = await store.load_partition(partition)
        mine = [vm for vm in living if partition_of(vm.id, PARTITIONS) == partition]
        assert {vm.id: vm for vm in instances} == {vm.id: vm for vm in mine}
        expected = {operation(vm).id for vm in mine}
        if partition_of(deleted.id, PARTITIONS) == partition:
            expected.add(operation(deleted).id)
        assert {job.id for job in operations} == expected


async def test_rows_leave_a_partition_when_they_are_done(store: SqliteStore) -> None:
    job = operation(VM)
    await store.commit(batch(VM, job))
    ended = operation(VM, done=True).evolve(generation=2)
    await store.commit(batch(VM.evolve(generation=2, vm_state=VmState.DELETED), ended))
    assert await store.load_partition(partition_of(VM.id, PARTITIONS)) == ((), ())
    assert await store.find_operation(job.id) == ended


async def test_operations_of_an_instance_oldest_first(store: SqliteStore) -> None:
    jobs = [operation(VM, n, done=True) for n in range(1, 12)]
    stranger = instance("stranger")
    await store.commit(batch(VM, *reversed(jobs), stranger, operation(stranger)))
    assert await store.load_operations(VM.id) == tuple(jobs)
    assert await store.load_operations(instance("nobody").id) == ()


async def test_one_operation_is_found(store: SqliteStore) -> None:
    job = operation(VM, request="req-1")
    await store.commit(batch(VM, job))
    assert await store.find_operation(job.id) == job
    assert await store.find_operation(OperationId("unknown.1")) is None
    assert await store.find_request(DEMO, "req-1") == job
    assert await store.find_request(OTHER, "req-1") is None


async def test_operations_in_pages_newest_first(store: SqliteStore) -> None:
    mine = [operation(VM, n) for n in range(1, 7)]
    theirs = operation(instance("b", project=OTHER)).evolve(created=NOON + timedelta(hours=1))
    await store.commit(batch(*mine, theirs))
    mine.reverse()
    assert await store.find_operations(DEMO, None, 4) == tuple(mine[:4])
    # As another writer of ISO text would write it: without the microseconds.
    position = (mine[3].created.isoformat(), mine[3].id)
    assert await store.find_operations(DEMO, position, 4) == tuple(mine[4:])
    assert await store.find_operations(None, None, 2) == (theirs, mine[0])
    with pytest.raises(Invalid):
        await store.find_operations(None, ("yesterday", ""), 2)


async def test_operations_of_one_instant_are_ordered_by_id(store: SqliteStore) -> None:
    jobs = [operation(VM, n).evolve(created=NOON) for n in range(1, 4)]
    await store.commit(batch(*jobs))
    found = await store.find_operations(None, (NOON.isoformat(), jobs[2].id), 10)
    assert found == (jobs[1], jobs[0])


async def test_evictions_of_a_host(store: SqliteStore) -> None:
    ours, theirs = (
        Eviction(host_id=HostId(host), instance=VM.id, sequence=3, record=VM)
        for host in ("ours", "theirs")
    )
    await store.commit(Batch(WRITER, 1, (put_eviction(ours), put_eviction(theirs))))
    assert await store.evictions(ours.host_id) == (ours,)
    removal = Remove(Table.EVICTIONS, eviction_key(ours.host_id, VM.id))
    await store.commit(Batch(WRITER, 1, removes=(removal,)))
    assert await store.evictions(ours.host_id) == ()


async def test_a_row_that_cannot_be_read_is_left_out(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    same = [vm for n in range(20) if partition_of((vm := instance(str(n))).id, PARTITIONS) == 0]
    await store.commit(batch(*same))
    await store._writer.run(
        lambda db: db.execute("UPDATE instances SET body = '{' WHERE id = ?", (same[0].id,))
    )
    instances, _ = await store.load_partition(0)
    assert {vm.id for vm in instances} == {vm.id for vm in same[1:]}
    assert same[0].id in caplog.text


async def test_what_a_newer_release_added_is_left_out(store: SqliteStore) -> None:
    await store.commit(batch(VM))
    body = VM.model_dump_json()[:-1] + ',"mood":"fine"}'
    await store._writer.run(lambda db: db.execute("UPDATE instances SET body = ?", (body,)))
    assert await store.load_partition(partition_of(VM.id, PARTITIONS)) == ((VM,), ())


async def test_all_is_there_after_a_restart(path: Path) -> None:
    store = await open_store(path)
    await store.begin_epoch(WRITER)
    await store.commit(batch(VM, operation(VM)))
    await store.close()
    store = await open_store(path)
    assert store.epoch == 2
    loaded = await store.load_partition(partition_of(VM.id, PARTITIONS))
    assert loaded == ((VM,), (operation(VM),))
    # The writer of before may go on: only its conductor was replaced.
    await store.commit(batch(VM.evolve(generation=2)))
    assert await store.begin_epoch(WRITER) == 2
    await store.close()


async def test_only_its_owner_reads_the_file(store: SqliteStore, path: Path) -> None:
    await store.commit(batch(VM))
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


async def test_every_commit_waits_for_the_disk(store: SqliteStore) -> None:
    for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
        row = await store._writer.run(lambda db, p=pragma: db.execute(f"PRAGMA {p}").fetchone())  # type: ignore[misc]
        assert row == (value,), pragma


async def test_the_number_of_partitions_is_fixed(path: Path) -> None:
    await (await SqliteStore.open(path, 4)).close()
    with pytest.raises(Invalid, match="made with 4 partitions, not 8"):
        await SqliteStore.open(path, 8)
    again = await SqliteStore.open(path, 4)
    # Who was refused has not taken the database over.
    assert again.epoch == 2
    await again.close()


@pytest.mark.parametrize(("partitions", "keep"), [(0, 1), (1, 0)])
async def test_settings_are_checked(path: Path, partitions: int, keep: int) -> None:
    with pytest.raises(Invalid):
        await SqliteStore.open(path, partitions, keep)


async def test_what_cannot_be_opened_is_unavailable(path: Path) -> None:
    with pytest.raises(Unavailable):
        await open_store(path / "no" / "such" / "folder")


@pytest.fixture
def rubbish(path: Path) -> Path:
    path.write_bytes(b"no database" * 1000)
    return path


async def test_a_file_that_is_no_database_is_unavailable(rubbish: Path) -> None:
    with pytest.raises(Unavailable, match="not a database"):
        await open_store(rubbish)


async def test_a_newer_database_is_left_alone(path: Path) -> None:
    await (await open_store(path)).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO migrations VALUES (9999, 'x', 'y', 'z')")
    db.close()
    with pytest.raises(Unavailable, match="newer release"):
        await open_store(path)


async def test_a_replaced_conductor_cannot_write(path: Path) -> None:
    old = await open_store(path)
    await old.begin_epoch(WRITER)
    await old.commit(batch(VM))
    new = await open_store(path)
    assert (old.epoch, new.epoch) == (1, 2)

    with pytest.raises(Unavailable) as refused:
        await old.commit(batch(instance("late")))
    assert refused.value.reason == "CONDUCTOR_REPLACED"
    with pytest.raises(Unavailable):
        await old.begin_epoch(WRITER)

    await new.commit(batch(VM.evolve(generation=2)))
    events = (await new.events_after(0, 10, 0)).events
    assert [(event.id, event.generation) for event in events] == [(VM.id, 1), (VM.id, 2)]
    await old.close()
    await new.close()


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    store = await open_store(path)
    await store.begin_epoch(WRITER)
    late = [asyncio.create_task(store.commit(batch(instance(str(n))))) for n in range(10)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*late)


async def test_an_unknown_writer_is_fenced_after_a_restart_too(path: Path) -> None:
    store = await open_store(path)
    await store.begin_epoch(WRITER)
    await store.begin_epoch(WRITER)
    await store.close()
    store = await open_store(path)
    with pytest.raises(Fenced):
        await store.commit(batch(VM, epoch=1))
    await store.commit(batch(VM, epoch=2))
    await store.close()
