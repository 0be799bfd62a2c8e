"""Unit tests talk to nobody."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_connections() -> Iterator[None]:
    """Fail a unit test that opens a connection."""

    def refuse(self: socket.socket, address: object) -> None:
        pytest.fail(f"a unit test connects to {address!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield
