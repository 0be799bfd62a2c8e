"""Calls about consoles and counters of guests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from gateway.cli.calls import Calls, failure_of

# isort: split
import grpc

from protos.novaray.v1 import (
    consoles_pb2,
    consoles_pb2_grpc,
    diagnostics_pb2,
    diagnostics_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

#: So long the gateway has to take the last of what was typed.
_LEAVE_SECONDS: Final = 2.0


class ConsoleCalls(Calls):
    """What can be asked of a guest that runs."""

    def attach_console(
        self, target: consoles_pb2.AttachConsoleRequest, typed: Iterable[bytes]
    ) -> Generator[bytes, None, None]:
        """What the guest writes, for as long as it and ``typed`` go on.

        The first piece is empty: it says that the console is attached.

        Args:
            target: Which console; with a console token no account is shown.
            typed: Input, in a thread of its own.

        Raises:
            Failure: It was refused, or has ended for another reason than the end of ``typed``.
        """
        left = threading.Event()

        def requests() -> Iterator[consoles_pb2.AttachConsoleRequest]:
            yield target
            for data in typed:
                yield consoles_pb2.AttachConsoleRequest(data=data)
            left.set()
            patience = threading.Timer(_LEAVE_SECONDS, give_up)
            patience.daemon = True
            patience.start()

        def give_up() -> None:
            # A gateway that does not answer any more must not keep who has left.
            call.cancel()

        metadata = () if target.token else self._metadata
        call = self._consoles.AttachConsole(requests(), metadata=metadata)
        try:
            for response in call:
                yield response.data
        except grpc.RpcError as error:
            if not left.is_set():
                raise failure_of(error, self._connection.endpoint) from error
        finally:
            call.cancel()

    def create_console_token(
        self, name: str, kind: consoles_pb2.ConsoleKind.ValueType
    ) -> consoles_pb2.ConsoleToken:
        """A token to hand out."""
        request = consoles_pb2.CreateConsoleTokenRequest(name=name, kind=kind)
        return self._call(self._consoles.CreateConsoleToken, request)

    def screenshot(self, name: str) -> tuple[str, bytes]:
        """Content type and bytes of a picture of the screen."""
        request = consoles_pb2.CaptureScreenshotRequest(name=name)
        content_type, data = "", bytearray()
        try:
            for piece in self._consoles.CaptureScreenshot(
                request, timeout=self._timeout, metadata=self._metadata
            ):
                content_type = piece.content_type
                data += piece.data
        except grpc.RpcError as error:
            raise failure_of(error, self._connection.endpoint) from error
        return content_type, bytes(data)

    def diagnostics(self, name: str) -> diagnostics_pb2.InstanceDiagnostics:
        """What a guest has used."""
        request = diagnostics_pb2.GetInstanceDiagnosticsRequest(name=name)
        stub = diagnostics_pb2_grpc.DiagnosticsServiceStub(self._channel)
        return self._call(stub.GetInstanceDiagnostics, request)

    @property
    def _consoles(self) -> consoles_pb2_grpc.ConsoleServiceStub:
        return consoles_pb2_grpc.ConsoleServiceStub(self._channel)
