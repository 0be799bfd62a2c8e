"""Batches: what is refused, that it is refused alone, and that groups keep their order."""

import asyncio
from dataclasses import replace

import pytest

from actors.model.errors import (
    AlreadyExists,
    ComputeError,
    Exhausted,
    Fenced,
    Internal,
    Invalid,
    Stale,
    TooLarge,
    Unavailable,
)
from actors.model.ids import HostId, ProjectId
from actors.model.reply import Err, Ok, Reply
from actors.ports.store import Batch, Eviction, Put, Remove, Table
from actors.store import commits
from actors.store.lane import Lane
from actors.store.sqlite import SqliteStore
from actors.store.tables import put_eviction, put_flavor
from tests.unit.store.records import (
    PARTITIONS,
    WRITER,
    all_instances,
    batch,
    flavor,
    instance,
    operation,
)

VM = instance()
JOB = operation(VM)


def flavors(*changes: Put | Remove, epoch: int = 1) -> Batch:
    return Batch(
        WRITER,
        epoch,
        tuple(c for c in changes if isinstance(c, Put)),
        tuple(c for c in changes if isinstance(c, Remove)),
    )


def put(key: str, generation: int = 1, name: str = "") -> Put:
    return put_flavor(flavor(name or key, key).evolve(generation=generation))


def gone(key: str) -> Remove:
    return Remove(Table.FLAVORS, key)


def kinds(replies: tuple[Reply[None], ...]) -> list[type[ComputeError] | None]:
    return [None if isinstance(reply, Ok) else type(reply.error) for reply in replies]


async def names(store: SqliteStore) -> list[str]:
    return [body.split('"name":"')[1].split('"')[0] for body in await store.load(Table.FLAVORS)]


async def test_a_batch_is_written(store: SqliteStore) -> None:
    await store.commit(batch(VM, JOB))
    await store.commit(batch(VM.evolve(generation=2, name="renamed")))
    assert await all_instances(store) == {VM.id: VM.evolve(generation=2, name="renamed")}
    assert await store.find_operation(JOB.id) == JOB


@pytest.mark.parametrize("generation", [-1, 0, 1, 2, 4, 5])
async def test_a_generation_that_does_not_follow_is_stale(
    store: SqliteStore, generation: int
) -> None:
    for n in (1, 2):
        await store.commit(flavors(put("a", n)))
    with pytest.raises(Stale, match="the stored one is 2") as refused:
        await store.commit(flavors(put("a", generation, "other"), put("b")))
    assert refused.value.reason == "STALE_GENERATION"
    assert await names(store) == ["a"]


async def test_a_new_row_has_generation_one(store: SqliteStore) -> None:
    with pytest.raises(Stale, match="there is none"):
        await store.commit(flavors(put("a", 2)))


async def test_a_taken_unique_column_is_refused(store: SqliteStore) -> None:
    await store.commit(batch(VM, JOB))
    other = instance("other")
    with pytest.raises(AlreadyExists, match="request_id"):
        await store.commit(batch(other, operation(other, request=JOB.request_id)))
    assert list(await all_instances(store)) == [VM.id]
    # The same request id in another project is another request.
    stranger = instance("other", project=ProjectId("another"))
    await store.commit(batch(stranger, operation(stranger, request=JOB.request_id)))


async def test_the_same_batch_again_is_answered_as_written(store: SqliteStore) -> None:
    first = batch(VM, JOB)
    await store.commit(first)
    await store.commit(first)
    assert kinds(await store.commit_many((first, first))) == [None, None]
    assert (await store.events_after(-1, 1, 0)).next_sequence == len(first.events)


async def test_a_batch_is_known_again_when_another_writer_has_taken_a_row_of_it_away(
    store: SqliteStore,
) -> None:
    """A host may have carried an eviction out before its writer, cut off, asks again."""
    first = batch(VM, JOB)
    await store.commit(first)
    eviction = put_eviction(Eviction(host_id=HostId("h1"), instance=VM.id, sequence=1, record=VM))
    moved = batch(VM.evolve(generation=2))
    moved = replace(moved, puts=(*moved.puts, eviction))
    await store.commit(moved)
    await store.commit(Batch(WRITER, moved.epoch, removes=(Remove(Table.EVICTIONS, eviction.key),)))
    await store.commit(moved)
    assert await store.evictions(HostId("h1")) == ()
    assert (await all_instances(store))[VM.id].generation == 2


async def test_an_old_epoch_is_fenced(store: SqliteStore) -> None:
    assert await store.begin_epoch(WRITER) == 2
    for epoch in (0, 1, 3):
        with pytest.raises(Fenced):
            await store.commit(batch(VM, epoch=epoch))
    with pytest.raises(Fenced):
        await store.commit(batch(VM, epoch=1, writer="nobody"))
    await store.commit(batch(VM, epoch=2))


async def test_a_batch_that_waits_is_fenced_by_a_new_epoch(store: SqliteStore) -> None:
    # The first keeps the queue busy; the second still waits when its writer is replaced.
    first = asyncio.create_task(store.commit(batch(VM)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(store.commit(batch(instance("late"))))
    await asyncio.sleep(0)
    assert await store.begin_epoch(WRITER) == 2
    await first
    with pytest.raises(Fenced):
        await second


async def test_epochs_belong_to_named_writers(store: SqliteStore) -> None:
    assert await store.begin_epoch("scheduler") == 1
    await store.commit(batch(VM))
    for name in ("conductor", ""):
        with pytest.raises(Invalid):
            await store.begin_epoch(name)


async def test_each_batch_of_a_group_stands_or_falls_alone(store: SqliteStore) -> None:
    await store.commit(flavors(put("taken")))
    replies = await store.commit_many(
        (
            flavors(put("a")),
            flavors(put("b"), put("x", 7)),
            flavors(put("c"), put("y", name="taken")),
            flavors(put("d"), epoch=9),
            Batch(WRITER, 1, (put("e"), Put(Table.FLAVORS, "z", 1, "{}", ("too", "many")))),
            Batch(WRITER, 1, (put("f"), Put(Table.FLAVORS, "z", 1, "{}", (None,)))),
            Batch(WRITER, 1, (put("g"), Put(Table.FLAVORS, "z", 1, "\ud800", ("surrogate",)))),
            flavors(put("h"), Put(Table.FLAVORS, "z", 1, "x" * 1_000_001, ("large",))),
            flavors(put("i")),
        )
    )
    assert kinds(replies) == [
        None,
        Stale,
        AlreadyExists,
        Fenced,
        Internal,
        Internal,
        Internal,
        TooLarge,
        None,
    ]
    assert await names(store) == ["a", "i", "taken"]


async def test_a_bad_event_falls_alone(store: SqliteStore) -> None:
    good, bad = batch(VM), batch(instance("bad"))
    event = replace(bad.events[0], project=ProjectId("\ud800"))
    assert kinds(await store.commit_many((replace(bad, events=(event,)), good))) == [Internal, None]
    assert list(await all_instances(store)) == [VM.id]
    events = (await store.events_after(0, 10, 0)).events
    assert [(e.sequence, e.id) for e in events] == [(1, VM.id)]


@pytest.mark.parametrize(
    ("changes", "expected", "left"),
    [
        ([(put("a"),), (put("a", 2),), (put("a", 3),)], [None] * 3, ["a"]),
        ([(put("a"),), (put("a", 3),), (put("a", 2),)], [None, Stale, None], ["a"]),
        ([(put("a", 2),), (put("a"),)], [Stale, None], ["a"]),
        ([(put("a"),), (gone("a"),)], [None, None], []),
        ([(put("a"),), (gone("a"),), (put("a"),)], [None] * 3, ["a"]),
        ([(put("a"),), (gone("a"),), (put("a", 2),)], [None, None, Stale], []),
        # A removal frees a name only for those that come after it.
        ([(put("a", name="n"),), (gone("a"),), (put("b", name="n"),)], [None] * 3, ["n"]),
        (
            [(put("a", name="n"),), (put("b", name="n"),), (gone("a"),)],
            [None, AlreadyExists, None],
            [],
        ),
        # So does a change of name.
        (
            [(put("a", name="n"),), (put("a", 2, "m"),), (put("b", name="n"),)],
            [None] * 3,
            ["m", "n"],
        ),
    ],
)
async def test_a_group_does_what_its_batches_would_do_one_after_another(
    store: SqliteStore,
    changes: list[tuple[Put | Remove, ...]],
    expected: list[type[ComputeError] | None],
    left: list[str],
) -> None:
    replies = await store.commit_many([flavors(*change) for change in changes])
    assert kinds(replies) == expected
    assert await names(store) == left


async def test_many_callers_share_few_transactions(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    run = Lane.run

    async def counted(self: Lane, work: object) -> object:
        nonlocal transactions
        transactions += 1
        return await run(self, work)  # type: ignore[arg-type]

    monkeypatch.setattr(Lane, "run", counted)
    monkeypatch.setattr(commits, "MAX_GROUP", 40)
    await asyncio.gather(*(store.commit(batch(instance(str(n)))) for n in range(100)))
    assert transactions == 3
    assert len(await all_instances(store)) == 100


async def test_a_caller_that_goes_away_hurts_nobody(store: SqliteStore) -> None:
    leaving = asyncio.create_task(store.commit(batch(VM)))
    staying = asyncio.create_task(store.commit(batch(instance("staying"))))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert len(await all_instances(store)) == 2


async def test_nothing_to_do_is_no_error(store: SqliteStore) -> None:
    assert await store.commit_many(()) == ()
    await store.commit(Batch(WRITER, 1))
    await store.commit(flavors(gone("unknown")))


async def test_a_batch_of_absurd_size_is_refused(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "MAX_BATCH", 3)
    with pytest.raises(TooLarge):
        await store.commit(flavors(*(put(str(n)) for n in range(4))))


async def test_a_full_disk_passes(store: SqliteStore) -> None:
    lane = store._writer
    pages = (await lane.run(lambda db: db.execute("PRAGMA page_count").fetchone()))[0]
    await lane.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    replies = await store.commit_many([batch(instance(str(n))) for n in range(100)])
    assert set(kinds(replies)) == {Exhausted}
    assert await all_instances(store) == {}
    await lane.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 1000}").fetchone())
    await store.commit(batch(VM, JOB))
    events = (await store.events_after(0, 10, 0)).events
    assert [event.sequence for event in events] == [1, 2]


async def test_a_broken_table_is_device_trouble(store: SqliteStore) -> None:
    await store._writer.run(lambda db: db.execute("DROP TABLE hosts"))
    with pytest.raises(Unavailable) as refused:
        await store.load(Table.HOSTS)
    assert refused.value.reason == "DATABASE_UNAVAILABLE"
    with pytest.raises(Unavailable):
        await store.commit(Batch(WRITER, 1, (Put(Table.HOSTS, "h", 1, "{}", ("n", "up")),)))
    await store.commit(batch(VM))


async def test_a_bug_in_the_queue_leaves_nobody_waiting(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(store._queue._writer, "write", bug)
        with pytest.raises(Internal, match="a bug"):
            await store.commit(batch(VM))
    await store.commit(batch(VM))


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.commit(batch(VM))
    with pytest.raises(Unavailable, match="closed"):
        await store.load(Table.HOSTS)


async def test_replies_are_errors_or_nothing(store: SqliteStore) -> None:
    ok, refused = await store.commit_many((batch(VM), batch(instance("b"), epoch=5)))
    assert ok == Ok(None)
    assert isinstance(refused, Err)


async def test_the_helpers_know_the_partitions(store: SqliteStore) -> None:
    assert store.partitions == PARTITIONS
