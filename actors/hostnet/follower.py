"""The HostActor's chore "networks": it tells what guests here have, and does what comes of it.

One call to the NetworkActor is always under way, which it answers when something changes
(``ports.network.NetworkNews``). While it is away all stays as it is: guests' frames pass through
the kernel, not through us.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from actors.model.errors import ComputeError
from actors.model.host_view import HostPresence, HostView
from actors.model.ids import HostId
from actors.ports.clock import Clock
from actors.ports.hypervisor import Attached, HostNetwork
from actors.ports.network import NetworkNews

#: Between the beginnings of two calls, at least: a burst of boots is told at once and then in few
#: calls, not in one for each.
GAP_SECONDS: Final = 0.2
#: After a call that failed; doubled up to the longest.
_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 4.0

_log = logging.getLogger(__name__)

Value = TypeVar("Value")


class Follower:
    """Keeps one host's networks as the NetworkActor has them."""

    def __init__(
        self,
        host_id: HostId,
        host: str,
        networks: NetworkNews,
        local: HostNetwork,
        threads: Executor,
        clock: Clock,
    ) -> None:
        self._host_id = host_id
        self._host = host
        self._networks = networks
        self._local = local
        self._threads = threads
        self._clock = clock
        self._seen = ""
        #: Rung when what guests here have has changed.
        self._bell = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        local.on_change(self._changed)

    def _changed(self) -> None:
        # Called from any thread.
        self._loop.call_soon_threadsafe(self._bell.set)

    async def run(self) -> None:
        """Follow for ever; not at all where no guest has packets."""
        pause = _PAUSE_SECONDS
        while True:
            begun = self._clock.monotonic()
            if self._bell.is_set():
                # Before the look. And what was followed may have gone with a guest and come again
                # with another since: the next answer counts, be it the same.
                self._bell.clear()
                self._seen = ""
            try:
                here = await self._blocking(self._local.presence)
                if here is None:
                    return
                await self._once(here)
                pause = _PAUSE_SECONDS
            except ComputeError as error:
                _log.info("host %s: networks wait: %s", self._host, error)
                await self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception:  # noqa: BLE001 - a bug must not end the chore
                _log.exception("host %s: networks met a bug", self._host)
                await self._clock.sleep(_LONGEST_PAUSE)
            if (left := begun + GAP_SECONDS - self._clock.monotonic()) > 0:
                await self._clock.sleep(left)

    async def _once(self, here: Attached) -> None:
        view = await self._watched(here)
        if view is None or view.version == self._seen:
            return
        await self._blocking(lambda: self._local.follow(view))
        self._seen = view.version

    async def _watched(self, here: Attached) -> HostView | None:
        """What the NetworkActor says; None where the bell rings before it does."""
        call = asyncio.create_task(
            self._networks.watch(
                HostPresence(
                    host_id=self._host_id,
                    host=self._host,
                    tunnel_address=here.tunnel_address,
                    networks=here.networks,
                    ports=here.ports,
                    peers=dict(here.peers),
                    seen=self._seen,
                )
            )
        )
        bell = asyncio.create_task(self._bell.wait())
        try:
            await asyncio.wait((call, bell), return_when=asyncio.FIRST_COMPLETED)
            return await call if call.done() else None
        finally:
            # The NetworkActor answers the call that we leave when the next one comes.
            call.cancel()
            bell.cancel()

    async def _blocking(self, call: Callable[[], Value]) -> Value:
        return await self._loop.run_in_executor(self._threads, call)
