"""A metadata service on this machine's loopback, where 127.0.0.x are its guests."""

import http.client
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from actors.hostnet.metadata_server import MetadataServer
from actors.model.errors import Unavailable
from actors.model.instance import InstanceRecord
from tests.unit.guestdata import guests

if TYPE_CHECKING:
    from actors.model.guest_data import GuestData

ANN, BOB, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.4"


class Service:
    """The service, and how its guests ask it."""

    def __init__(self) -> None:
        ann = guests.record()
        bob = guests.record("7d4b3a52-9f0e-5d7c-8a41-00000000000b").evolve(
            name="bob", hostname="bob"
        )
        # Who names no address of its own is the first guest.
        self.records: dict[str, InstanceRecord] = {"127.0.0.1": ann, ANN: ann, BOB: bob}
        self.away = False
        self.server = MetadataServer(guests.SHARE)
        self.server.open(self._data)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stop: Callable[[], None] = self.server.listen(self._listener, self.records.get)

    @property
    def url(self) -> str:
        """Of its root."""
        return f"http://127.0.0.1:{self.port}"

    def _data(self, record: InstanceRecord) -> "Future[GuestData | None]":
        answer: Future[GuestData | None] = Future()
        if self.away:
            answer.set_exception(Unavailable("away", "AWAY"))
        else:
            answer.set_result(guests.data(record))
        return answer

    def connect(self, guest: str) -> socket.socket:
        """A connection that comes from this guest's address."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=20, source_address=(guest, 0)
        )

    def ask(
        self,
        guest: str,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> http.client.HTTPResponse:
        """One request; the answer is read whole."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.sock = self.connect(guest)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            self.text = answer.read()
            return answer
        finally:
            connection.close()


@contextmanager
def serving() -> Iterator[Service]:
    """A service for as long as this lasts."""
    service = Service()
    try:
        yield service
    finally:
        service.stop()
        service.server.close()
