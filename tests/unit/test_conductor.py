"""The ConductorActor without Ray: a plain class over the store."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol, cast

import pytest

from actors.conductor import ConductorActor
from actors.model.errors import AlreadyExists, Invalid, Stale, Unavailable
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.identity import Principal, Role, TokenRecord
from actors.model.ids import FlavorId, HostId, OperationId, ProjectId, UserId, partition_of
from actors.model.reply import Err, Ok, Reply
from actors.ports.store import Batch, Eviction, Store, Table
from actors.store.sqlite import SqliteStore
from actors.store.tables import put_eviction
from tests.unit.store.records import DEMO, NOON, PARTITIONS, WRITER, batch, instance, operation

VM = instance()
JOB = operation(VM, request="req")
TOKEN = TokenRecord(
    sha256="a" * 64, user=UserId("ann"), project=DEMO, role=Role.MEMBER, created=NOON
)


class PlainConductor(Store, Protocol):
    """The actor's methods, called without Ray: ``@ray.method`` gives them the type of handles."""

    async def commit_many(self, batches: tuple[Batch, ...]) -> tuple[Reply[None], ...]: ...

    async def evictions(self, host_id: HostId) -> tuple[Eviction, ...]: ...

    async def partitions(self) -> int: ...

    async def flavors(self) -> tuple[Flavor, ...]: ...

    async def ensure_flavor(self, flavor: Flavor) -> Flavor: ...

    async def principal(self, token_sha256: str) -> Principal | None: ...

    async def ensure_token(self, token: TokenRecord) -> None: ...

    async def revoke_token(self, sha256: str) -> None: ...

    async def close(self) -> None: ...


def plain_conductor(path: Path, partitions: int = PARTITIONS) -> PlainConductor:
    return cast("PlainConductor", ConductorActor(str(path), partitions))


@pytest.fixture(autouse=True)
def switch_interval() -> Iterator[None]:
    """The actor sets its process's."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "novaray.sqlite"


@pytest.fixture
async def conductor(path: Path) -> AsyncIterator[PlainConductor]:
    actor = plain_conductor(path)
    yield actor
    await actor.close()


async def restarted(conductor: PlainConductor, path: Path) -> PlainConductor:
    await conductor.close()
    return plain_conductor(path)


async def test_it_answers_as_a_store(conductor: PlainConductor) -> None:
    store = conductor
    assert await store.begin_epoch(WRITER) == 1
    await store.commit(batch(VM, JOB))
    ok, refused = await conductor.commit_many(
        (batch(VM.evolve(generation=2)), batch(VM.evolve(generation=7)))
    )
    assert ok == Ok(None)
    assert isinstance(refused, Err)
    assert isinstance(refused.error, Stale)

    newest = VM.evolve(generation=2)
    assert await store.load(Table.INSTANCES) == (newest.model_dump_json(),)
    assert await store.load_partition(partition_of(VM.id, PARTITIONS)) == ((newest,), (JOB,))
    assert await store.load_operations(VM.id) == (JOB,)
    assert await store.find_operation(JOB.id) == JOB
    assert await store.find_operation(OperationId("x.1")) is None
    assert await store.find_request(DEMO, "req") == JOB
    assert await store.find_operations(DEMO, None, 10) == (JOB,)
    assert (await store.events_after(0, 10, 0)).next_sequence == 3


async def test_evictions_and_partitions(conductor: PlainConductor) -> None:
    eviction = Eviction(host_id=HostId("host"), instance=VM.id, sequence=1, record=VM)
    epoch = await conductor.begin_epoch(WRITER)
    await conductor.commit(Batch(WRITER, epoch, (put_eviction(eviction),)))
    assert await conductor.evictions(HostId("host")) == (eviction,)
    assert await conductor.partitions() == PARTITIONS


async def test_flavors_are_ensured_once(conductor: PlainConductor, path: Path) -> None:
    for _ in range(2):
        for flavor in DEFAULT_FLAVORS:
            assert await conductor.ensure_flavor(flavor) == flavor
    expected = tuple(sorted(DEFAULT_FLAVORS, key=lambda flavor: flavor.memory_mb))
    assert await conductor.flavors() == expected
    # Another size under the same id and name: the existing one stays.
    tiny = DEFAULT_FLAVORS[0]
    assert await conductor.ensure_flavor(tiny.evolve(memory_mb=1)) == tiny
    for taken in (tiny.evolve(id=FlavorId("other")), tiny.evolve(name="other")):
        with pytest.raises(AlreadyExists, match=tiny.name):
            await conductor.ensure_flavor(taken)
    again = await restarted(conductor, path)
    assert await again.flavors() == expected
    await again.close()


async def test_the_same_flavor_twice_at_once(conductor: PlainConductor) -> None:
    tiny = DEFAULT_FLAVORS[0]
    assert await asyncio.gather(*(conductor.ensure_flavor(tiny) for _ in range(3))) == [tiny] * 3


async def test_tokens(conductor: PlainConductor, path: Path) -> None:
    assert await conductor.principal(TOKEN.sha256) is None
    for _ in range(2):
        await conductor.ensure_token(TOKEN)
    member = Principal(user=UserId("ann"), project=DEMO, role=Role.MEMBER)
    assert await conductor.principal(TOKEN.sha256) == member
    # The same token for somebody else, later: the last word counts.
    await conductor.ensure_token(TOKEN.evolve(project=ProjectId("other"), role=Role.ADMIN))
    admin = Principal(user=UserId("ann"), project=ProjectId("other"), role=Role.ADMIN)
    again = await restarted(conductor, path)
    assert await again.principal(TOKEN.sha256) == admin
    for _ in range(2):
        await again.revoke_token(TOKEN.sha256)
    assert await again.principal(TOKEN.sha256) is None
    assert await again.load(Table.TOKENS) == ()
    await again.ensure_token(TOKEN)
    assert await again.principal(TOKEN.sha256) == member
    await again.close()


async def test_it_says_who_it_is(conductor: PlainConductor, path: Path) -> None:
    """Ray takes the words once, when the actor is made: nothing in them changes later."""
    before = repr(conductor)
    assert before == f"Conductor({path})"
    await conductor.partitions()
    assert repr(conductor) == before


async def test_other_partitions_are_refused(conductor: PlainConductor, path: Path) -> None:
    await conductor.partitions()
    wrong = plain_conductor(path, PARTITIONS + 1)
    with pytest.raises(Invalid, match="made with 4 partitions"):
        await wrong.partitions()


async def test_it_tries_again_when_it_could_not_open(tmp_path: Path) -> None:
    path = tmp_path / "later" / "novaray.sqlite"
    conductor = plain_conductor(path)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await conductor.partitions()
    path.parent.mkdir()
    assert await conductor.partitions() == PARTITIONS
    await conductor.close()


async def test_a_caller_that_goes_away_does_not_stop_the_opening(
    conductor: PlainConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = asyncio.create_task(conductor.partitions())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await conductor.partitions() == PARTITIONS


async def test_a_catalog_that_cannot_be_read_closes_the_database(
    conductor: PlainConductor, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await conductor.ensure_token(TOKEN)
    closed = []
    close = SqliteStore.close

    async def noted(self: SqliteStore) -> None:
        closed.append(self.epoch)
        await close(self)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "close", noted)
        patch.setattr(TokenRecord, "model_validate_json", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await plain_conductor(path).partitions()
    assert closed == [2]
