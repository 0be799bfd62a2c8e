"""Who holds which address, decided in memory. The NetworkActor keeps one and makes it durable."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from typing import Final
from uuid import UUID, uuid5

from actors.model.address_pool import AddressPool
from actors.model.errors import Cancelled, ComputeError, Conflict, Exhausted, Invalid
from actors.model.ids import InstanceId, NetworkId, PortId, ProjectId
from actors.model.mac import mac_for
from actors.model.network import Network, Nic, Port, WantedCard
from actors.model.network_commands import CreateNetwork
from actors.model.network_ledger import NetworkLedger
from actors.model.subnet import is_host

#: How many released instances are remembered, so that a late allocate of an ended operation finds
#: out. Enough for the calls that can be under way at once, many times over.
REMEMBERED_RELEASES: Final = 20_000

#: The newest operation that released each instance's ports, oldest first.
Released = dict[InstanceId, int]

_NAMESPACE: Final = UUID("0b2c7d0e-58a6-5b0e-8f57-706f72740000")


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since the last time somebody asked."""

    networks: tuple[Network, ...]
    ports: tuple[Port, ...]
    removed: tuple[PortId, ...]
    removed_networks: tuple[NetworkId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.networks or self.ports or self.removed or self.removed_networks)


class PortLedger:
    """Networks, ports and free addresses.

    Every decision takes the same time, however many ports there are. Converging by instance, and
    fenced by operation: a call of an older operation than the last one that spoke for the instance
    takes nothing away and, once that one has released the ports, gets none.
    """

    def __init__(
        self,
        networks: Iterable[Network],
        ports: Iterable[Port],
        released: Released | None = None,
    ) -> None:
        self._networks = NetworkLedger(networks)
        self._ports: dict[InstanceId, tuple[Port, ...]] = {}
        held: dict[NetworkId, list[Port]] = {network.id: [] for network in self._networks.all}
        for port in sorted(ports, key=lambda port: port.position):
            self._ports[port.instance] = (*self._ports.get(port.instance, ()), port)
            held[port.network].append(port)
        self._pools = {
            network.id: _pool(network, held[network.id]) for network in self._networks.all
        }
        self._released: Released = {} if released is None else released
        self._new_networks: list[Network] = []
        self._removed_networks: list[NetworkId] = []
        self._written: dict[PortId, Port] = {}
        self._removed: list[PortId] = []

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks, by label."""
        return self._networks.all

    def take_changes(self) -> Changes:
        """What one batch must write. The next answer begins from here."""
        changes = Changes(
            tuple(self._new_networks),
            tuple(self._written.values()),
            tuple(self._removed),
            tuple(self._removed_networks),
        )
        self._new_networks, self._written, self._removed = [], {}, []
        self._removed_networks = []
        return changes

    # --- networks -----------------------------------------------------------------------------

    def network(self, network: NetworkId) -> Network:
        """One network.

        Raises:
            NotFound: There is none with this id.
        """
        return self._networks.find(network)

    def ensure_network(self, network: Network) -> Network:
        """The network of this project and label, made from ``network`` unless there is one.

        Raises:
            Invalid: The network cannot work.
            AlreadyExists: Another network has its id.
        """
        return self._open(*self._networks.ensure(network))

    def create_network(self, command: CreateNetwork, cards_mtu: int, now: datetime) -> Network:
        """Make a network. The same id again is the same network.

        Raises:
            Invalid: It cannot work.
            QuotaExceeded: The project has as many as one may have.
            AlreadyExists: Its id is too much like another's.
        """
        return self._open(*self._networks.create(command, cards_mtu, now))

    def delete_network(self, network: NetworkId) -> None:
        """Delete a network. One that is gone is no error.

        Raises:
            Conflict: Somebody has a port on it.
        """
        if network not in self._networks:
            return
        held = self._pools[network].held
        if held:
            raise Conflict(
                f"Network {network} has {held} ports in use. Delete the instances on it first.",
                "NETWORK_IN_USE",
                "",
                {"network": network, "ports": str(held)},
            )
        self._networks.remove(network)
        del self._pools[network]
        self._removed_networks.append(network)

    # --- ports --------------------------------------------------------------------------------

    def allocate(
        self,
        instance: InstanceId,
        project: ProjectId,
        sequence: int,
        wanted: Sequence[WantedCard] = (),
    ) -> tuple[Nic, ...]:
        """The instance's cards; made now unless it has them. All that are wanted, or none.

        Where none are named: one, on the project's own network before a shared one.

        Raises:
            Cancelled: A newer operation has released this instance's ports.
            NotFound: A network is not there, or the project may use none.
            Invalid: A wanted address is not one of its network.
            Conflict: A wanted address is somebody's.
            Exhausted: No address is free.
        """
        ports = self._ports.get(instance)
        if ports is not None:
            if sequence > ports[0].sequence:
                # Durable too: what an older operation still releases must find it after a restart.
                ports = tuple(self._write(port.evolve(sequence=sequence)) for port in ports)
                self._ports[instance] = ports
        elif sequence < self._released.get(instance, sequence):
            raise Cancelled(
                f"Instance {instance} was given no port: a newer operation has released its ports.",
                "SUPERSEDED",
            )
        else:
            places = self._places(project, wanted)
            self._take(places)
            ports = self._ports[instance] = tuple(
                self._write(port) for port in _ports(instance, project, sequence, places)
            )
        return tuple(self._nic(port) for port in ports)

    def check(self, instance: InstanceId, project: ProjectId, wanted: Sequence[WantedCard]) -> None:
        """Whether ``allocate`` would give the instance these networks and addresses now.

        Raises:
            NotFound: A network is not there, or not for the project.
            Invalid: A wanted address is not one of its network.
            Conflict: A wanted address is somebody's.
        """
        places = [place for place in self._places(project, wanted) if place.address is not None]
        if instance in self._ports:
            return  # a request that has come before; the addresses may be its own
        # One may be wanted twice. So they are taken, and put back where they were.
        self._take(places)
        self._put_back(places)

    def release(self, instance: InstanceId, sequence: int) -> None:
        """Take the instance's ports away, unless a newer operation speaks for them."""
        ports = self._ports.get(instance, ())
        if ports and sequence < ports[0].sequence:
            return
        newest = max(sequence, self._released.pop(instance, sequence))
        self._released[instance] = newest
        if len(self._released) > REMEMBERED_RELEASES:
            del self._released[next(iter(self._released))]
        for port in ports:
            self._pools[port.network].give_back(port.address)
            self._removed.append(port.id)
        self._ports.pop(instance, None)

    def _write(self, port: Port) -> Port:
        # Twice in one batch is still one generation: the store sees the batch as one change.
        before = self._written.get(port.id)
        generation = before.generation if before else port.generation + 1
        self._written[port.id] = after = port.evolve(generation=generation)
        return after

    def _open(self, network: Network, made_now: bool) -> Network:
        if made_now:
            self._pools[network.id] = _pool(network, ())
            self._new_networks.append(network)
        return network

    def _places(self, project: ProjectId, wanted: Sequence[WantedCard]) -> list["_Place"]:
        if not wanted:
            return [_Place(0, self._networks.default_for(project))]
        return [
            _Place(number, self._networks.usable(card.network, project), card.address)
            for number, card in enumerate(wanted)
        ]

    def _take(self, places: Sequence["_Place"]) -> None:
        """An address for each place, or for none."""
        taken: list[_Place] = []
        # First those that must have a certain one: no other card of the same request takes it.
        for place in sorted(places, key=lambda place: place.address is None):
            try:
                self._take_one(place)
            except ComputeError:
                self._put_back(taken)
                raise
            taken.append(place)

    def _take_one(self, place: "_Place") -> None:
        network, pool = place.network, self._pools[place.network.id]
        if place.address is None:
            place.address = pool.take()
            if place.address is None:
                raise Exhausted(
                    f"Network {network.label} ({network.cidr}) has no free address.",
                    "NO_FREE_ADDRESS",
                    metadata={"network": network.id},
                )
        elif not is_host(network.cidr, place.address):
            rule = f"must be a host's address in {network.cidr}"
            raise Invalid(
                f"Address {place.address} cannot be had on network {network.label}: it {rule}.",
                "ADDRESS_OUTSIDE_SUBNET",
                "",
                {f"networks[{place.number}].address": rule},
            )
        elif not pool.take_this(place.address):
            raise Conflict(
                f"Address {place.address} of network {network.label} is in use. Choose another, or "
                "none.",
                "ADDRESS_IN_USE",
                "",
                {"network": network.id, "address": str(place.address)},
            )

    def _put_back(self, places: Sequence["_Place"]) -> None:
        for place in places:
            assert place.address is not None
            self._pools[place.network.id].give_back(place.address)

    def _nic(self, port: Port) -> Nic:
        network = self._networks[port.network]
        return Nic(port=port.id, network=network, mac=port.mac, address=port.address)


@dataclass(slots=True)
class _Place:
    """Where a card is to be."""

    #: Of the card, from 0.
    number: int
    network: Network
    #: None until it has one.
    address: IPv4Address | None = None


def _ports(
    instance: InstanceId, project: ProjectId, sequence: int, places: Sequence[_Place]
) -> Iterator[Port]:
    on: Counter[NetworkId] = Counter()
    for place in places:
        network, address = place.network, place.address
        assert address is not None
        # The first on a network is called as it was when an instance had no other.
        nth = f"/{on[network.id]}" if on[network.id] else ""
        on[network.id] += 1
        yield Port(
            id=PortId(str(uuid5(_NAMESPACE, f"{network.id}/{instance}{nth}"))),
            instance=instance,
            project=project,
            network=network.id,
            mac=mac_for(network, address),
            address=address,
            sequence=sequence,
            position=place.number,
            generation=0,
        )


def _pool(network: Network, ports: Iterable[Port]) -> AddressPool:
    reserved = (network.gateway, network.dhcp)
    taken = (port.address for port in ports)
    return AddressPool(network.cidr, reserved, taken, network.pools)
