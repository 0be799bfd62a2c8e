"""Guests that are paused, suspended or rebooted, and what the host says of them meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.details import Reboot
from actors.model.errors import HypervisorRefused
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, PowerState, VmState
from actors.model.operation import Action, OperationState
from actors.model.query import EventKind
from tests.local.cluster import LocalCluster, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def running(cluster: LocalCluster, name: str = "vm") -> InstanceId:
    made = await cluster.boot(name)
    done = await cluster.ended(made.operation)
    assert done.state is OperationState.SUCCEEDED, done
    return made.instance.id


async def seen(cluster: LocalCluster, instance: InstanceId) -> list[InstanceRecord]:
    """All that a watcher has been told of an instance."""
    batch = await cluster.store.events_after(0, 10_000, 0)
    return [
        event.instance()
        for event in batch.events
        if event.kind is EventKind.INSTANCE and event.id == instance
    ]


async def becomes(cluster: LocalCluster, instance: InstanceId, state: VmState) -> None:
    """Wait until a report has made it so. How soon that is is measured on real guests."""
    async with asyncio.timeout(30):
        while (await cluster.instances.get(instance)).vm_state is not state:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_reboot_is_not_seen_as_a_stop(cluster: LocalCluster) -> None:
    """libvirt tells of the stop when it likes: also when the guest has started again."""
    instance = await running(cluster)
    hypervisor = cluster.hypervisors["host1"]
    for number in range(5):
        rebooted = await cluster.act(instance, Action.REBOOT, f"r{number}", Reboot(hard=True))
        done = await cluster.ended(rebooted.operation)
        assert done.state is OperationState.SUCCEEDED
        hypervisor.tell(instance, PowerState.SHUTDOWN)
        hypervisor.tell(instance, PowerState.RUNNING)
        hypervisor.tell(instance, PowerState.SHUTDOWN)
    hypervisor.force_off(instance)
    await becomes(cluster, instance, VmState.STOPPED)
    *before, last = await seen(cluster, instance)
    assert {record.vm_state for record in before} == {VmState.BUILDING, VmState.ACTIVE}
    assert last.vm_state is VmState.STOPPED


async def test_a_power_failure_ends_a_pause_and_keeps_a_suspend(cluster: LocalCluster) -> None:
    paused, suspended = await running(cluster, "one"), await running(cluster, "two")
    for instance, action in ((paused, Action.PAUSE), (suspended, Action.SUSPEND)):
        await cluster.ended((await cluster.act(instance, action)).operation)
    hypervisor = cluster.hypervisors["host1"]
    await cluster.kill("host1")
    hypervisor.force_off(paused)
    cluster.spawn("host1")
    await becomes(cluster, paused, VmState.STOPPED)
    assert (await cluster.instances.get(suspended)).vm_state is VmState.SUSPENDED
    for instance, action in ((paused, Action.START), (suspended, Action.RESUME)):
        done = await cluster.ended((await cluster.act(instance, action)).operation)
        assert done.state is OperationState.SUCCEEDED
    assert set(cluster.domains().values()) == {"running"}


async def test_a_delete_does_not_wait_for_a_large_memory(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await running(cluster)
    begun, aborted = threading.Event(), threading.Event()

    def save(_: InstanceId) -> PowerState:
        begun.set()
        assert aborted.wait(30)
        raise HypervisorRefused("The hypervisor could not save it.", "HYPERVISOR_REFUSED")

    hypervisor = cluster.hypervisors["host1"]
    monkeypatch.setattr(hypervisor, "suspend", save, raising=False)
    monkeypatch.setattr(hypervisor, "abort_suspend", lambda _: aborted.set(), raising=False)
    suspended = await cluster.act(instance, Action.SUSPEND)
    assert await asyncio.to_thread(begun.wait, 30)
    deleted = await cluster.act(instance, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert (await cluster.ended(suspended.operation)).state is OperationState.CANCELLED
    assert aborted.is_set()
    assert cluster.domains() == {}


@pytest.mark.parametrize("action", [Action.PAUSE, Action.SUSPEND])
async def test_a_hard_reboot_goes_past_a_qemu_that_hangs(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, action: Action
) -> None:
    """What its monitor is asked never returns, until somebody kills it."""
    instance = await running(cluster)
    hypervisor = cluster.hypervisors["host1"]
    asked, killed = threading.Event(), threading.Event()

    def hang(_: InstanceId) -> None:
        asked.set()
        assert killed.wait(40)
        raise HypervisorRefused("The domain is gone.", "HYPERVISOR_REFUSED")

    def kill(one: InstanceId) -> PowerState:
        killed.set()
        state: PowerState = plug(one)
        return state

    plug = hypervisor.force_off
    for call in ("pause", "suspend", "abort_suspend"):
        monkeypatch.setattr(hypervisor, call, hang, raising=False)
    monkeypatch.setattr(hypervisor, "force_off", kill, raising=False)
    hung = await cluster.act(instance, action)
    assert await asyncio.to_thread(asked.wait, 30)
    rebooted = await cluster.act(instance, Action.REBOOT, "out", Reboot(hard=True))
    assert (await cluster.ended(rebooted.operation)).state is OperationState.SUCCEEDED
    assert (await cluster.ended(hung.operation)).state is OperationState.CANCELLED
    assert cluster.domains() == {instance: "running"}


async def test_a_stop_pulls_the_plug_of_a_qemu_that_hangs(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await running(cluster)
    hypervisor = cluster.hypervisors["host1"]
    killed = threading.Event()

    def kill(one: InstanceId) -> PowerState:
        killed.set()
        state: PowerState = plug(one)
        return state

    plug = hypervisor.force_off
    monkeypatch.setattr(hypervisor, "shut_down", lambda _: killed.wait(40), raising=False)
    monkeypatch.setattr(hypervisor, "force_off", kill, raising=False)
    stopped = await cluster.act(instance, Action.STOP)
    assert (await cluster.ended(stopped.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {instance: "shutdown"}


async def test_a_guest_that_stands_still_is_not_asked_to_shut_down(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    cluster.grace_seconds = 3600
    cluster.hypervisors["host1"].pause(instance)
    await becomes(cluster, instance, VmState.PAUSED)
    deleted = await cluster.act(instance, Action.SOFT_DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert cluster.domains() == {instance: "shutdown"}


async def test_what_was_seen_in_a_job_that_was_cut_off_is_told(cluster: LocalCluster) -> None:
    """The guest goes off while a job is held, and the job's caller goes away with it."""
    instance = await running(cluster)
    cluster.gate.hold("pause.ensure_paused.before")
    await cluster.act(instance, Action.PAUSE)
    await cluster.gate.arrival("pause.ensure_paused.before")
    cluster.hypervisors["host1"].force_off(instance)
    await cluster.crash("host1")
    cluster.gate.release("pause.ensure_paused.before")
    await becomes(cluster, instance, VmState.STOPPED)
    record = await cluster.instances.get(instance)
    assert record.fault is not None
    assert record.fault.reason == "GUEST_NOT_RUNNING"
