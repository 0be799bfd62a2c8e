"""Operations: reading, listing, cancelling, and waiting without asking again and again."""

import asyncio
from collections.abc import Callable

import grpc
import pytest
from google.longrunning.operations_pb2 import (
    CancelOperationRequest,
    GetOperationRequest,
    ListOperationsRequest,
    Operation,
    WaitOperationRequest,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo

from actors.model.ids import OperationId
from actors.model.instance import Fault
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import ADMIN, NOW, Client, Cloud, create, refused

META = pb.InstanceOperationMetadata
FAULT = Fault(
    kind="no_valid_host",
    reason="NO_VALID_HOST",
    message="No host has room.",
    hosts={"host-1": "RamFilter"},
    created=NOW,
)


@pytest.fixture(autouse=True)
def operations_end_when_told(cloud: Cloud) -> None:
    """So that there is something to wait for."""
    cloud.compute.settle = False


async def begun(cloud: Cloud, name: str = "vm") -> OperationId:
    operation = await cloud.member.instances.CreateInstance(create(name))
    return OperationId(operation.name.removeprefix("operations/"))


def waiting(
    client: Client, operation: OperationId, seconds: float | None = None, deadline: float = 30
) -> "asyncio.Future[Operation]":
    request = WaitOperationRequest(name=f"operations/{operation}")
    if seconds is not None:
        request.timeout.CopyFrom(Duration(nanos=int(seconds * 1e9)))
    wait: asyncio.Future[Operation] = asyncio.ensure_future(
        client.operations.WaitOperation(request, timeout=deadline)
    )
    return wait


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.005)


async def listening(cloud: Cloud, listeners: int) -> None:
    await until(lambda: cloud.server.application.feed.listeners == listeners)


async def test_a_wait_ends_with_its_operation_and_reads_it_once(cloud: Cloud) -> None:
    operation = await begun(cloud)
    # The first one reads twice, before and after it has the events read; each other one once.
    waits = [waiting(cloud.member, operation)]
    await until(lambda: cloud.compute.calls["operation"] == 2)
    waits += [waiting(cloud.member, operation) for _ in range(19)]
    await until(lambda: cloud.compute.calls["operation"] == 21)
    cloud.compute.instances.finish(operation)
    done = await asyncio.gather(*waits)
    instance = pb.Instance()
    assert all(o.done for o in done)
    assert done[0].response.Unpack(instance)
    assert instance.state == pb.Instance.STATE_ACTIVE
    assert cloud.compute.calls["operation"] == 21
    assert cloud.server.application.feed.listeners == 0


async def test_one_that_has_ended_costs_one_read(cloud: Cloud) -> None:
    operation = await begun(cloud)
    cloud.compute.instances.finish(operation)
    assert (await waiting(cloud.member, operation)).done
    assert cloud.compute.calls["operation"] == 1
    assert not cloud.compute.calls["events_after"]


@pytest.mark.parametrize("seconds", [0.1, 0])
async def test_a_wait_that_is_over_answers_with_what_is(cloud: Cloud, seconds: float) -> None:
    operation = await begun(cloud)
    assert not (await waiting(cloud.member, operation, seconds)).done
    await listening(cloud, 0)


async def test_a_wait_answers_before_its_callers_deadline(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await begun(cloud)
    # So early that no slow machine makes it too late.
    monkeypatch.setattr("gateway.rpc.operations._MARGIN_SECONDS", 19.9)
    monkeypatch.setattr("gateway.rpc.operations._MARGIN_SHARE", 1.0)
    assert not (await waiting(cloud.member, operation, deadline=20)).done
    await listening(cloud, 0)


async def test_a_client_that_goes_away_leaves_nothing(cloud: Cloud) -> None:
    operation = await begun(cloud)
    wait = waiting(cloud.member, operation)
    await listening(cloud, 1)
    wait.cancel()
    await listening(cloud, 0)


async def test_a_gateway_that_stops_lets_those_go_who_wait(cloud: Cloud) -> None:
    operation = await begun(cloud)
    wait = waiting(cloud.member, operation)
    await listening(cloud, 1)
    stopping = asyncio.create_task(cloud.server.stop(50))
    await refused(wait, grpc.StatusCode.UNAVAILABLE, "GATEWAY_STOPPING")
    async with asyncio.timeout(20):
        await stopping


async def test_nothing_is_asked_while_nobody_listens(cloud: Cloud) -> None:
    operation = await begun(cloud)
    wait = waiting(cloud.member, operation)
    await listening(cloud, 1)
    cloud.compute.instances.finish(operation)
    await wait
    await listening(cloud, 0)
    # The question under way ends with the next event, and is not asked again.
    await begun(cloud, "other")
    feed = cloud.server.application.feed
    await until(lambda: not feed.running)
    asked = cloud.compute.calls["events_after"]
    await begun(cloud, "third")
    assert cloud.compute.calls["events_after"] == asked
    assert not feed.running


async def test_an_operation_that_failed_says_why(cloud: Cloud) -> None:
    operation = await begun(cloud)
    cloud.compute.instances.finish(operation, FAULT)
    request = GetOperationRequest(name=f"operations/{operation}")
    for client, hosts in ((cloud.member, False), (cloud.connect(ADMIN), True)):
        failed = await client.operations.GetOperation(request)
        info = ErrorInfo()
        assert failed.error.code == code_pb2.RESOURCE_EXHAUSTED
        assert failed.error.message == "No host has room."
        assert failed.error.details[0].Unpack(info)
        assert (info.reason, info.domain) == ("NO_VALID_HOST", "novaray")
        assert ("host-1" in info.metadata) is hosts


async def test_cancel(cloud: Cloud) -> None:
    operation = await begun(cloud)
    name = f"operations/{operation}"
    await cloud.member.operations.CancelOperation(CancelOperationRequest(name=name))
    cloud.compute.instances.finish(operation)
    cancelled = await cloud.member.operations.GetOperation(GetOperationRequest(name=name))
    assert cancelled.error.code == grpc.StatusCode.CANCELLED.value[0]
    # One that has ended stays as it is.
    await cloud.member.operations.CancelOperation(CancelOperationRequest(name=name))
    assert cloud.compute.calls["cancel"] == 1


async def test_the_response_of_a_delete_is_empty(cloud: Cloud) -> None:
    operation = await begun(cloud)
    instance = operation.partition(".")[0]
    deleting = await cloud.member.instances.DeleteInstance(
        pb.DeleteInstanceRequest(name=f"projects/demo/instances/{instance}")
    )
    cloud.compute.instances.finish(OperationId(deleting.name.removeprefix("operations/")))
    deleted = await cloud.member.operations.GetOperation(GetOperationRequest(name=deleting.name))
    assert deleted.response.Is(Empty.DESCRIPTOR)
    cloud.compute.instances.finish(operation)
    made = await cloud.member.operations.GetOperation(
        GetOperationRequest(name=f"operations/{operation}")
    )
    left = pb.Instance()
    assert made.response.Unpack(left)
    assert left.uid == instance


async def test_lists(cloud: Cloud) -> None:
    first, second = await begun(cloud, "a"), await begun(cloud, "b")
    cloud.compute.instances.finish(first)
    instance = f"projects/demo/instances/{second.partition('.')[0]}"
    cases: list[tuple[ListOperationsRequest, list[OperationId]]] = [
        (ListOperationsRequest(), [second, first]),
        (ListOperationsRequest(name="operations"), [second, first]),
        (ListOperationsRequest(name="projects/demo", filter="done = true"), [first]),
        (ListOperationsRequest(name="projects/demo", filter="done = false"), [second]),
        (ListOperationsRequest(name=instance), [second]),
        (ListOperationsRequest(filter=f'instance = "{instance}"'), [second]),
    ]
    for request, expected in cases:
        listed = await cloud.member.operations.ListOperations(request)
        assert [o.name for o in listed.operations] == [f"operations/{o}" for o in expected]
    page = await cloud.member.operations.ListOperations(ListOperationsRequest(page_size=1))
    rest = await cloud.member.operations.ListOperations(
        ListOperationsRequest(page_token=page.next_page_token)
    )
    assert [o.name for o in rest.operations] == [f"operations/{first}"]
    assert not rest.next_page_token
