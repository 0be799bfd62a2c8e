"""Which networks there are and who may use them, decided in memory."""

from collections.abc import Iterable
from datetime import datetime
from itertools import count
from typing import Final
from uuid import UUID

from actors.model.errors import AlreadyExists, NotFound, QuotaExceeded
from actors.model.ids import NetworkId, ProjectId
from actors.model.network import Network, NetworkKind
from actors.model.network_commands import NETWORK_LIMIT, CreateNetwork
from actors.model.subnet import check_mtu, check_network, network_of

#: A host's links carry so much of a network's id (``hostnet/plan.py``).
_ON_LINKS: Final = 11

#: 24 bits, without 0 (RFC 7348 5).
_VNIS: Final = (1 << 24) - 1


class NetworkLedger:
    """Networks by id and by project. Addresses are the ``PortLedger``'s."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks: dict[NetworkId, Network] = {}
        #: Those that a project alone may use.
        self._own: dict[ProjectId, dict[NetworkId, Network]] = {}
        self._shared: dict[NetworkId, Network] = {}
        for network in networks:
            self.add(network)

    def __contains__(self, network: NetworkId) -> bool:
        return network in self._networks

    def __getitem__(self, network: NetworkId) -> Network:
        return self._networks[network]

    @property
    def all(self) -> tuple[Network, ...]:
        """All networks, by label."""
        return tuple(sorted(self._networks.values(), key=lambda one: (one.label, one.id)))

    def find(self, network: NetworkId) -> Network:
        """One network.

        Raises:
            NotFound: There is none with this id.
        """
        found = self._networks.get(network)
        if found is None:
            raise unknown_network(network)
        return found

    def usable(self, network: NetworkId, project: ProjectId) -> Network:
        """One network, if instances of the project may be on it.

        Raises:
            NotFound: There is none, or it is another project's own.
        """
        found = self.find(network)
        if not found.shared and found.project != project:
            raise unknown_network(network)
        return found

    def default_for(self, project: ProjectId) -> Network:
        """The project's own network before a shared one, the oldest of several.

        Raises:
            NotFound: The project may use none.
        """
        usable = self._own.get(project) or self._shared
        if not usable:
            raise NotFound(f"Project {project} has no network to use.", "NO_NETWORK")
        return min(usable.values(), key=lambda network: (network.created, network.id))

    def ensure(self, network: Network) -> tuple[Network, bool]:
        """The network of this project and label, and whether it was made from ``network`` now.

        Raises:
            Invalid: The network cannot work.
            AlreadyExists: Another network has its id.
        """
        for known in self._networks.values():
            if (known.label, known.project) == (network.label, network.project):
                return known, False
        check_network(network)
        self._check_id(network.id)
        first = network.evolve(generation=1)
        self.add(first)
        return first, True

    def create(self, command: CreateNetwork, cards_mtu: int, now: datetime) -> tuple[Network, bool]:
        """The network of this id, and whether it was made now.

        Args:
            command: What is asked for.
            cards_mtu: MTU of the hosts' cards.
            now: The time.

        Raises:
            Invalid: The network cannot work.
            QuotaExceeded: The project has as many as one may have.
            AlreadyExists: Its id is too much like another's.
        """
        known = self._networks.get(command.id)
        if known is not None:
            return known, False
        vni = self._free_vni(command.id) if command.kind is NetworkKind.VXLAN else 0
        network = network_of(command, cards_mtu, vni, now)
        check_network(network)
        check_mtu(network, cards_mtu)
        held = sum(one.project == command.project for one in self._networks.values())
        if held >= NETWORK_LIMIT:
            raise QuotaExceeded(
                f"Project {command.project} has {NETWORK_LIMIT} networks, as many as one may "
                "have. Delete some.",
                "NETWORK_QUOTA_EXCEEDED",
                "",
                {"project": command.project, "limit": str(NETWORK_LIMIT)},
            )
        self._check_id(network.id)
        self.add(network)
        return network, True

    def add(self, network: Network) -> None:
        """Know a network."""
        self._networks[network.id] = network
        self._among(network)[network.id] = network

    def remove(self, network: NetworkId) -> None:
        """Know a network no more."""
        del self._among(self._networks.pop(network))[network]

    def _among(self, network: Network) -> dict[NetworkId, Network]:
        return self._shared if network.shared else self._own.setdefault(network.project, {})

    def _free_vni(self, network: NetworkId) -> int:
        """A number that no network has, and that hardly one has had.

        A host that was away may still carry a network that has been deleted meanwhile.
        """
        taken = {network.vni for network in self._networks.values()}
        start = UUID(network).int
        numbers = (1 + number % _VNIS for number in count(start))
        return next(number for number in numbers if number not in taken)

    def _check_id(self, network: NetworkId) -> None:
        # A tenant chooses the request id that a network's id is made from, and could look for one
        # whose links are called like another tenant's.
        for known in self._networks.values():
            if known.id[:_ON_LINKS] == network[:_ON_LINKS]:
                raise AlreadyExists(
                    f"Network id {network} is too much like that of another network. Ask again "
                    "with another request id.",
                    "NETWORK_ID_TAKEN",
                    known.label,
                    {"network": network},
                )


def unknown_network(network: NetworkId) -> NotFound:
    """What callers hear of a network that is not there, or not theirs."""
    return NotFound(
        f"Network {network} could not be found.", "NETWORK_NOT_FOUND", "", {"network": network}
    )
