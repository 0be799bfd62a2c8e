"""Networks and addresses, as their users see them."""

from dataclasses import dataclass
from typing import Protocol

from actors.model.host_view import HostPresence, HostView
from actors.model.ids import InstanceId, ProjectId
from actors.model.network import Network, Nic


@dataclass(frozen=True, slots=True)
class PortRequest:
    """Give an instance a port on the flat network.

    Converging: the same instance gets the same ports again.
    """

    instance: InstanceId
    project: ProjectId
    sequence: int


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
            Exhausted: No address is free.
        """
        ...

    async def release(self, release: PortRelease) -> None:
        """Durable when it returns."""
        ...

    async def networks(self) -> tuple[Network, ...]:
        """All networks, by label."""
        ...

    async def ensure_network(self, network: Network) -> Network:
        """Make the network unless one with this label exists; that one is returned unchanged."""
        ...

    async def watch(self, presence: HostPresence) -> HostView:
        """Say what a host has, and wait for what it must know.

        Answers as soon as that is not the version it has seen; after 20 s at the latest, and when
        the same host watches anew, with what it is by then.

        Raises:
            Unavailable: The NetworkActor is away. What the host has goes on.
        """
        ...
