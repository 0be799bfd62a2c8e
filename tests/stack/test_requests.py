"""Requests that come twice, at once, or in each other's way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.model.errors import AlreadyExists, ComputeError, Conflict, NotFound
from actors.model.instance import VmState
from actors.model.operation import Action, OperationState
from actors.model.query import InstanceQuery
from tests.local.cluster import PROJECT, LocalCluster, local_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def test_the_same_create_makes_one_instance(cluster: LocalCluster) -> None:
    first, *others = await asyncio.gather(*(cluster.boot("vm", "r1") for _ in range(5)))
    assert {one.operation.id for one in others} == {first.operation.id}
    await cluster.ended(first.operation)
    later = await cluster.boot("vm", "r1")
    assert later.operation.state is OperationState.SUCCEEDED
    await cluster.crash("instances")
    assert (await cluster.boot("vm", "r1")).operation.id == first.operation.id
    assert len(cluster.domains()) == 1


async def test_a_request_id_serves_one_request(cluster: LocalCluster) -> None:
    made = await cluster.boot("vm", "r1")
    await cluster.ended(made.operation)
    with pytest.raises(AlreadyExists):
        await cluster.boot("another name", "r1")
    with pytest.raises(AlreadyExists):
        await cluster.act(made.instance.id, Action.STOP, "r1")
    assert (await cluster.instances.get(made.instance.id)).vm_state is VmState.ACTIVE


async def test_the_same_action_is_done_once(cluster: LocalCluster) -> None:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    stop = await cluster.act(made.instance.id, Action.STOP, "s1")
    again = await cluster.act(made.instance.id, Action.STOP, "s1")
    assert again.operation.id == stop.operation.id
    await cluster.ended(stop.operation)
    start = await cluster.act(made.instance.id, Action.START, "s2")
    await cluster.ended(start.operation)
    late = await cluster.act(made.instance.id, Action.STOP, "s1")
    assert late.operation.id == stop.operation.id
    assert (await cluster.instances.get(made.instance.id)).vm_state is VmState.ACTIVE


async def test_the_same_action_at_once_is_one(cluster: LocalCluster) -> None:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    first, *others = await asyncio.gather(
        *(cluster.act(made.instance.id, Action.STOP, "s1") for _ in range(5))
    )
    assert {one.operation.id for one in others} == {first.operation.id}


async def test_a_retry_finds_its_operation_whatever_came_since(cluster: LocalCluster) -> None:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    stop = await cluster.act(made.instance.id, Action.STOP, "s1")
    await cluster.ended(stop.operation)
    await cluster.crash("instances")  # which knew its last operation
    assert (await cluster.act(made.instance.id, Action.STOP, "s1")).operation.id == (
        stop.operation.id
    )
    with pytest.raises(Conflict):
        await cluster.act(made.instance.id, Action.STOP, "s2")
    cluster.gate.hold("start.ensure_network.before")
    start = await cluster.act(made.instance.id, Action.START, "s3")
    late = await cluster.act(made.instance.id, Action.STOP, "s1")
    assert (late.operation.id, late.operation.state) == (
        stop.operation.id,
        OperationState.SUCCEEDED,
    )
    cluster.gate.release("start.ensure_network.before")
    await cluster.ended(start.operation)


async def test_who_has_heard_of_a_create_can_read_it(cluster: LocalCluster) -> None:
    """Watchers hear of it from the store, before its actor has the store's answer."""
    for number in range(20):
        creating = asyncio.create_task(cluster.boot(f"vm{number}"))
        actor = cluster.actors["instances"]
        async with asyncio.timeout(30):
            while not actor._writes:  # noqa: ASYNC110 - nothing rings
                await asyncio.sleep(0)
        (instance,) = actor._writes
        assert (await cluster.instances.get(instance)).id == instance
        await cluster.ended((await creating).operation)


async def test_fifty_at_once_are_served_in_order_or_refused(cluster: LocalCluster) -> None:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    answers = await asyncio.gather(
        *(
            cluster.act(made.instance.id, Action.STOP if n % 2 else Action.START, f"n{n}")
            for n in range(50)
        ),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, ComputeError)]
    taken = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert all(isinstance(answer, Conflict) for answer in refused)
    assert len(taken) + len(refused) == 50
    ends = [await cluster.ended(answer.operation) for answer in taken]
    assert {end.state for end in ends} == {OperationState.SUCCEEDED}
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    with pytest.raises(NotFound):
        await cluster.instances.get(made.instance.id)


async def test_a_second_delete_is_the_first(cluster: LocalCluster) -> None:
    made = await cluster.boot()
    await cluster.ended(made.operation)
    cluster.gate.hold("delete.ensure_absent.before")
    first = await cluster.act(made.instance.id, Action.DELETE, "d1")
    second = await cluster.act(made.instance.id, Action.DELETE, "d2")
    assert second.operation.id == first.operation.id
    cluster.gate.release("delete.ensure_absent.before")
    await cluster.ended(first.operation)


async def test_a_delete_does_not_wait_for_an_image_that_is_on_its_way(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, on_its_way, go_on = cluster.images.read, asyncio.Event(), asyncio.Event()

    async def slow(*args: object) -> object:
        on_its_way.set()
        await go_on.wait()
        return await read(*args)

    monkeypatch.setattr(cluster.images, "read", slow, raising=False)
    made = await cluster.boot()
    await asyncio.wait_for(on_its_way.wait(), 30)
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    other = await cluster.boot("other")
    go_on.set()  # it still comes, for those who want it
    assert (await cluster.ended(other.operation)).state is OperationState.SUCCEEDED


async def test_a_delete_is_not_cancelled(cluster: LocalCluster) -> None:
    """Half a deleted instance is none: it only ever goes forward."""
    made = await cluster.boot()
    await cluster.ended(made.operation)
    cluster.gate.hold("delete.ensure_absent.after")
    deleted = await cluster.act(made.instance.id, Action.DELETE)
    await cluster.gate.arrival("delete.ensure_absent.after")
    with pytest.raises(Conflict) as refusal:
        await cluster.instances.call("cancel", deleted.operation.id)
    assert refusal.value.reason == "OPERATION_NOT_CANCELLABLE"
    cluster.gate.release("delete.ensure_absent.after")
    assert (await cluster.ended(deleted.operation)).state is OperationState.SUCCEEDED
    assert (await cluster.claims(), await cluster.ports()) == (0, 0)


@pytest.mark.parametrize("action", [Action.STOP, Action.START])
async def test_a_cancel_that_comes_too_late_changes_nothing(
    cluster: LocalCluster, action: Action
) -> None:
    """The guest is off, or runs: with nothing to undo, that is what there is to say."""
    made = await cluster.boot()
    await cluster.ended(made.operation)
    if action is Action.START:
        await cluster.ended((await cluster.act(made.instance.id, Action.STOP)).operation)
    point = "stop.ensure_stopped.after" if action is Action.STOP else "start.ensure_running.after"
    cluster.gate.hold(point)
    accepted = await cluster.act(made.instance.id, action)
    await cluster.gate.arrival(point)
    await cluster.instances.call("cancel", accepted.operation.id)
    cluster.gate.release(point)
    done = await cluster.ended(accepted.operation)
    assert done.state is OperationState.SUCCEEDED
    record = await cluster.instances.get(made.instance.id)
    off = action is Action.STOP
    assert record.vm_state is (VmState.STOPPED if off else VmState.ACTIVE)


async def test_what_was_served_has_its_answer_also_when_the_instance_is_gone(
    cluster: LocalCluster,
) -> None:
    made = await cluster.boot("vm", "r1")
    await cluster.ended(made.operation)
    deleted = await cluster.act(made.instance.id, Action.DELETE, "d1")
    await cluster.ended(deleted.operation)
    again = await cluster.act(made.instance.id, Action.DELETE, "d1")
    assert (again.operation.id, again.instance.vm_state) == (deleted.operation.id, VmState.DELETED)
    assert (await cluster.boot("vm", "r1")).operation.id == made.operation.id
    with pytest.raises(NotFound):
        await cluster.act(made.instance.id, Action.DELETE, "another")
    assert cluster.domains() == {}


async def test_an_instance_costs_the_same_with_many_others(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each boot writes and asks for does not grow with what is there."""
    # A host that takes long tells how far it is, and that is written too.
    monkeypatch.setattr("actors.host._TELL_AFTER_SECONDS", 3600.0)
    costs: set[tuple[int, int]] = set()
    for number in range(12):
        before = len(cluster.gate.reached)
        made = await cluster.boot(f"vm{number}")
        done = await cluster.ended(made.operation)
        costs.add((len(cluster.gate.reached) - before, done.generation))
    assert len(costs) == 1
    bodies, more = await cluster.instances.call("list", InstanceQuery(project=PROJECT, limit=10))
    assert (len(bodies), more) == (10, True)
