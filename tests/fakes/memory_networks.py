"""``ports.network.Networks`` in memory: the real ledger."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from actors.model.flat_network import DEFAULT_MTU, default_network
from actors.model.ids import NetworkId
from actors.model.network import Network, Nic
from actors.model.network_commands import CreateNetwork
from actors.model.port_ledger import PortLedger
from actors.ports.network import PortRelease, PortRequest
from tests.fakes.memory_port import MemoryPort, Switches

Answer = TypeVar("Answer")

PRIVATE = NetworkId("0a8d2a5f-6b4e-4e0a-9a53-2f4c0a9b7e11")


class MemoryNetworks(MemoryPort):
    """Begins with the network made with a cluster."""

    def __init__(self, compute: Switches) -> None:
        super().__init__(compute)
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.ledger = PortLedger([default_network(PRIVATE, self._now)], [])

    async def allocate(self, request: PortRequest) -> tuple[Nic, ...]:
        return await self._do(
            "allocate",
            lambda: self.ledger.allocate(
                request.instance, request.project, request.sequence, request.wanted
            ),
        )

    async def check(self, request: PortRequest) -> None:
        await self._do(
            "check",
            lambda: self.ledger.check(request.instance, request.project, request.wanted),
        )

    async def release(self, release: PortRelease) -> None:
        await self._do(
            "release_ports", lambda: self.ledger.release(release.instance, release.sequence)
        )

    async def networks(self) -> tuple[Network, ...]:
        return await self._do("networks", lambda: self.ledger.networks)

    async def network(self, network: NetworkId) -> Network:
        return await self._do("network", lambda: self.ledger.network(network))

    async def ensure_network(self, network: Network) -> Network:
        return await self._do("ensure_network", lambda: self.ledger.ensure_network(network))

    async def create_network(self, command: CreateNetwork) -> Network:
        self._now += timedelta(seconds=1)
        return await self._do(
            "create_network", lambda: self.ledger.create_network(command, DEFAULT_MTU, self._now)
        )

    async def delete_network(self, network: NetworkId) -> None:
        await self._do("delete_network", lambda: self.ledger.delete_network(network))

    async def _do(self, name: str, call: Callable[[], Answer]) -> Answer:
        await self._called(name)
        answer = call()
        self.ledger.take_changes()
        return answer
