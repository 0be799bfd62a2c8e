"""A clone's boot: every step of it fails, is repeated, is cut off; its origin stays what it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.commands import CloneInstance
from actors.model.errors import HypervisorRefused, Unavailable
from actors.model.guest_data import GuestData
from actors.model.ids import InstanceId, RequestId, instance_id_for, operation_id
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import Accepted
from actors.ports.store import Table
from tests.local.cluster import PROJECT, USER, LocalCluster, local_cluster

HOST_STEPS = ("ensure_image", "ensure_network", "ensure_cloned_disk", "ensure_running")
POINTS = [f"create.{step}" for step in ("claim", "ports", *HOST_STEPS)]
UNDOS = [
    f"create.{step}"
    for step in ("ensure_absent", "remove_disk", "remove_network", "undo_ports", "undo_claim")
]
ACTORS = ("instances", "host1", "scheduler", "network", "conductor")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path, hosts=2) as made:
        yield made


async def origin_of(cluster: LocalCluster) -> InstanceRecord:
    """An instance that runs; what the gates saw of its boot is forgotten."""
    made = await cluster.boot()
    await cluster.ended(made.operation)
    cluster.gate.reached.clear()
    record: InstanceRecord = await cluster.instances.get(made.instance.id)
    return record


async def clone(cluster: LocalCluster, origin: InstanceRecord) -> Accepted:
    request = RequestId("clone")
    instance = instance_id_for(PROJECT, request)
    return await cluster.instances.create(
        CloneInstance(
            instance=instance,
            project=PROJECT,
            user=USER,
            request_id=request,
            name="clone",
            flavor=origin.flavor,
            source=origin.source,
            host=origin.host,
            guest_data=GuestData(
                id=operation_id(instance, 1), instance=instance, admin_password="its own"
            ),
            origin=origin.id,
            guest_data_from=origin.guest_data,
        )
    )


def refused() -> HypervisorRefused:
    return HypervisorRefused("The hypervisor refused, as the test says.", "TEST_REFUSAL")


def lost() -> Unavailable:
    return Unavailable("The answer was lost, as the test says.", "TEST_LOST")


async def assert_cloned(
    cluster: LocalCluster, origin: InstanceRecord, done: OperationRecord
) -> None:
    """Both run, on one host; the origin's record has not moved."""
    assert done.state is OperationState.SUCCEEDED, done
    assert cluster.domains() == {origin.id: "running", done.instance: "running"}
    record = await cluster.instances.get(done.instance)
    assert (record.vm_state, record.host_id) == (VmState.ACTIVE, origin.host_id)
    assert await cluster.instances.get(origin.id) == origin
    assert await cluster.claims() == 2
    assert await cluster.ports() == 2


async def assert_only_the_origin(cluster: LocalCluster, origin: InstanceRecord) -> None:
    assert cluster.domains() == {origin.id: "running"}
    assert cluster.disks() == {origin.id}
    assert await cluster.instances.get(origin.id) == origin
    assert await cluster.claims() == 1
    assert await cluster.ports() == 1


async def test_a_clone_is_told_what_its_origin_was(cluster: LocalCluster) -> None:
    origin = await origin_of(cluster)
    made = await clone(cluster, origin)
    await assert_cloned(cluster, origin, await cluster.ended(made.operation))
    assert "create.ensure_disk.before" not in cluster.gate.reached
    told = await cluster.store.find(Table.GUEST_DATA, made.operation.id)
    data = GuestData.model_validate_json(told)
    assert (data.user_data, data.admin_password) == ("aGk=", "its own")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_step_fails(cluster: LocalCluster, point: str, when: str) -> None:
    origin = await origin_of(cluster)
    for _ in range(3):
        cluster.gate.fail(f"{point}.{when}", refused)
    made = await clone(cluster, origin)
    done = await cluster.ended(made.operation)
    assert done.state is OperationState.FAILED
    assert f"{point}.{when}" in cluster.gate.reached
    await assert_only_the_origin(cluster, origin)
    deleted = await cluster.act(done.instance, Action.DELETE)
    await cluster.ended(deleted.operation)
    await assert_only_the_origin(cluster, origin)


@pytest.mark.parametrize("point", POINTS)
async def test_a_step_is_repeated(cluster: LocalCluster, point: str) -> None:
    origin = await origin_of(cluster)
    cluster.gate.fail(f"{point}.after", lost)
    made = await clone(cluster, origin)
    await assert_cloned(cluster, origin, await cluster.ended(made.operation))
    assert cluster.gate.reached.count(f"{point}.before") == 2


@pytest.mark.parametrize("point", UNDOS)
async def test_an_undo_is_repeated(cluster: LocalCluster, point: str) -> None:
    origin = await origin_of(cluster)
    cluster.gate.fail("create.ensure_running.after", refused)
    cluster.gate.fail(f"{point}.after", lost)
    cluster.gate.fail(f"{point}.after", refused)
    made = await clone(cluster, origin)
    done = await cluster.ended(made.operation)
    assert done.state is OperationState.FAILED
    assert cluster.gate.reached.count(f"{point}.before") >= 3
    await assert_only_the_origin(cluster, origin)


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
async def test_an_actor_is_lost_in_a_step(
    cluster: LocalCluster, point: str, when: str, actor: str
) -> None:
    origin = await origin_of(cluster)
    cluster.gate.hold(f"{point}.{when}")
    made = await clone(cluster, origin)
    await cluster.gate.arrival(f"{point}.{when}")
    await cluster.crash(actor)
    cluster.gate.release(f"{point}.{when}")
    await assert_cloned(cluster, origin, await cluster.ended(made.operation))


@pytest.mark.parametrize("point", POINTS)
async def test_a_delete_interrupts_it(cluster: LocalCluster, point: str) -> None:
    origin = await origin_of(cluster)
    cluster.gate.hold(f"{point}.after")
    made = await clone(cluster, origin)
    await cluster.gate.arrival(f"{point}.after")
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    cluster.gate.release(f"{point}.after")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    await assert_only_the_origin(cluster, origin)


async def test_it_waits_while_something_is_done_to_its_origin(cluster: LocalCluster) -> None:
    """And says so. The freeze is between two jobs of the origin, never within one."""
    origin = await origin_of(cluster)
    cluster.gate.hold("pause.ensure_paused.before")
    paused = await cluster.act(origin.id, Action.PAUSE)
    await cluster.gate.arrival("pause.ensure_paused.before")
    made = await clone(cluster, origin)
    async with asyncio.timeout(30):
        while origin.id not in await waits_for(cluster, made):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    cluster.gate.release("pause.ensure_paused.before")
    await cluster.ended(paused.operation)
    assert (await cluster.ended(made.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {origin.id: "paused", made.instance.id: "running"}


async def waits_for(cluster: LocalCluster, made: Accepted) -> str:
    operation: OperationRecord = await cluster.instances.operation(made.operation.id)
    return operation.waiting_for


async def test_its_origin_is_deleted_first(cluster: LocalCluster) -> None:
    origin = await origin_of(cluster)
    cluster.gate.hold("create.ensure_network.after")
    made = await clone(cluster, origin)
    await cluster.gate.arrival("create.ensure_network.after")
    await cluster.ended((await cluster.act(origin.id, Action.DELETE)).operation)
    cluster.gate.release("create.ensure_network.after")
    done = await cluster.ended(made.operation)
    assert done.state is OperationState.FAILED
    assert done.fault is not None
    assert done.fault.reason == "DISK_NOT_FOUND"
    assert InstanceId(origin.id) in done.fault.message
    assert cluster.domains() == {}
