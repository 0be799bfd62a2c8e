"""Hosts that fail, leave and come back, with real actors, SQLite and libvirt's test driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from actors.model.errors import ComputeError, Exhausted, Expired, NoValidHost
from actors.model.ids import InstanceId
from actors.model.instance import PowerState, VmState
from actors.model.operation import Action, OperationState
from actors.ports.store import Table
from tests.local.cluster import LocalCluster, host_id, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path, hosts=2) as made:
        yield made


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def running(cluster: LocalCluster) -> InstanceId:
    made = await cluster.boot()
    assert (await cluster.ended(made.operation)).state is OperationState.SUCCEEDED
    return made.instance.id


def disk_full() -> ComputeError:
    return Exhausted("The host's disk is full.", "DISK_FULL")


async def test_a_boot_that_fails_goes_to_another_host(pair: LocalCluster) -> None:
    pair.gate.fail("create.ensure_disk.before", disk_full)
    made = await pair.boot()
    done = await pair.ended(made.operation)
    assert (done.state, done.attempt, done.fault) == (OperationState.SUCCEEDED, 2, None)
    record = await pair.instances.get(made.instance.id)
    assert record.vm_state is VmState.ACTIVE
    assert record.host_id not in done.refused
    assert list(pair.domains()) == [made.instance.id]
    assert await pair.claims() == 1
    blamed = {u.record.name: u.record.failed_builds for u in await pair.usages()}
    assert sorted(blamed.values()) == [0, 1]


async def test_a_boot_that_fails_everywhere_says_why_per_host(pair: LocalCluster) -> None:
    pair.gate.fail("create.ensure_disk.before", disk_full, times=2)
    made = await pair.boot()
    done = await pair.ended(made.operation)
    assert done.state is OperationState.FAILED
    assert done.fault is not None
    assert done.fault.reason == "DISK_FULL"
    assert set(done.fault.hosts) == {"host1", "host2"}
    record = await pair.instances.get(made.instance.id)
    assert (record.vm_state, record.host_id, record.nics) == (VmState.ERROR, None, ())
    assert record.fault == done.fault


async def test_no_host_at_all(cluster: LocalCluster) -> None:
    cluster.flavor = cluster.flavor.evolve(memory_mb=10_000_000)
    made = await cluster.boot()
    done = await cluster.ended(made.operation)
    assert done.fault is not None
    assert done.fault.kind == NoValidHost.kind.value
    assert "host1" in done.fault.hosts
    assert await cluster.claims() == 0


async def test_a_delete_does_not_wait_for_a_host_that_stays_away(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    await cluster.kill("host1")
    cluster.lose_patience()
    deleted = await cluster.act(instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert list(cluster.domains()) == [instance]
    assert len(await cluster.store.load(Table.EVICTIONS)) == 1
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)

    cluster.spawn("host1")

    async def removed() -> bool:
        return not cluster.domains() and not await cluster.store.load(Table.EVICTIONS)

    await eventually(removed)
    assert cluster.disks() == set()


async def test_what_cannot_be_removed_does_not_keep_a_host_from_looking(
    cluster: LocalCluster,
) -> None:
    doomed = await running(cluster)
    made = await cluster.boot("other")
    await cluster.ended(made.operation)
    hypervisor = cluster.hypervisors["host1"]
    await cluster.kill("host1")
    cluster.lose_patience()
    deleted = await cluster.act(doomed, Action.DELETE)
    await cluster.ended(deleted.operation)
    hypervisor.force_off(made.instance.id)
    cluster.gate.fail("evict.ensure_absent.before", disk_full, times=1000)
    cluster.spawn("host1")

    async def seen() -> bool:
        return (await cluster.instances.get(made.instance.id)).vm_state is VmState.STOPPED

    await eventually(seen)
    cluster.gate.mend("evict.ensure_absent.before")

    async def removed() -> bool:
        return doomed not in cluster.domains()

    await eventually(removed)


async def test_a_delete_does_not_wait_for_a_host_that_hangs(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    hung = "delete.ensure_absent.before"
    cluster.gate.fail(hung, lambda: Expired("No answer.", "STEP_TIMED_OUT"), times=100)
    cluster.lose_patience()
    deleted = await cluster.act(instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED

    async def removed() -> bool:
        return not cluster.domains() and not await cluster.store.load(Table.EVICTIONS)

    await eventually(removed)


async def test_an_operation_waits_for_libvirt_and_says_so(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    cluster.hypervisors["host1"].leave("the socket is gone")

    async def down() -> bool:
        return [u.record.trouble for u in await cluster.usages()] == ["libvirt: the socket is gone"]

    await eventually(down)
    accepted = await cluster.act(instance, Action.STOP)

    async def says_so() -> bool:
        now = await cluster.instances.operation(accepted.operation.id)
        return "libvirt" in now.waiting_for

    await eventually(says_so)
    refused = await cluster.boot("other")
    done = await cluster.ended(refused.operation)
    assert done.fault is not None
    assert "ComputeFilter" in done.fault.hosts["host1"]

    cluster.hypervisors["host1"].come_back()
    ended = await cluster.ended(accepted.operation)
    assert (ended.state, ended.waiting_for) == (OperationState.SUCCEEDED, "")
    assert cluster.domains() == {instance: "shutdown"}


@pytest.mark.parametrize("away", ["host1", "libvirt"])
async def test_what_waits_for_a_host_can_be_cancelled(cluster: LocalCluster, away: str) -> None:
    instance = await running(cluster)
    if away == "libvirt":
        cluster.hypervisors["host1"].leave("the socket is gone")
    else:
        await cluster.kill("host1")
    accepted = await cluster.act(instance, Action.STOP)

    async def waits() -> bool:
        return bool((await cluster.instances.operation(accepted.operation.id)).waiting_for)

    await eventually(waits)
    await cluster.instances.call("cancel", accepted.operation.id)
    assert (await cluster.ended(accepted.operation)).state is OperationState.CANCELLED
    record = await cluster.instances.get(instance)
    assert (record.vm_state, record.task_state) == (VmState.ACTIVE, None)
    cluster.hypervisors["host1"].come_back()


async def test_a_boot_that_waits_for_a_claim_can_be_cancelled(cluster: LocalCluster) -> None:
    await cluster.kill("scheduler")
    made = await cluster.boot()

    async def waits() -> bool:
        return bool((await cluster.instances.operation(made.operation.id)).waiting_for)

    await eventually(waits)
    await cluster.instances.call("cancel", made.operation.id)
    cluster.spawn("scheduler")
    assert (await cluster.ended(made.operation)).state is OperationState.CANCELLED
    assert not [point for point in cluster.gate.reached if "ensure_" in point]
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)


async def test_a_guest_that_ends_by_itself_is_shut_off(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    cluster.hypervisors["host1"].force_off(instance)

    async def seen() -> bool:
        record = await cluster.instances.get(instance)
        return (record.vm_state, record.power_state) == (VmState.STOPPED, PowerState.SHUTDOWN)

    await eventually(seen)


async def test_lost_events_are_made_up_for(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    hypervisor = cluster.hypervisors["host1"]
    await cluster.kill("host1")
    hypervisor.force_off(instance)
    cluster.spawn("host1")

    async def seen() -> bool:
        return (await cluster.instances.get(instance)).vm_state is VmState.STOPPED

    await eventually(seen)


async def test_a_host_keeps_its_instances_under_another_name(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    record = await cluster.instances.get(instance)
    assert record.host_id == host_id("host1")
    usage = (await cluster.usages())[0]
    assert (usage.instances, usage.claimed.memory_mb) == (1, cluster.flavor.memory_mb)


async def test_a_guest_that_ignores_the_button_is_forced_off(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await running(cluster)
    # Long enough that a busy machine comes to press it.
    cluster.grace_seconds = 3.0
    hypervisor = cluster.hypervisors["host1"]
    pressed: list[str] = []
    monkeypatch.setattr(hypervisor, "shut_down", pressed.append, raising=False)
    stopped = await cluster.act(instance, Action.STOP)
    done = await cluster.ended(stopped.operation)
    assert done.state is OperationState.SUCCEEDED
    assert pressed == [instance]
    assert cluster.domains() == {instance: "shutdown"}


async def test_a_delete_does_not_wait_for_a_guest_that_is_slow_to_stop(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await running(cluster)
    cluster.grace_seconds = 3600
    hypervisor = cluster.hypervisors["host1"]
    monkeypatch.setattr(hypervisor, "shut_down", lambda _: None, raising=False)
    stopped = await cluster.act(instance, Action.STOP)
    await cluster.gate.arrival("stop.ensure_stopped.before")
    deleted = await cluster.act(instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert (await cluster.ended(stopped.operation)).state is OperationState.CANCELLED
    assert cluster.domains() == {}
