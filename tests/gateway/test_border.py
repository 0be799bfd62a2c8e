"""What every call passes: request ids, deadlines, and errors nobody foresaw."""

import asyncio
import logging
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from actors.model.errors import Fenced, Internal, NoValidHost, Unavailable
from actors.model.instance import InstanceRecord
from gateway.rpc.border import Border
from gateway.rpc.instances import InstancesService
from gateway.rpc.server import SERVICE_NAMES
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import versions_pb2
from tests.gateway.cloud import ADMIN, MEMBER, Cloud, create, refused
from tests.gateway.test_keypairs import importing

GET = pb.GetInstanceRequest(name="projects/demo/instances/00000000-0000-4000-8000-000000000000")
LIST = pb.ListInstancesRequest(parent="projects/demo")


async def test_the_request_id_comes_back(cloud: Cloud) -> None:
    for given in ("trace-7", None):
        metadata = (("x-request-id", given),) if given else ()
        call = cloud.member.instances.ListInstances(LIST, metadata=metadata)
        await call
        trailers = dict(await call.trailing_metadata())
        assert trailers["x-request-id"] == given or (given is None and trailers["x-request-id"])


async def test_an_operation_without_request_id_gets_the_calls_own(cloud: Cloud) -> None:
    call = cloud.member.instances.CreateInstance(create())
    await call
    trailers = dict(await call.trailing_metadata())
    (command,) = cloud.compute.instances.commands
    assert command.request_id == trailers["x-request-id"]


async def test_a_callers_own_trace_id_makes_no_two_creates_one(cloud: Cloud) -> None:
    metadata = (("x-request-id", "11111111-1111-4111-8111-111111111111"),)
    for _ in range(2):
        await cloud.member.instances.CreateInstance(create(), metadata=metadata)
    assert len(cloud.compute.instances.records) == 2


async def test_a_bug_is_internal_and_says_only_the_request_id(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    for bug in (ZeroDivisionError("secret"), Internal("Secret.", "INTERNAL", "secret")):
        cloud.compute.failures["get"] = bug
        with caplog.at_level(logging.ERROR, "gateway"):
            problem = await refused(
                cloud.member.instances.GetInstance(GET, metadata=(("x-request-id", "r-1"),)),
                grpc.StatusCode.INTERNAL,
                "INTERNAL",
            )
        assert "r-1" in problem.message
        assert "secret" not in problem.message.lower()
        assert "request r-1: /novaray.v1.InstanceService/GetInstance failed" in caplog.text
        assert "secret" in caplog.text
        caplog.clear()


async def test_a_record_that_does_not_validate_is_our_bug(cloud: Cloud) -> None:
    try:
        InstanceRecord.model_validate({})
    except ValueError as error:
        cloud.compute.failures["get"] = error
    await refused(cloud.member.instances.GetInstance(GET), grpc.StatusCode.INTERNAL, "INTERNAL")


@pytest.mark.parametrize("error", [Unavailable("The host is away."), Fenced("Replaced.")])
async def test_what_is_away_may_be_asked_again(cloud: Cloud, error: Exception) -> None:
    cloud.compute.failures["get"] = error
    problem = await refused(
        cloud.member.instances.GetInstance(GET),
        grpc.StatusCode.UNAVAILABLE,
        getattr(error, "reason", ""),
    )
    retry = problem.details["RetryInfo"]
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.seconds == 1


async def test_which_host_refused_is_for_admins_and_fits_into_headers(cloud: Cloud) -> None:
    hosts = {f"host-{number}": "DiskFilter: 1 GiB free, 20 wanted" for number in range(2000)}
    cloud.compute.failures["get"] = NoValidHost("No host has room.", "", "", hosts)
    code, reason = grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_VALID_HOST"
    problem = await refused(cloud.member.instances.GetInstance(GET), code, reason)
    assert not problem.info.metadata
    problem = await refused(cloud.connect(ADMIN).instances.GetInstance(GET), code, reason)
    assert problem.info.metadata["host-0"].startswith("DiskFilter")
    assert problem.info.metadata["truncated"].endswith(" more")


async def test_a_call_past_its_deadline_makes_nothing_and_leaves_nothing(cloud: Cloud) -> None:
    await cloud.member.keypairs.CreateKeypair(importing())
    gate = cloud.compute.hold("keypairs")
    wanted = create(instance=pb.Instance(display_name="vm", key_name="laptop"))
    seconds = 0.25
    while not gate.came:  # a machine may be too slow to get there in so short a time
        seconds *= 2
        call = cloud.member.instances.CreateInstance(wanted, timeout=seconds)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(30):  # our side hears of it a little later than the caller's
        await gate.deserted()
    gate.set()
    assert not cloud.compute.instances.records
    await cloud.member.instances.CreateInstance(wanted)
    assert len(cloud.compute.instances.records) == 1


async def test_a_call_without_deadline_gets_one(cloud: Cloud) -> None:
    cloud.compute.hold("get")
    border = Border(cloud.server.application.auth, default_deadline=0.05)
    guarded = await _handler_of(cloud, border)
    context = _Context()
    with pytest.raises(grpc.aio.AbortError):
        await guarded(GET, context)
    assert context.aborted[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "DEADLINE_EXCEEDED" in str(context.aborted[2])
    context = _Context(left=-1.0)
    with pytest.raises(grpc.aio.AbortError):
        await guarded(GET, context)
    assert context.aborted[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert cloud.compute.calls["get"] == 1


class _Context:
    """As much of a servicer's context as the border needs."""

    def __init__(self, left: float | None = None) -> None:
        self.left = left
        self.aborted: tuple[Any, ...] = ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {MEMBER}"),)

    def time_remaining(self) -> float | None:
        return self.left

    def set_trailing_metadata(self, metadata: object) -> None:
        pass

    async def abort(self, *status: Any, **named: Any) -> None:
        self.aborted = (*status, *named.values())
        raise grpc.aio.AbortError


async def _handler_of(cloud: Cloud, border: Border) -> Any:
    app = cloud.server.application
    service = InstancesService(
        app.instances,
        app.edits,
        app.rebuilds,
        app.resizes,
        app.attachments,
        app.clones,
        app.watch,
    )
    method: Any = type("Details", (), {"method": "/novaray.v1.InstanceService/GetInstance"})

    async def continuation(_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            service.GetInstance,
            pb.GetInstanceRequest.FromString,
            pb.Instance.SerializeToString,
        )

    handler: Any = await border.intercept_service(continuation, method)
    return handler.unary_unary


async def test_a_method_nobody_has(cloud: Cloud) -> None:
    for path in ("/novaray.v1.InstanceService/Reboot", "/no.Such/Service"):
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = cloud.member.channel.unary_unary(
            path
        )
        problem = await refused(
            unary(b"", timeout=30), grpc.StatusCode.UNIMPLEMENTED, "METHOD_NOT_SERVED"
        )
        assert problem.info.metadata["method"] == path


async def test_version_health_and_reflection_need_no_token(cloud: Cloud) -> None:
    nobody = cloud.connect(None)
    version = await nobody.versions.GetVersion(versions_pb2.GetVersionRequest())
    assert version.release
    assert version.api_level >= version.min_api_level >= 1
    health: Any = health_pb2_grpc.HealthStub(nobody.channel)
    for service in ("", *SERVICE_NAMES):
        reply = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    await cloud.server.set_serving(False)
    reply = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE_NAMES[0]))
    assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    reflection = stub(nobody.channel)
    stream = reflection.ServerReflectionInfo()
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = await stream.read()
    await stream.done_writing()
    assert set(SERVICE_NAMES) <= {s.name for s in listed.list_services_response.service}


async def test_a_page_that_is_too_large_for_a_message_is_cut(cloud: Cloud) -> None:
    metadata = {f"key-{number:03d}": "v" * 255 for number in range(128)}
    for number in range(130):
        await cloud.member.instances.CreateInstance(
            create(instance=pb.Instance(display_name=f"vm-{number}", metadata=metadata))
        )
    names: list[str] = []
    token, pages = "", 0
    while token or not pages:
        page = await cloud.member.instances.ListInstances(
            pb.ListInstancesRequest(parent="projects/demo", page_size=1000, page_token=token)
        )
        names += [instance.display_name for instance in page.instances]
        token, pages = page.next_page_token, pages + 1
    assert pages == 2
    assert names == [f"vm-{number}" for number in reversed(range(130))]
