"""NetworkActor as a plain object: ``@ray.method`` gives its methods the type of their handles."""

from typing import Protocol, cast

from actors.model.host_view import HostPresence, HostView
from actors.model.host_views import KEEP_SECONDS
from actors.model.ids import NetworkId
from actors.model.network import Network, Nic
from actors.model.network_commands import CreateNetwork
from actors.model.reply import Reply
from actors.network import POLL_SECONDS, NetworkActor
from actors.ports.clock import Clock
from actors.ports.network import PortRelease, PortRequest
from actors.ports.store import Store


class PlainNetworkActor(Protocol):
    """Its methods, called without Ray."""

    async def allocate_many(
        self, requests: tuple[PortRequest, ...]
    ) -> tuple[Reply[tuple[Nic, ...]], ...]: ...

    async def release_many(self, releases: tuple[PortRelease, ...]) -> tuple[Reply[None], ...]: ...

    async def check(self, request: PortRequest) -> None: ...

    async def networks(self) -> tuple[Network, ...]: ...

    async def network(self, network: NetworkId) -> Network: ...

    async def ensure_network(self, network: Network) -> Network: ...

    async def create_network(self, command: CreateNetwork) -> Network: ...

    async def delete_network(self, network: NetworkId) -> None: ...

    async def watch(self, presence: HostPresence) -> HostView: ...


def network_actor(
    store: Store,
    clock: Clock,
    poll_seconds: float = POLL_SECONDS,
    keep_seconds: float = KEEP_SECONDS,
) -> PlainNetworkActor:
    """An actor in this process. Needs a running loop."""
    return cast(
        "PlainNetworkActor",
        NetworkActor(store, clock, poll_seconds=poll_seconds, keep_seconds=keep_seconds),
    )
