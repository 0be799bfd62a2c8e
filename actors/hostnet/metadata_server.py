"""The metadata service of a host: HTTP at 169.254.169.254, for all its networks.

One thread with one event loop, whatever the number of networks: a network brings a socket that
listens in its namespace (``namespace``). A guest is known by the address that its connection comes
from and by nothing that it says; what it asks for it is told of itself.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from aiohttp import web

from actors.guestdata.guest import Guest, HostShare
from actors.guestdata.service import answer
from actors.hostnet.guest_connections import SERVER, GuestAt, GuestConnections
from actors.model.errors import ComputeError
from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import GuestDataSource

#: Seconds that a guest's data may take to come from the record.
_PATIENCE: Final = 10.0

_METHODS: Final = ("GET", "HEAD")
_LATER: Final = {**SERVER, "Retry-After": "1"}

_log: Final = logging.getLogger(__name__)


class MetadataServer:
    """Serves on the sockets it is given. May be called from any thread."""

    def __init__(self, share: HostShare) -> None:
        self._share = share
        self._data: GuestDataSource | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def open(self, data: GuestDataSource) -> None:
        """Where guests' data comes from. Until then everybody is told to come again."""
        self._data = data

    def listen(self, listener: socket.socket, guest_at: GuestAt) -> Callable[[], None]:
        """Serve a network on its socket, until the function that this returns is called."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="metadata", daemon=True)
                self._thread.start()
        loop, _ = self._started.result()
        opened = asyncio.run_coroutine_threadsafe(self._open(listener, guest_at), loop).result()
        return lambda: asyncio.run_coroutine_threadsafe(_close(opened), loop).result()

    def close(self) -> None:
        """End the thread. What has been given to ``listen`` is closed before."""
        if self._thread is not None:
            loop, end = self._started.result()
            loop.call_soon_threadsafe(end.set)
            self._thread.join()

    def _run(self) -> None:
        async def until_the_end() -> None:
            end = asyncio.Event()
            self._started.set_result((asyncio.get_running_loop(), end))
            await end.wait()

        asyncio.run(until_the_end())

    async def _open(self, listener: socket.socket, guest_at: GuestAt) -> GuestConnections:
        connections = GuestConnections(self._answer, guest_at)
        connections.serve(listener)
        return connections

    async def _answer(self, request: web.BaseRequest, record: InstanceRecord) -> web.Response:
        if request.method not in _METHODS:
            return web.Response(status=405, headers={**SERVER, "Allow": ", ".join(_METHODS)})
        if self._data is None:
            return web.Response(status=503, headers=_LATER)
        try:
            async with asyncio.timeout(_PATIENCE):
                data = await asyncio.wrap_future(self._data(record))
        except (ComputeError, TimeoutError) as error:
            _log.warning("no data for the metadata of instance %s: %s", record.id, error)
            return web.Response(status=503, headers=_LATER)
        found = answer(Guest(record, data, self._share), request.path)
        if found is None:
            return web.Response(status=404, headers=SERVER)
        return web.Response(body=found.body, headers={**SERVER, "Content-Type": found.content_type})


async def _close(connections: GuestConnections) -> None:
    connections.close()
