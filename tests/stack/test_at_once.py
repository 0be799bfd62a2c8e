"""Fifty operations sent at once to one instance: served in order or refused, and delete wins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from actors.model.errors import NotFound
from actors.model.ids import InstanceId
from actors.model.operation import Action, OperationRecord, OperationState
from tests.local.cluster import LocalCluster, local_cluster
from tests.sagas.at_once import Answer, assert_one_at_a_time, fifty, taken
from tests.sagas.points import POWER

SEEDS: Final = range(5)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def running(cluster: LocalCluster) -> InstanceId:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    return made.instance.id


async def send(cluster: LocalCluster, instance: InstanceId, seed: int, name: str) -> list[Answer]:
    """Fifty at once."""
    return await asyncio.gather(
        *(
            cluster.act(instance, action, f"{name}-{number}", details)
            for number, (action, details) in enumerate(fifty(seed))
        ),
        return_exceptions=True,
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_fifty_of_all_kinds_are_served_in_order_or_refused(
    cluster: LocalCluster, seed: int
) -> None:
    instance = await running(cluster)
    served: list[OperationRecord] = []
    for wave in range(4):
        accepted = taken(await send(cluster, instance, 10 * seed + wave, f"w{wave}"))
        served += [await cluster.ended(operation) for operation in accepted]
    assert_one_at_a_time(served)
    last = served[-1]
    assert last.state is OperationState.SUCCEEDED
    # What the guest is, is what the last of them makes of it; and nobody makes it anything else.
    assert cluster.domains() == {instance: POWER.get(last.action, "running")}
    record = await cluster.instances.get(instance)
    assert (record.sequence, record.task_state) == (last.sequence, None)
    assert record.power_state == POWER.get(last.action, "running")
    assert len(await cluster.store.load_operations(instance)) == last.sequence


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_delete_among_fifty_wins(cluster: LocalCluster, seed: int) -> None:
    instance = await running(cluster)
    before, deleted, after = await asyncio.gather(
        send(cluster, instance, seed, "before"),
        cluster.act(instance, Action.DELETE),
        send(cluster, instance, seed + 1, "after"),
    )
    done = await cluster.ended(deleted.operation)
    assert done.state is OperationState.SUCCEEDED
    accepted = taken([*before, *after])
    served = [await cluster.ended(operation) for operation in accepted]
    assert_one_at_a_time(sorted([*served, done], key=lambda one: one.sequence))
    assert max([0, *(one.sequence for one in served)]) < done.sequence
    with pytest.raises(NotFound):
        await cluster.instances.get(instance)
    assert cluster.domains() == {}
    assert cluster.disks() == set()
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)
