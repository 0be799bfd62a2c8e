"""The store against a dict: any groups of batches do what the same batches do one by one."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.model.errors import AlreadyExists, Fenced, Stale
from actors.model.ids import ProjectId
from actors.model.query import Event, EventKind
from actors.model.reply import Ok, Reply
from actors.ports.store import Batch, Put, Remove, Table
from actors.store.sqlite import SqliteStore
from tests.unit.store.records import NOON, PARTITIONS

KEYS = st.sampled_from("abc")
#: Flavors, because their names are unique: few names, so that they collide.
PUTS = st.builds(
    lambda key, generation, name: Put(Table.FLAVORS, key, generation, f"{key}.{name}", (name,)),
    KEYS,
    st.integers(1, 4),
    st.sampled_from("xyz"),
)
REMOVES = st.builds(Remove, st.just(Table.FLAVORS), KEYS)
BATCHES = st.builds(
    lambda epoch, puts, removes: Batch(
        "w",
        epoch,
        tuple(puts),
        tuple(removes),
        tuple(
            Event(0, NOON, ProjectId("p"), EventKind.INSTANCE, p.key, p.generation, p.body)
            for p in puts
        ),
    ),
    st.sampled_from((1, 1, 1, 1, 2)),
    st.lists(PUTS, max_size=3, unique_by=lambda put: put.key),
    st.lists(REMOVES, max_size=1),
)
GROUPS = st.lists(st.lists(BATCHES, max_size=8), max_size=8)


@dataclass
class Model:
    """What the store should hold."""

    rows: dict[str, Put] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def commit(self, batch: Batch) -> type[Exception] | None:
        if batch.epoch != 1:
            return Fenced
        if batch.puts and all(self.rows.get(put.key) == put for put in batch.puts):
            return None
        rows = dict(self.rows)
        for put in batch.puts:
            stored = rows.get(put.key)
            # SQLite looks at the key of a new row first, at unique columns of a changed row first.
            if put.generation != (stored.generation if stored else 0) + 1:
                return Stale
            if any(r.columns == put.columns for r in rows.values() if r.key != put.key):
                return AlreadyExists
            rows[put.key] = put
        for remove in batch.removes:
            rows.pop(remove.key, None)
        self.rows = rows
        self.events += [event.body for event in batch.events]
        return None


def kind(reply: Reply[None]) -> type[Exception] | None:
    return None if isinstance(reply, Ok) else type(reply.error)


@given(GROUPS)
def test_the_store_does_what_a_dict_does(groups: list[list[Batch]]) -> None:
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "db"
            store = await SqliteStore.open(path, PARTITIONS)
            await store.begin_epoch("w")
            model = Model()
            for group in groups:
                replies = await store.commit_many(group)
                assert [kind(reply) for reply in replies] == [model.commit(b) for b in group]
            await store.close()
            store = await SqliteStore.open(path, PARTITIONS)
            rows = tuple(model.rows[key].body for key in sorted(model.rows))
            assert await store.load(Table.FLAVORS) == rows
            events = (await store.events_after(0, 1000, 0)).events
            assert [event.body for event in events] == model.events
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            await store.close()

    asyncio.run(check())
