"""The fake store keeps the rules that the real one keeps."""

import asyncio

import pytest

from actors.model.errors import AlreadyExists, Expired, Fenced, Stale, Unavailable
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.ids import FlavorId, ProjectId
from actors.model.query import Event, EventKind
from actors.ports.store import Batch, Put, Remove, Store, Table
from actors.store.tables import put_flavor
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore

TINY, SMALL, *_ = DEFAULT_FLAVORS


async def store_with(*flavors: Flavor) -> MemoryStore:
    store = MemoryStore()
    await store.begin_epoch("w")
    await store.commit(batch(*(put_flavor(flavor) for flavor in flavors)))
    return store


def batch(*puts: Put, epoch: int = 1, events: tuple[Event, ...] = ()) -> Batch:
    return Batch("w", epoch, puts, events=events)


def event(clock: FakeClock) -> Event:
    return Event(0, clock.now(), ProjectId("p"), EventKind.INSTANCE, "i", 1, "{}")


async def test_it_is_a_store() -> None:
    store: Store = await store_with(TINY, SMALL)
    bodies = await store.load(Table.FLAVORS)
    assert [Flavor.model_validate_json(body) for body in bodies] == [TINY, SMALL]


async def test_an_old_epoch_is_fenced() -> None:
    store = await store_with()
    await store.begin_epoch("w")
    with pytest.raises(Fenced):
        await store.commit(batch())
    with pytest.raises(Fenced):
        await store.commit(Batch("nobody", 1))


@pytest.mark.parametrize("generation", [1, 3])
async def test_a_generation_must_follow_and_nothing_of_the_batch_stays(generation: int) -> None:
    store = await store_with(TINY)
    before = dict(store.rows[Table.FLAVORS])
    again = put_flavor(TINY.model_copy(update={"generation": generation, "vcpus": 9}))
    with pytest.raises(Stale):
        await store.commit(batch(put_flavor(SMALL), again))
    assert store.rows[Table.FLAVORS] == before
    await store.commit(batch(put_flavor(SMALL)))


async def test_a_unique_value_is_given_once() -> None:
    store = await store_with(TINY)
    twin = put_flavor(TINY.model_copy(update={"id": FlavorId("twin")}))
    with pytest.raises(AlreadyExists):
        await store.commit(batch(twin))
    await store.commit(Batch("w", 1, removes=(Remove(Table.FLAVORS, TINY.id),)))
    await store.commit(batch(twin))


async def test_a_batch_that_was_written_before_is_answered_as_written() -> None:
    store = await store_with(TINY)
    await store.commit(batch(put_flavor(TINY)))
    assert len(store.commits) == 1


async def test_a_failure_before_or_after_writing() -> None:
    store = await store_with()
    store.fail_next(Unavailable("away"))
    store.fail_next(Unavailable("answer lost"), after_writing=True)
    for expected in (0, 1):
        with pytest.raises(Unavailable):
            await store.commit(batch(put_flavor(TINY)))
        assert len(store.rows[Table.FLAVORS]) == expected


async def test_events_are_numbered_waited_for_and_pruned() -> None:
    store, clock = await store_with(), FakeClock()
    present = await store.events_after(-1, 10, 0)
    waiting = asyncio.create_task(store.events_after(present.next_sequence, 10, 5))
    await asyncio.sleep(0)
    await store.commit(batch(events=(event(clock), event(clock))))
    found = await waiting
    assert [e.sequence for e in found.events] == [1, 2]
    assert found.next_sequence == 2
    assert (await store.events_after(1, 10, 0)).events == found.events[1:]
    assert (await store.events_after(2, 10, 0.001)).events == ()
    store.prune_events(1)
    with pytest.raises(Expired):
        await store.events_after(0, 10, 0)
