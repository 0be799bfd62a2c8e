"""ConsoleService and DiagnosticsService."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final

from actors.model.console import ConsoleKind
from actors.model.errors import Expired, Invalid
from gateway.app.auth import is_admin, no_token
from gateway.app.consoles import AttachedConsole, ConsoleCases, Target
from gateway.rpc.call import Context, caller, caller_if_any
from gateway.rpc.names import instance_of
from gateway.rpc.translate.diagnostics import diagnostics_message
from gateway.rpc.translate.instances import instance_name
from gateway.rpc.translate.instants import timestamp
from protos.novaray.v1 import consoles_pb2 as pb
from protos.novaray.v1 import consoles_pb2_grpc, diagnostics_pb2, diagnostics_pb2_grpc

#: A stream that has no token yet must say soon what it wants.
_FIRST_SECONDS: Final = 10.0
_PIECE: Final = 1 << 20

_KINDS: Final = {
    pb.CONSOLE_KIND_UNSPECIFIED: None,
    pb.CONSOLE_KIND_SERIAL: ConsoleKind.SERIAL,
    pb.CONSOLE_KIND_VNC: ConsoleKind.VNC,
}
_WIRE_KINDS: Final = {
    ConsoleKind.SERIAL: pb.CONSOLE_KIND_SERIAL,
    ConsoleKind.VNC: pb.CONSOLE_KIND_VNC,
}

Requests = AsyncIterator[pb.AttachConsoleRequest]


class ConsolesService(consoles_pb2_grpc.ConsoleServiceServicer):
    """Attaching to guests, and looking at them."""

    def __init__(self, consoles: ConsoleCases) -> None:
        self._consoles = consoles

    # A coroutine that writes, and not a generator: what it holds is let go the moment the caller is
    # gone.
    async def AttachConsole(  # type: ignore[override]
        self, requests: Requests, context: Context
    ) -> None:
        """Bytes both ways."""
        async with self._attached(await _first(requests)) as console:
            await context.write(pb.AttachConsoleResponse())
            typing = asyncio.create_task(_type(requests, console))
            showing = asyncio.create_task(_show(console, context))
            try:
                await asyncio.wait((typing, showing), return_when=asyncio.FIRST_COMPLETED)
                # A guest that has stopped takes no input either: its own word goes first.
                for task in (showing, typing):
                    if task.done():
                        task.result()
            finally:
                typing.cancel()
                showing.cancel()
                await asyncio.gather(typing, showing, return_exceptions=True)

    async def CreateConsoleToken(
        self, request: pb.CreateConsoleTokenRequest, context: Context
    ) -> pb.ConsoleToken:
        """A token to hand out."""
        made = await self._consoles.create_token(
            caller(), Target(*instance_of(request.name), _kind_of(request.kind))
        )
        return pb.ConsoleToken(
            token=made.token,
            instance=instance_name(made.project, made.instance),
            kind=_WIRE_KINDS[made.kind],
            expire_time=timestamp(made.expires),
        )

    async def CaptureScreenshot(  # type: ignore[override]
        self, request: pb.CaptureScreenshotRequest, context: Context
    ) -> None:
        """A picture of the screen, in pieces."""
        found = await self._consoles.screenshot(caller(), *instance_of(request.name))
        for at in range(0, len(found.data), _PIECE):
            piece = found.data[at : at + _PIECE]
            await context.write(
                pb.CaptureScreenshotResponse(content_type=found.content_type, data=piece)
            )

    def _attached(
        self, first: pb.AttachConsoleRequest
    ) -> AbstractAsyncContextManager[AttachedConsole]:
        kind = _kind_of(first.kind)
        if first.token:
            target = Target(*instance_of(first.name), kind) if first.name else None
            return self._consoles.attach_by_token(first.token, target, kind, force=first.force)
        who = caller_if_any()
        if who is None:
            raise no_token()
        target = Target(*instance_of(first.name), kind)
        return self._consoles.attach(who, target, force=first.force)


class DiagnosticsService(diagnostics_pb2_grpc.DiagnosticsServiceServicer):
    """What guests have used."""

    def __init__(self, consoles: ConsoleCases) -> None:
        self._consoles = consoles

    async def GetInstanceDiagnostics(
        self, request: diagnostics_pb2.GetInstanceDiagnosticsRequest, context: Context
    ) -> diagnostics_pb2.InstanceDiagnostics:
        """Counters of one guest."""
        who = caller()
        found, record, age = await self._consoles.diagnostics(who, *instance_of(request.name))
        return diagnostics_message(found, record, age, admin=is_admin(who))


async def _first(requests: Requests) -> pb.AttachConsoleRequest:
    try:
        async with asyncio.timeout(_FIRST_SECONDS):
            return await anext(requests)
    except TimeoutError:
        raise Expired("The stream did not say what to attach to.", "CONSOLE_NOT_NAMED") from None
    except StopAsyncIteration:
        return pb.AttachConsoleRequest()


async def _type(requests: Requests, console: AttachedConsole) -> None:
    async for request in requests:
        if request.data:
            await console.write(request.data)


async def _show(console: AttachedConsole, context: Context) -> None:
    while True:
        await context.write(pb.AttachConsoleResponse(data=await console.read()))


def _kind_of(kind: pb.ConsoleKind.ValueType) -> ConsoleKind | None:
    if kind not in _KINDS:
        raise Invalid(
            f"This server knows no console of kind {kind}.",
            "FIELD_INVALID",
            "",
            {"kind": "must be one that this server knows"},
        )
    return _KINDS[kind]
