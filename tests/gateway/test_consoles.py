"""Attaching to consoles, handing out tokens, screenshots, counters."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from actors.model.errors import Conflict, Unavailable
from actors.model.ids import InstanceId
from protos.novaray.v1 import consoles_pb2 as pb
from protos.novaray.v1 import diagnostics_pb2
from protos.novaray.v1 import instances_pb2 as instances
from tests.fakes.memory_guests import DIAGNOSTICS
from tests.gateway.cloud import ADMIN, READER, STRANGER, Client, Cloud, create, refused

REFUSED, UNKNOWN = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
FORBIDDEN, AWAY = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE
MISSING = grpc.StatusCode.NOT_FOUND
SECONDS = 30.0


async def boot(cloud: Cloud) -> str:
    """The name of an instance that runs."""
    await cloud.member.instances.CreateInstance(create())
    return f"projects/demo/instances/{newest(cloud)}"


def newest(cloud: Cloud) -> InstanceId:
    return list(cloud.compute.instances.records)[-1]


def attach(client: Client, **first: Any) -> Any:
    """A stream whose first request has these fields."""
    call = client.consoles.AttachConsole(timeout=SECONDS)

    async def opened() -> Any:
        await call.write(pb.AttachConsoleRequest(**first))
        greeting = await call.read()
        assert greeting == pb.AttachConsoleResponse()
        return call

    return opened()


async def say(call: Any, data: bytes) -> bytes:
    await call.write(pb.AttachConsoleRequest(data=data))
    answer: bytes = (await call.read()).data
    return answer


async def left(cloud: Cloud) -> None:
    """Wait until the host has been told that everybody has gone."""
    async with asyncio.timeout(SECONDS):
        while cloud.compute.guests.sessions:  # noqa: ASYNC110 - a fake tells nobody
            await asyncio.sleep(0.005)


async def test_bytes_go_both_ways_until_the_client_ends(cloud: Cloud) -> None:
    call = await attach(cloud.member, name=await boot(cloud))
    assert await say(call, b"cirros\r") == b"CIRROS\r"
    assert await say(call, b"\xff\x00\x1d") == b"\xff\x00\x1d"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    await left(cloud)


async def test_a_client_that_vanishes_leaves_nothing(cloud: Cloud) -> None:
    call = await attach(cloud.member, name=await boot(cloud), kind=pb.CONSOLE_KIND_VNC)
    call.cancel()
    await left(cloud)


async def test_a_second_one_is_refused_or_takes_over(cloud: Cloud) -> None:
    name = await boot(cloud)
    first = await attach(cloud.member, name=name)
    await refused(attach(cloud.member, name=name), FORBIDDEN, "CONSOLE_BUSY")
    second = await attach(cloud.member, name=name, force=True)
    await refused(first.read(), FORBIDDEN, "CONSOLE_TAKEN_OVER")
    assert await say(second, b"mine") == b"MINE"
    second.cancel()


async def test_the_end_of_the_guest_is_the_end_of_the_stream(cloud: Cloud) -> None:
    call = await attach(cloud.member, name=await boot(cloud))
    (session,) = cloud.compute.guests.sessions.values()
    session.output += b"Power down\r\n"
    cloud.compute.guests.end(session, Conflict("The guest has stopped.", "CONSOLE_ENDED"))
    assert (await call.read()).data == b"Power down\r\n"
    await refused(call.read(), FORBIDDEN, "CONSOLE_ENDED")
    await left(cloud)


async def test_a_host_that_goes_away_ends_the_stream(cloud: Cloud) -> None:
    call = await attach(cloud.member, name=await boot(cloud))
    cloud.compute.failures["read"] = Unavailable("The host actor is away.", "ACTOR_UNAVAILABLE")
    cloud.compute.failures["detach"] = Unavailable("The host actor is away.", "ACTOR_UNAVAILABLE")
    await refused(call.read(), AWAY, "ACTOR_UNAVAILABLE")


async def test_a_gateway_that_stops_says_so(cloud: Cloud) -> None:
    call = await attach(cloud.member, name=await boot(cloud))
    stopping = asyncio.create_task(cloud.server.stop())
    await refused(call.read(), AWAY, "GATEWAY_STOPPING")
    await stopping
    await left(cloud)


async def test_readers_do_not_type(cloud: Cloud) -> None:
    name = await boot(cloud)
    reader = cloud.connect(READER)
    await refused(attach(reader, name=name), REFUSED, "ROLE_MISSING")
    token = reader.consoles.CreateConsoleToken(pb.CreateConsoleTokenRequest(name=name))
    await refused(token, REFUSED, "ROLE_MISSING")
    assert not cloud.compute.calls["attach"]
    await reader.consoles.CaptureScreenshot(pb.CaptureScreenshotRequest(name=name)).read()


async def test_another_projects_console_is_not_there(cloud: Cloud) -> None:
    name = await boot(cloud)
    other = cloud.connect(STRANGER)
    calls: list[Any] = [
        attach(other, name=name),
        other.consoles.CreateConsoleToken(pb.CreateConsoleTokenRequest(name=name)),
        other.consoles.CaptureScreenshot(pb.CaptureScreenshotRequest(name=name)).read(),
        other.diagnostics.GetInstanceDiagnostics(
            diagnostics_pb2.GetInstanceDiagnosticsRequest(name=name)
        ),
    ]
    for call in calls:
        await refused(call, MISSING, "INSTANCE_NOT_FOUND")


# --- tokens -------------------------------------------------------------------------------------


async def token_for(cloud: Cloud, name: str, kind: Any = None) -> pb.ConsoleToken:
    request = pb.CreateConsoleTokenRequest(name=name, kind=kind)
    made: pb.ConsoleToken = await cloud.member.consoles.CreateConsoleToken(request)
    return made


async def test_a_token_stands_for_an_account(cloud: Cloud) -> None:
    name = await boot(cloud)
    made = await token_for(cloud, name, pb.CONSOLE_KIND_VNC)
    assert (made.instance, made.kind) == (name, pb.CONSOLE_KIND_VNC)
    lasts = made.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=595) < lasts <= timedelta(seconds=600)
    anybody = cloud.connect(None)
    call = await attach(anybody, token=made.token)
    (session,) = cloud.compute.guests.sessions.values()
    assert session.kind == "vnc"
    assert await say(call, b"rfb") == b"RFB"
    call.cancel()
    await left(cloud)
    again = await attach(anybody, token=made.token, name=name, kind=pb.CONSOLE_KIND_VNC)
    again.cancel()


async def test_a_token_is_for_one_console_only(cloud: Cloud) -> None:
    first, second = await boot(cloud), ""
    await cloud.member.instances.CreateInstance(create("other"))
    second = f"projects/demo/instances/{newest(cloud)}"
    made = await token_for(cloud, first)
    anybody = cloud.connect(None)
    changed = made.token[:-2] + ("A" if made.token[-2] != "A" else "B") + made.token[-1]
    listed = await cloud.member.instances.ListInstances(
        instances.ListInstancesRequest(parent="projects/demo", page_size=1)
    )
    for wrong in (
        {"token": made.token, "name": second},
        {"token": made.token, "kind": pb.CONSOLE_KIND_VNC},
        {"token": changed},
        {"token": "x"},
        {"token": "x" * 5000},
        {"token": listed.next_page_token},
    ):
        await refused(attach(anybody, **wrong), UNKNOWN, "CONSOLE_TOKEN_INVALID")
    await refused(attach(anybody, name=first), UNKNOWN, "TOKEN_MISSING")
    assert not cloud.compute.calls["attach"]


async def test_a_token_ends(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await token_for(cloud, await boot(cloud))
    later = datetime.now(UTC) + timedelta(seconds=601)
    monkeypatch.setattr(cloud.server.application.consoles, "_now", lambda: later)
    await refused(attach(cloud.connect(None), token=made.token), UNKNOWN, "CONSOLE_TOKEN_EXPIRED")


async def test_a_token_of_an_instance_that_is_gone(cloud: Cloud) -> None:
    name = await boot(cloud)
    made = await token_for(cloud, name)
    await cloud.member.instances.DeleteInstance(instances.DeleteInstanceRequest(name=name))
    await refused(attach(cloud.connect(None), token=made.token), MISSING, "INSTANCE_NOT_FOUND")


async def test_who_says_nothing_is_not_waited_for(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.rpc.consoles._FIRST_SECONDS", 0.01)
    call = cloud.connect(None).consoles.AttachConsole(timeout=SECONDS)
    await refused(call.read(), grpc.StatusCode.DEADLINE_EXCEEDED, "CONSOLE_NOT_NAMED")


# --- looking ------------------------------------------------------------------------------------


async def pieces(cloud: Cloud, name: str) -> AsyncIterator[pb.CaptureScreenshotResponse]:
    request = pb.CaptureScreenshotRequest(name=name)
    async for piece in cloud.member.consoles.CaptureScreenshot(request):
        yield piece


async def test_a_screenshot_comes_in_pieces(cloud: Cloud) -> None:
    found = [piece async for piece in pieces(cloud, await boot(cloud))]
    assert [len(piece.data) for piece in found] == [1 << 20, 1 << 20, 1 << 20, 4]
    assert {piece.content_type for piece in found} == {"image/png"}
    assert b"".join(piece.data for piece in found) == cloud.compute.guests.picture


async def test_counters(cloud: Cloud) -> None:
    request = diagnostics_pb2.GetInstanceDiagnosticsRequest(name=await boot(cloud))
    found = await cloud.member.diagnostics.GetInstanceDiagnostics(request)
    assert (found.driver, found.hypervisor, found.hypervisor_os) == ("libvirt", "qemu", "linux")
    assert found.power_state == instances.Instance.POWER_STATE_RUNNING
    assert found.uptime_seconds > 0
    assert [cpu.time_ns for cpu in found.cpus] == [17_300_000_000, 900_000_000]
    assert (found.memory.maximum_mb, found.memory.used_mb) == (512, 97)
    (disk,), (card,) = found.disks, found.nics
    assert (disk.device, disk.read_bytes, disk.write_requests) == ("vda", 262_144, 488)
    assert not disk.HasField("errors")
    assert card == diagnostics_pb2.NicDiagnostics(
        mac=DIAGNOSTICS.nics[0].mac,
        rx_octets=2_070_139,
        rx_packets=26_701,
        rx_errors=1,
        rx_drop=2,
        tx_octets=140_208,
        tx_packets=662,
        tx_errors=3,
        tx_drop=4,
    )


async def test_only_admins_see_the_host(cloud: Cloud) -> None:
    name = await boot(cloud)
    key = newest(cloud)
    records = cloud.compute.instances.records
    records[key] = records[key].evolve(host="host-1")
    request = diagnostics_pb2.GetInstanceDiagnosticsRequest(name=name)
    seen = [
        (await client.diagnostics.GetInstanceDiagnostics(request)).host
        for client in (cloud.member, cloud.connect(READER), cloud.connect(ADMIN))
    ]
    assert seen == ["", "", "host-1"]
