"""A port of this machine that leads to a guest's screen: for viewers that speak RFB over TCP."""

import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from typing import Final

from gateway.cli.failures import Failure

#: What makes a connection to the guest of what a viewer sends.
Attach = Callable[[Iterable[bytes]], Generator[bytes, None, None]]

_PIECE: Final = 1 << 16
#: Python may take note of Ctrl-C just before it begins to wait; then it acts on it only after that.
_WAKE_SECONDS: Final = 0.5


def listen(port: int) -> socket.socket:
    """Listen on loopback.

    Raises:
        Failure: Something else has the port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise Failure(
            f"Port {port} of 127.0.0.1 cannot be listened on: {why}.",
            "PORT_TAKEN",
            hint="Choose another with --port, or leave it out.",
        ) from error
    listener.listen()
    return listener


def serve(listener: socket.socket, attach: Attach, report: Callable[[Failure], None]) -> None:
    """Lead each viewer to the guest, until the process is interrupted."""
    listener.settimeout(_WAKE_SECONDS)
    while True:
        try:
            viewer, _ = listener.accept()
        except TimeoutError:
            continue
        viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_lead, args=(viewer, attach, report), daemon=True).start()


def _lead(viewer: socket.socket, attach: Attach, report: Callable[[Failure], None]) -> None:
    with viewer, suppress(OSError), closing(attach(_sent(viewer))) as written:
        try:
            for data in written:
                viewer.sendall(data)
        except Failure as failure:
            report(failure)
        # Wakes whoever reads from it.
        viewer.shutdown(socket.SHUT_RDWR)


def _sent(viewer: socket.socket) -> Iterator[bytes]:
    with suppress(OSError):
        while data := viewer.recv(_PIECE):
            yield data
