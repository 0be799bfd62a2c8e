"""Requests that come twice during a kill, two processes of one actor, kills at any moment."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import pytest

from actors.handles.remote import Remote, instances_name
from actors.model.commands import CreateInstance
from actors.model.ids import OperationId
from actors.model.instance import PowerState
from actors.model.operation import Action, OperationRecord, OperationState
from cluster import spawn
from tests.ray.kill_cluster import (
    Caller,
    KillCluster,
    Remains,
    caller,
    kill_cluster,
    patiently,
)

pytestmark = pytest.mark.timeout(600)

ACTORS = ("conductor", "scheduler", "network", "images", "volumes", "instances", "host")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KillCluster]:
    with kill_cluster() as made:
        yield made


@pytest.mark.parametrize("killed", ["instances", "conductor"])
async def test_a_create_that_comes_again_makes_one_instance(
    cluster: KillCluster, killed: str
) -> None:
    """Each request comes before, during and after the kill, in the middle of others."""
    user = await caller(cluster)
    requests = [user.create() for _ in range(20)]

    async def send(number: int, request: CreateInstance) -> OperationId:
        await asyncio.sleep(number * 0.005)  # spread over the time that the kill takes
        made = await patiently(lambda: user.handles.instances.create(request))
        return made.operation.id

    async with asyncio.TaskGroup() as together:
        sent = [together.create_task(send(*one)) for one in enumerate(requests * 3)]
        together.create_task(cluster.kill(killed))
    operations = {one.result() for one in sent}
    assert len(operations) == len(requests)
    ended = await user.ended(operations)
    assert {one.state for one in ended.values()} == {OperationState.SUCCEEDED}
    instances = sorted(request.instance for request in requests)
    assert sorted(await user.records()) == instances
    remains = await user.remains()
    assert sorted(remains.domains) == sorted(remains.claims) == sorted(remains.ports) == instances
    await user.delete_all()


async def test_an_actor_that_was_replaced_writes_nothing(
    cluster: KillCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two InstanceActors have one operation in hand: the newer ends it, the older itself."""
    user = await caller(cluster)
    cluster.gates.close("create.claim.before")
    operation = (await user.boot()).operation
    await cluster.gates.arrival("create.claim.before")
    older, newer = await cluster.pid("instances"), Remote(_successor(0))
    monkeypatch.setattr(spawn, "instances_name", _successor)
    cluster.spawn()
    try:
        # When it answers it has read its instances, and goes on with their operations.
        await patiently(lambda: newer.call("placed", cluster.host))
        cluster.gates.open()
        assert (await _stored(user, operation)).state is OperationState.SUCCEEDED
        # Its write was refused, so it ended. Ray cannot know that it has a successor by another
        # name, and starts it again.
        await cluster.pid("instances", after=older)
    finally:
        cluster.gates.open()
        spawn.end_actor(_successor(0))
    remains = await user.remains()
    assert remains.domains == {operation.instance: PowerState.RUNNING}
    assert remains.claims == remains.ports == [operation.instance]

    # The one that is left takes the partition back.
    stopped = await user.act(operation.instance, Action.STOP)
    assert (await user.done(stopped)).state is OperationState.SUCCEEDED
    await user.delete_all()


async def test_lives_go_on_under_random_kills(cluster: KillCluster) -> None:
    user = await caller(cluster)
    kills = random.Random(20261122).choices(ACTORS, k=12)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as together:
        lives = [together.create_task(_live(user, over)) for _ in range(8)]
        for killed in kills:
            dead = await cluster.kill(killed)
            await cluster.pid(killed, after=dead)
        over.set()
    ended = list(itertools.chain.from_iterable(life.result() for life in lives))
    assert len(ended) >= 3 * len(lives)
    assert [one for one in ended if one.state is not OperationState.SUCCEEDED] == []
    assert await user.remains() == Remains({}, set(), [], [])


async def _live(user: Caller, over: asyncio.Event) -> list[OperationRecord]:
    """Instances are made, stopped, started and deleted, one after the other."""
    ended = []
    while not over.is_set():
        done = await user.done(await user.boot())
        ended.append(done)
        for action in (Action.STOP, Action.START, Action.DELETE):
            accepted = await user.act(done.instance, action)
            ended.append(await user.done(accepted))
    return ended


async def _stored(user: Caller, operation: OperationRecord) -> OperationRecord:
    """The operation when the store has its end: no InstanceActor is asked."""
    position = -1
    async with asyncio.timeout(120):
        while True:
            batch = await user.handles.store.events_after(position, 1000, 1.0)
            position = batch.next_sequence
            found = await user.handles.store.find_operation(operation.id)
            if found is not None and found.done:
                return found


def _successor(partition: int) -> str:
    return f"{instances_name(partition)}-successor"
