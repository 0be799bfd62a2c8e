"""Fifty operations sent at once to one instance, through Ray, by several callers."""

import asyncio
from collections.abc import Iterator

import pytest

from actors.model.errors import NotFound
from actors.model.ids import InstanceId
from actors.model.operation import Action, OperationState
from tests.ray.kill_cluster import Caller, KillCluster, Remains, caller, kill_cluster
from tests.sagas.at_once import Answer, assert_one_at_a_time, fifty, taken
from tests.sagas.points import POWER

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KillCluster]:
    with kill_cluster() as made:
        yield made


async def send(users: list[Caller], instance: InstanceId, seed: int) -> list[Answer]:
    """Fifty at once, each by the next caller: what one handle sends would gather in few calls."""
    return await asyncio.gather(
        *(
            users[number % len(users)].act(instance, action, details)
            for number, (action, details) in enumerate(fifty(seed))
        ),
        return_exceptions=True,
    )


async def test_fifty_at_once_are_served_in_order_or_refused(cluster: KillCluster) -> None:
    users = [await caller(cluster) for _ in range(5)]
    instance = await users[0].running()
    operations = []
    for seed in range(3):
        accepted = taken(await send(users, instance, seed))
        ended = await users[0].ended([one.id for one in accepted])
        operations += [ended[one.id] for one in accepted]
    assert_one_at_a_time(operations)
    last = operations[-1]
    power = POWER.get(last.action, "running")
    assert (await users[0].remains()).domains == {instance: power}
    record = (await users[0].records())[instance]
    assert (record.sequence, record.task_state, record.power_state) == (last.sequence, None, power)
    await users[0].delete_all()


async def test_a_delete_among_fifty_wins(cluster: KillCluster) -> None:
    users = [await caller(cluster) for _ in range(5)]
    instance = await users[0].running()
    before, deleted, after = await asyncio.gather(
        send(users, instance, 1), users[0].act(instance, Action.DELETE), send(users, instance, 2)
    )
    accepted = taken([*before, *after])
    ended = await users[0].ended([deleted.operation.id, *(one.id for one in accepted)])
    done = ended[deleted.operation.id]
    assert done.state is OperationState.SUCCEEDED
    assert_one_at_a_time(sorted(ended.values(), key=lambda one: one.sequence))
    assert max(one.sequence for one in ended.values()) == done.sequence
    with pytest.raises(NotFound):
        await users[0].handles.instances.get(instance)
    assert await users[0].remains() == Remains({}, set(), [], [])
