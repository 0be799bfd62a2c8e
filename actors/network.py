"""NetworkActor: the one writer of networks, ports and addresses.

Decides in memory (``model/port_ledger.py``) and answers once the store has it. Never touches a
host: what a port needs there is ``hostnet``'s business. Hosts ask what concerns them, and wait here
until it changes (``model/host_views.py``).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import ray

from actors.model.errors import ComputeError
from actors.model.flat_network import DEFAULT_MTU
from actors.model.host_view import HostPresence, HostView
from actors.model.host_views import KEEP_SECONDS, HostViews
from actors.model.ids import HostId, NetworkId, PortId
from actors.model.network import Network, Nic, Port
from actors.model.network_commands import CreateNetwork
from actors.model.port_ledger import PortLedger, Released
from actors.model.reply import Err, Ok, Reply, unwrap
from actors.ports.clock import Clock
from actors.ports.network import PortRelease, PortRequest
from actors.ports.store import Remove, Store, Table
from actors.store.owner import Owner
from actors.store.tables import put_network, put_port

WRITER: Final = "network"

#: A host that asks is answered after so long, be there news or not: a call that is lost without an
#: error costs no more than this, and a thousand hosts make fifty calls a second.
POLL_SECONDS: Final = 20.0

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class NetworkActor:
    """A call carries many requests: they are decided in order and share one commit."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        cards_mtu: int = DEFAULT_MTU,
        poll_seconds: float = POLL_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        """Load what there is.

        Args:
            store: Keeps it.
            clock: The time.
            cards_mtu: That of the cards that hosts reach each other over.
            poll_seconds: The longest that a host which watches waits for its answer.
            keep_seconds: How long a host that does not watch stays among its peers.
        """
        self._store = store
        self._clock = clock
        self._cards_mtu = cards_mtu
        self._poll_seconds = poll_seconds
        #: Outlives each ledger: what was released stays released when memory is loaded again.
        self._released: Released = {}
        #: One batch at a time: no decision builds on one that may yet fail to become durable.
        self._turn = asyncio.Lock()
        #: What is durable, and what hosts say.
        self._views = HostViews(clock.monotonic(), keep_seconds)
        #: Rings when a host may have news, and when it watches anew.
        self._bells: dict[HostId, asyncio.Event] = {}
        self._owner = Owner(WRITER, store, clock, self._load)

    def __repr__(self) -> str:
        return "Network()"

    @ray.method
    async def allocate_many(
        self, requests: tuple[PortRequest, ...]
    ) -> tuple[Reply[tuple[Nic, ...]], ...]:
        """Durable ports for many instances, an answer for each request in its place."""

        def allocate(ledger: PortLedger, request: PortRequest) -> tuple[Nic, ...]:
            return ledger.allocate(
                request.instance, request.project, request.sequence, request.wanted
            )

        return await self._change(requests, allocate)

    @ray.method
    async def release_many(self, releases: tuple[PortRelease, ...]) -> tuple[Reply[None], ...]:
        """Give back the ports of many instances, an answer for each in its place."""

        def release(ledger: PortLedger, one: PortRelease) -> None:
            ledger.release(one.instance, one.sequence)

        return await self._change(releases, release)

    @ray.method
    async def check(self, request: PortRequest) -> None:
        """As ``PortLedger.check``."""
        async with self._turn:
            ledger = await self._owner.state()
            ledger.check(request.instance, request.project, request.wanted)

    @ray.method
    async def networks(self) -> tuple[Network, ...]:
        """All networks, by label."""
        async with self._turn:  # what is not durable yet is not shown
            return (await self._owner.state()).networks

    @ray.method
    async def network(self, network: NetworkId) -> Network:
        """As ``PortLedger.network``."""
        async with self._turn:
            return (await self._owner.state()).network(network)

    @ray.method
    async def ensure_network(self, network: Network) -> Network:
        """The network of this project and label, made unless there is one.

        Raises:
            Invalid: The network cannot work.
            AlreadyExists: Another network has its id.
        """
        (reply,) = await self._change((network,), PortLedger.ensure_network)
        return unwrap(reply)

    @ray.method
    async def create_network(self, command: CreateNetwork) -> Network:
        """As ``PortLedger.create_network``."""

        def create(ledger: PortLedger, one: CreateNetwork) -> Network:
            return ledger.create_network(one, self._cards_mtu, self._clock.now())

        (reply,) = await self._change((command,), create)
        return unwrap(reply)

    @ray.method
    async def delete_network(self, network: NetworkId) -> None:
        """As ``PortLedger.delete_network``."""
        (reply,) = await self._change((network,), PortLedger.delete_network)
        unwrap(reply)

    @ray.method
    async def watch(self, presence: HostPresence) -> HostView:
        """What the host must know, once it is not what it has seen (``NetworkNews``)."""
        await self._owner.state()
        host, bell = presence.host_id, asyncio.Event()
        if older := self._bells.get(host):
            older.set()
        self._bells[host] = bell
        try:
            self._ring(self._views.hear(presence, self._clock.monotonic()))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    while (
                        self._waits(host, bell) and self._views.view(host).version == presence.seen
                    ):
                        bell.clear()
                        await bell.wait()
            return self._views.view(host)
        finally:
            if self._waits(host, bell):
                del self._bells[host]

    def _waits(self, host: HostId, bell: asyncio.Event) -> bool:
        return self._bells.get(host) is bell

    def _ring(self, hosts: Iterable[HostId]) -> None:
        for host in hosts:
            if bell := self._bells.get(host):
                bell.set()

    async def _change(
        self, items: Sequence[Item], decide: Callable[[PortLedger, Item], Answer]
    ) -> tuple[Reply[Answer], ...]:
        """Decide each in memory, in order, then write all that changed at once."""
        async with self._turn:
            try:
                ledger = await self._owner.state()
                replies = tuple(_reply(decide, ledger, item) for item in items)
                await self._commit(ledger)
            except ComputeError as error:
                return tuple(Err(error) for _ in items)
            except Exception:
                _log.exception("network: a decision met a bug")
                # It has left memory half changed.
                self._owner.load_again()
                raise
            return replies

    async def _commit(self, ledger: PortLedger) -> None:
        changes = ledger.take_changes()
        await self._owner.commit(
            (*map(put_network, changes.networks), *map(put_port, changes.ports)),
            (
                *(Remove(Table.PORTS, port) for port in changes.removed),
                *(Remove(Table.NETWORKS, network) for network in changes.removed_networks),
            ),
        )
        gone: tuple[PortId | NetworkId, ...] = (*changes.removed, *changes.removed_networks)
        self._ring(self._views.learn(changes.networks, changes.ports, gone=gone))

    async def _load(self) -> PortLedger:
        networks = tuple(map(Network.model_validate_json, await self._store.load(Table.NETWORKS)))
        ports = tuple(map(Port.model_validate_json, await self._store.load(Table.PORTS)))
        self._ring(self._views.replace(networks, ports))
        return PortLedger(networks, ports, self._released)


def _reply(
    decide: Callable[[PortLedger, Item], Answer], ledger: PortLedger, item: Item
) -> Reply[Answer]:
    try:
        return Ok(decide(ledger, item))
    except ComputeError as error:
        return Err(error)
