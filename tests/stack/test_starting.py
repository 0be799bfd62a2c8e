"""Actors that start while something is wrong with what they need."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.model.errors import ComputeError, Exhausted, Internal
from actors.model.instance import VmState
from actors.model.operation import Action, OperationState
from tests.local.cluster import LocalCluster, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


def fails_first(call: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    left = [error, error]

    async def tried(*args: object) -> object:
        if left:
            raise left.pop(0)
        return await call(*args)

    return tried


@pytest.mark.parametrize(
    "error",
    [Exhausted("No space left.", "DATABASE_FULL"), Internal("A bug.")],
    ids=lambda e: e.kind,
)
async def test_instances_are_loaded_once_the_store_lets_them(
    cluster: LocalCluster, error: ComputeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.gate.hold("create.ensure_disk.before")
    made = await cluster.boot()
    await cluster.gate.arrival("create.ensure_disk.before")
    monkeypatch.setattr(
        cluster.store, "begin_epoch", fails_first(cluster.store.begin_epoch, error), raising=False
    )
    await cluster.crash("instances")
    cluster.gate.release("create.ensure_disk.before")
    assert (await cluster.ended(made.operation)).state is OperationState.SUCCEEDED


@pytest.mark.parametrize(
    "error",
    [Exhausted("No space left.", "DATABASE_FULL"), Internal("A bug."), OSError("read-only")],
    ids=str,
)
async def test_a_host_starts_once_it_can(
    cluster: LocalCluster, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypervisor = cluster.hypervisors["host1"]
    if isinstance(error, OSError):
        tries, opens = [error, error], hypervisor.open

        def opened(*listeners: Any) -> None:
            if tries:
                raise tries.pop()
            opens(*listeners)

        monkeypatch.setattr(hypervisor, "open", opened)
    else:
        monkeypatch.setattr(
            cluster.store,
            "begin_epoch",
            fails_first(cluster.store.begin_epoch, error),
            raising=False,
        )
    await cluster.crash("host1")
    made = await cluster.boot()
    assert (await cluster.ended(made.operation)).state is OperationState.SUCCEEDED


async def test_an_instance_whose_operation_cannot_be_read_can_still_be_deleted(
    cluster: LocalCluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.gate.hold("create.ensure_running.before")
    made = await cluster.boot()
    await cluster.gate.arrival("create.ensure_running.before")
    await cluster.kill("instances")
    with sqlite3.connect(cluster.folder / "novaray.sqlite") as db:
        db.execute("UPDATE operations SET body = '{}'")
    db.close()
    cluster.spawn("instances")
    cluster.gate.release("create.ensure_running.before")
    async with asyncio.timeout(30):
        record = await cluster.instances.get(made.instance.id)
    assert (record.vm_state, record.task_state) == (VmState.ERROR, None)
    assert record.fault is not None
    assert record.fault.reason == "OPERATION_LOST"
    assert made.operation.id in caplog.text
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {}
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)
