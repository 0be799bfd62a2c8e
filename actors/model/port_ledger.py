"""Who holds which address, decided in memory. The NetworkActor keeps one and makes it durable."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from actors.model.address_pool import AddressPool
from actors.model.errors import AlreadyExists, Cancelled, Exhausted, NotFound
from actors.model.flat_network import check_network
from actors.model.ids import InstanceId, NetworkId, PortId, ProjectId
from actors.model.mac import mac_for
from actors.model.network import Network, Nic, Port

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

    def __bool__(self) -> bool:
        return bool(self.networks or self.ports or self.removed)


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
        self._networks = {network.id: network for network in networks}
        self._ports: dict[InstanceId, tuple[Port, ...]] = {}
        held: dict[NetworkId, list[Port]] = {network: [] for network in self._networks}
        for port in ports:
            self._ports[port.instance] = (*self._ports.get(port.instance, ()), port)
            held[port.network].append(port)
        self._pools = {
            network.id: _pool(network, held[network.id]) for network in self._networks.values()
        }
        self._released: Released = {} if released is None else released
        self._new_networks: list[Network] = []
        self._written: dict[PortId, Port] = {}
        self._removed: list[PortId] = []

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks, by label."""
        return tuple(sorted(self._networks.values(), key=lambda network: network.label))

    def take_changes(self) -> Changes:
        """What one batch must write. The next answer begins from here."""
        changes = Changes(
            tuple(self._new_networks), tuple(self._written.values()), tuple(self._removed)
        )
        self._new_networks, self._written, self._removed = [], {}, []
        return changes

    def ensure_network(self, network: Network) -> Network:
        """The network of this label, made from ``network`` unless there is one.

        Raises:
            Invalid: The network cannot work.
            AlreadyExists: Another network has its id.
        """
        for known in self._networks.values():
            if known.label == network.label:
                return known
        check_network(network)
        if network.id in self._networks:
            taken = self._networks[network.id].label
            raise AlreadyExists(f"Network id {network.id} belongs to network {taken}.")
        first = network.evolve(generation=1)
        self._networks[first.id] = first
        self._pools[first.id] = _pool(first, ())
        self._new_networks.append(first)
        return first

    def allocate(self, instance: InstanceId, project: ProjectId, sequence: int) -> tuple[Nic, ...]:
        """The instance's cards; made now unless it has them.

        Raises:
            Cancelled: A newer operation has released this instance's ports.
            NotFound: The project may use no network.
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
            network = self._network_for(project)
            address = self._pools[network.id].take()
            if address is None:
                raise Exhausted(
                    f"Network {network.label} ({network.cidr}) has no free address.",
                    "NO_FREE_ADDRESS",
                    metadata={"network": network.id},
                )
            port = Port(
                id=PortId(str(uuid5(_NAMESPACE, f"{network.id}/{instance}"))),
                instance=instance,
                project=project,
                network=network.id,
                mac=mac_for(network, address),
                address=address,
                sequence=sequence,
                generation=0,
            )
            ports = (self._write(port),)
            self._ports[instance] = ports
        return tuple(self._nic(port) for port in ports)

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

    def _network_for(self, project: ProjectId) -> Network:
        """The project's own network before a shared one, the oldest of several."""
        usable = [
            network
            for network in self._networks.values()
            if network.shared or network.project == project
        ]
        if not usable:
            raise NotFound(f"Project {project} has no network to use.", "NO_NETWORK")
        return min(usable, key=lambda network: (network.shared, network.created, network.id))

    def _nic(self, port: Port) -> Nic:
        network = self._networks[port.network]
        return Nic(port=port.id, network=network, mac=port.mac, address=port.address)


def _pool(network: Network, ports: Iterable[Port]) -> AddressPool:
    reserved = (network.gateway, network.dhcp)
    return AddressPool(network.cidr, reserved, (port.address for port in ports))
