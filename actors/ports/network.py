"""Networks and addresses, as their users see them."""

from dataclasses import dataclass
from typing import Protocol

from actors.model.host_view import HostPresence, HostView
from actors.model.ids import InstanceId, NetworkId, ProjectId
from actors.model.network import Network, Nic, WantedCard
from actors.model.network_commands import CreateNetwork


@dataclass(frozen=True, slots=True)
class PortRequest:
    """Give an instance ports: on these networks, in this order.

    Where none are named: one, on the network that the project uses by default. Converging: the same
    instance gets the same ports again, whatever is wanted then.
    """

    instance: InstanceId
    project: ProjectId
    sequence: int
    wanted: tuple[WantedCard, ...] = ()


@dataclass(frozen=True, slots=True)
class PortRelease:
    """Give back all ports of an instance.

    None to give is no error; an older operation's changes nothing.
    """

    instance: InstanceId
    sequence: int


class Networks(Protocol):
    """One writer of networks, ports and addresses."""

    async def allocate(self, request: PortRequest) -> tuple[Nic, ...]:
        """Durable ports with MAC and address.

        Raises:
            NotFound: A network is not there, or not for the project.
            Invalid: A wanted address is not one of its network.
            Conflict: A wanted address is somebody's.
            Exhausted: No address is free.
        """
        ...

    async def check(self, request: PortRequest) -> None:
        """Whether ``allocate`` would give these networks and addresses now. Changes nothing.

        Raises:
            NotFound: A network is not there, or not for the project.
            Invalid: A wanted address is not one of its network.
            Conflict: A wanted address is somebody's.
        """
        ...

    async def release(self, release: PortRelease) -> None:
        """Durable when it returns."""
        ...

    async def networks(self) -> tuple[Network, ...]:
        """All networks, by label."""
        ...

    async def network(self, network: NetworkId) -> Network:
        """One network.

        Raises:
            NotFound: There is none with this id.
        """
        ...

    async def ensure_network(self, network: Network) -> Network:
        """Make it unless its project has one of this label; that one is returned unchanged."""
        ...

    async def create_network(self, command: CreateNetwork) -> Network:
        """As ``PortLedger.create_network``. Durable when it returns."""
        ...

    async def delete_network(self, network: NetworkId) -> None:
        """As ``PortLedger.delete_network``. Durable when it returns."""
        ...


class NetworkNews(Protocol):
    """Where hosts say what they have of the networks, and hear what they must know."""

    async def watch(self, presence: HostPresence) -> HostView:
        """Say what a host has, and wait for what it must know.

        Answers as soon as that is not the version it has seen; after 20 s at the latest, and when
        the same host watches anew, with what it is by then.

        Raises:
            Unavailable: The NetworkActor is away. What the host has goes on.
        """
        ...
