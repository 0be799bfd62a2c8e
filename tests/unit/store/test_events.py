"""The event stream: order of commits, waiting without polling, positions that are too old."""

import asyncio
from pathlib import Path

import pytest

from actors.model.errors import Expired
from actors.model.query import EventBatch
from actors.store import events
from actors.store.group import PRUNE_CHUNK
from actors.store.lane import Lane
from actors.store.sqlite import SqliteStore
from tests.unit.store.records import WRITER, batch, instance, open_store, operation

#: Long enough never to pass in a test.
FOREVER = 1000.0


async def commit(store: SqliteStore, *requests: object, epoch: int = 1) -> None:
    await store.commit_many([batch(instance(str(r)), epoch=epoch) for r in requests])


def positions(found: EventBatch) -> list[int]:
    return [event.sequence for event in found.events]


async def test_events_stand_in_the_order_of_commits(store: SqliteStore) -> None:
    vm = instance()
    await asyncio.gather(
        store.commit(batch(vm, operation(vm))),
        store.commit(batch(vm.evolve(generation=2))),
        store.commit(batch(instance("other"))),
    )
    found = await store.events_after(0, 100, 0)
    assert positions(found) == [1, 2, 3, 4]
    assert found.next_sequence == 4
    assert [event.generation for event in found.events] == [1, 1, 2, 1]
    assert found.events[0].instance() == vm
    assert found.events[1].operation() == operation(vm)


async def test_pages(store: SqliteStore) -> None:
    await commit(store, *range(5))
    first = await store.events_after(0, 2, 0)
    assert (positions(first), first.next_sequence) == ([1, 2], 2)
    assert positions(await store.events_after(2, 100, 0)) == [3, 4, 5]
    assert await store.events_after(5, 100, 0) == EventBatch((), 5)
    assert await store.events_after(-1, 100, 0) == EventBatch((), 5)


async def test_a_watcher_waits_for_the_first(store: SqliteStore) -> None:
    watchers = [asyncio.create_task(store.events_after(0, 10, FOREVER)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(watcher.done() for watcher in watchers)
    await commit(store, "a", "b")
    for watcher in watchers:
        assert positions(await watcher) == [1, 2]
    later = asyncio.create_task(store.events_after(2, 10, FOREVER))
    await commit(store, "c")
    assert positions(await later) == [3]


async def test_a_wait_ends_without_events(store: SqliteStore) -> None:
    assert await store.events_after(0, 10, 0.001) == EventBatch((), 0)


async def test_a_refused_batch_makes_no_event(store: SqliteStore) -> None:
    await store.commit_many((batch(instance("a"), epoch=7), batch(instance("b"))))
    found = await store.events_after(0, 10, 0)
    assert [(e.sequence, e.id) for e in found.events] == [(1, instance("b").id)]


@pytest.mark.parametrize("ahead", [1, 1000])
async def test_a_position_from_the_future_is_unknown(store: SqliteStore, ahead: int) -> None:
    # As after a database was put back to an older state: waiting would lose events silently.
    with pytest.raises(Expired):
        await store.events_after(ahead, 10, FOREVER)


async def test_a_watcher_that_keeps_up_costs_no_sql(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(store, *range(10))

    async def refused(self: Lane, work: object) -> object:
        raise AssertionError("SQL")

    monkeypatch.setattr(Lane, "run", refused)
    assert len((await store.events_after(0, 100, 0)).events) == 10


async def test_a_watcher_far_behind_is_served_from_the_database(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(store, *range(3))
    from_memory = await store.events_after(0, 2, 0)
    monkeypatch.setattr(events, "RECENT", 2)
    await commit(store, *range(3, 10))
    assert store._log.after(0, 2) is None
    assert await store.events_after(0, 2, 0) == from_memory
    assert positions(await store.events_after(1, 100, 0)) == list(range(2, 11))
    assert positions(await store.events_after(9, 100, 0)) == [10]


async def test_old_events_are_pruned_in_chunks(path: Path) -> None:
    keep = 50
    store = await open_store(path, keep_events=keep)
    await store.begin_epoch(WRITER)
    await commit(store, *range(keep + PRUNE_CHUNK - 1))
    assert positions(await store.events_after(0, 1, 0)) == [1]
    await commit(store, "one more")
    last = keep + PRUNE_CHUNK
    with pytest.raises(Expired) as refused:
        await store.events_after(0, 10, 0)
    assert refused.value.reason == "POSITION_EXPIRED"
    with pytest.raises(Expired):
        await store.events_after(PRUNE_CHUNK - 1, 10, 0)
    kept = await store.events_after(PRUNE_CHUNK, 1000, 0)
    assert positions(kept) == list(range(PRUNE_CHUNK + 1, last + 1))
    count = "SELECT min(seq), count(*) FROM events"
    row = await store._reader.run(lambda db: db.execute(count).fetchone())
    assert row == (PRUNE_CHUNK + 1, keep)
    await store.close()


async def test_an_event_pruned_while_its_watcher_reads_is_expired(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RECENT", 1)
    await commit(store, *range(10))
    # Only the rows: the log in memory does not know yet.
    await store._writer.run(lambda db: db.execute("DELETE FROM events WHERE seq <= 5"))
    with pytest.raises(Expired):
        await store.events_after(2, 10, 0)


async def test_positions_grow_across_restarts(path: Path) -> None:
    store = await open_store(path, keep_events=1)
    await store.begin_epoch(WRITER)
    await commit(store, *range(10))
    before = await store.events_after(4, 100, 0)
    await store.close()

    store = await open_store(path, keep_events=1)
    assert await store.events_after(4, 100, 0) == before
    epoch = await store.begin_epoch(WRITER)
    await commit(store, "after", epoch=epoch)
    assert positions(await store.events_after(10, 100, 0)) == [11]
    # Even when nothing is left of them.
    await store._writer.run(lambda db: db.execute("DELETE FROM events"))
    await store.close()

    store = await open_store(path)
    assert await store.events_after(-1, 100, 0) == EventBatch((), 11)
    with pytest.raises(Expired):
        await store.events_after(10, 100, 0)
    epoch = await store.begin_epoch(WRITER)
    await commit(store, "last", epoch=epoch)
    assert positions(await store.events_after(11, 100, 0)) == [12]
    await store.close()
