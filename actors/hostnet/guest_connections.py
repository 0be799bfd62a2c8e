"""The connections of one network's guests to the metadata service.

Guests are strangers. What each of them can make us hold or do is bounded: connections, the time
one lives, the size of a request, requests in a second.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from actors.hostnet.allowance import Allowance
from actors.model.instance import InstanceRecord

#: Says no more of what serves than it must.
SERVER: Final = {"Server": "novaray"}

#: At once, of one guest and of all guests of a network. cloud-init needs one.
_CONNECTIONS_EACH: Final = 16
_CONNECTIONS: Final = 512
#: Seconds that a connection lives, whatever comes or goes over it.
_LIFETIME: Final = 30.0
#: Bytes of a request's first line, of one header, and how many headers.
_LINE: Final = 2048
_FIELD: Final = 4096
_HEADERS: Final = 64

_log: Final = logging.getLogger(__name__)

#: Who has this address on the network; None for a stranger.
GuestAt = Callable[[str], InstanceRecord | None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A connection, and when it ends whatever happens."""

    address: str
    transport: asyncio.Transport
    end: asyncio.TimerHandle


class GuestConnections(web.Server):
    """One network's connections: lets in guests, and no guest too often."""

    def __init__(
        self,
        answer: Callable[[web.BaseRequest, InstanceRecord], Awaitable[web.Response]],
        guest_at: GuestAt,
    ) -> None:
        super().__init__(
            self._handle,
            access_log=None,
            keepalive_timeout=_LIFETIME,
            max_line_size=_LINE,
            max_field_size=_FIELD,
            max_headers=_HEADERS,
            lingering_time=0,
        )
        self._answer = answer
        self._guest_at = guest_at
        self._allowances: dict[str, Allowance] = {}
        self._open: Counter[str] = Counter()
        self._listener: socket.socket
        self._taking: set[asyncio.Task[object]] = set()
        self._closed = False
        self._kept: dict[web.RequestHandler, _Kept] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Keep a connection for its time, or refuse it at once."""
        super().connection_made(handler, transport)
        address = _address(transport)
        self._open[address] += 1
        end = self._loop.call_later(_LIFETIME, transport.abort)
        self._kept[handler] = _Kept(address, transport, end)
        if (
            self._closed
            or self._guest_at(address) is None
            or self._open[address] > _CONNECTIONS_EACH
            or len(self._kept) > _CONNECTIONS
            or not self._allowed(address)
        ):
            # Not at once: the handler would find its connection gone before it has begun.
            self._loop.call_soon(transport.abort)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Count it no longer."""
        super().connection_lost(handler, exc)
        if kept := self._kept.pop(handler, None):
            kept.end.cancel()
            self._open[kept.address] -= 1
            if not self._open[kept.address]:
                del self._open[kept.address]

    def serve(self, listener: socket.socket) -> None:
        """Take what comes to this socket, until ``close``."""
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener, self._accept)

    def _accept(self) -> None:
        # Not by asyncio's Server: it loses a connection that comes while it is being closed.
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # the guest has thought better of it
            return
        except OSError as error:  # no file descriptor is left: it will not help to ask at once
            _log.error("the metadata service takes no connections for a second: %s", error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(1, self._go_on)
            return
        taking = self._loop.create_task(self._loop.connect_accepted_socket(self, connection))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)

    def _go_on(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Listen no more, and drop all connections, also those that are just being taken."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for kept in tuple(self._kept.values()):
            kept.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        address = _address(request.transport)
        record = self._guest_at(address)
        if record is None:  # gone since it connected
            return web.Response(status=404, headers=SERVER)
        if not self._allowed(address):
            return web.Response(status=429, headers={**SERVER, "Retry-After": "1"})
        return await self._answer(request, record)

    def _allowed(self, address: str) -> bool:
        """Whether this guest may have one more connection or answer now."""
        now = self._loop.time()
        return self._allowances.setdefault(address, Allowance(now)).take(now)


def _address(transport: asyncio.BaseTransport) -> str:
    # None where the guest has gone already.
    return str((transport.get_extra_info("peername") or ("",))[0])
