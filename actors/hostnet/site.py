"""One network on this host, brought to what its guests need."""

import logging
import shutil
import threading
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pydantic import ValidationError

from actors.hostnet import state_file
from actors.hostnet.dnsmasq import Dnsmasq, Lease
from actors.hostnet.metadata_door import MetadataDoor
from actors.hostnet.plan import Plan
from actors.hostnet.spoof_guard import Card, SpoofGuard
from actors.hostnet.wiring import Built, Wiring
from actors.model.ids import InstanceId, PortId
from actors.model.instance import InstanceRecord
from actors.model.network import Network

if TYPE_CHECKING:
    # Brings an HTTP server's code into memory, which who only takes down can do without.
    from actors.hostnet.metadata_server import MetadataServer

_RECORD: Final = "network.json"

_log = logging.getLogger(__name__)


class Site:
    """Called from several threads.

    A caller says what changed (``admit``, ``dismiss``), then brings the host there (``converge``).
    While one thread does that, others' changes gather; the next does them all with one hosts file
    and one SIGHUP.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        wiring: Wiring,
        metadata: "MetadataServer | None" = None,
    ) -> None:
        """Know the network, and change nothing yet.

        Args:
            folder: What a later process must know of it.
            network: Its record.
            wiring: Builds and takes down its links.
            metadata: Answers its guests. None: nobody does.
        """
        self._folder = folder
        self._wiring = wiring
        #: Held for changes in memory only.
        self._wishes = threading.Lock()
        #: Held while the host is changed.
        self._work = threading.Lock()
        self._network = network
        #: A newer record of it, which the host has not followed yet.
        self._newer: Network | None = None
        self._plan = Plan.of(network)
        self._dnsmasq = Dnsmasq(folder, network)
        self._leases = {lease.address: lease for lease in self._dnsmasq.leases()}
        self._door = (
            MetadataDoor(metadata, self._plan.namespace, self.guest_at) if metadata else None
        )
        self._guard = SpoofGuard(self._plan)
        self._told_of_all = not self._leases
        #: As far as this process has heard of them.
        self._records: dict[InstanceId, InstanceRecord] = {}
        #: Counts changes of what is wished, and says which of them the host has.
        self._wished = 0
        self._reached = 0
        #: The other hosts with guests on it, and those of them that frames go to already. None
        #: where nobody has told this process: what is there stays.
        self._peers: frozenset[IPv4Address] | None = None
        self._followed: frozenset[IPv4Address] | None = None
        #: What ``Wiring.build`` gave; None when all is to be looked at again.
        self._built: Built | None = None

    def __repr__(self) -> str:
        return f"Site({self._network.label}, {len(self._leases)} guests)"

    @classmethod
    def load(
        cls, folder: Path, wiring: Wiring, metadata: "MetadataServer | None" = None
    ) -> Self | None:
        """What an earlier process left in its folder; None when it is not to be read."""
        try:
            network = Network.model_validate_json((folder / _RECORD).read_text())
        except (OSError, ValidationError) as error:
            _log.warning("%s: no network to be read: %s", folder, error)
            return None
        return cls(folder, network, wiring, metadata)

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return self._plan.bridge

    @property
    def ports(self) -> frozenset[PortId] | None:
        """The ports of its guests here; None where it has no guest."""
        with self._wishes:
            if not self._leases:
                return None
            # Empty in what a release before this one has left.
            return frozenset(lease.port for lease in self._leases.values() if lease.port)

    @property
    def peers(self) -> frozenset[IPv4Address]:
        """The hosts that its frames go to.

        Raises:
            HypervisorRefused: The kernel does not tell.
        """
        peers = self._peers
        return self._wiring.reached(self._plan) if peers is None else peers

    def guest_at(self, address: str) -> InstanceRecord | None:
        """The guest that has this address here; None where nobody has, or nobody we know of yet."""
        try:
            lease = self._leases.get(IPv4Address(address))
        except AddressValueError:
            return None
        return None if lease is None else self._records.get(lease.instance)

    def know(self, record: InstanceRecord) -> None:
        """What the instance is now, for ``guest_at``."""
        with self._wishes:
            known = self._records.get(record.id)
            # Copies travel with jobs and with comparisons; the newest counts.
            if known is None or known.generation <= record.generation:
                self._records[record.id] = record
            if known is None and self._told_of_all:
                self._wished += 1  # its lease is from an earlier process; its card is not yet kept

    def admit(self, network: Network, instance: InstanceId, leases: Iterable[Lease]) -> int:
        """All leases of the instance. A ticket for ``converge``; 0 when nothing changes."""
        wanted = {lease.address: lease for lease in leases}
        with self._wishes:
            known = {a: lease for a, lease in self._leases.items() if lease.instance == instance}
            # Copies of the network's record travel with instances; the newest counts.
            newer = network.generation > (self._newer or self._network).generation
            if known == wanted and not newer:
                return 0
            for address in known:
                del self._leases[address]
            # Where an address has another holder still, we have missed its end.
            self._leases.update(wanted)
            if newer:
                self._newer = network
            self._wished += 1
            return self._wished

    def dismiss(self, instance: InstanceId) -> int:
        """The instance is gone. A ticket also where an earlier ``converge`` failed."""
        ticket = self.admit(self._network, instance, ())
        with self._wishes:
            self._records.pop(instance, None)
            return ticket or (self._wished if self._wished > self._reached else 0)

    def follow(self, network: Network, peers: frozenset[IPv4Address]) -> int:
        """What the NetworkActor says of it. A ticket also where an earlier ``converge`` failed."""
        with self._wishes:
            newer = network.generation > (self._newer or self._network).generation
            if newer:
                self._newer = network
            if newer or peers != self._peers:
                self._peers = peers
                self._wished += 1
            return self._wished if self._wished > self._reached else 0

    def doubt(self) -> None:
        """Look at everything again, next time. All guests that there are have been told of."""
        with self._work:
            self._built = None
            self._guard.doubt()
            self._told_of_all = True

    def converge(self, ticket: int) -> None:
        """Bring the host to what is wished; done already when another thread served this ticket.

        Raises:
            HypervisorRefused: The host would not; what is wished stays so.
        """
        with self._work:
            if ticket and ticket <= self._reached:
                return
            with self._wishes:
                wished, leases = self._wished, tuple(self._leases.values())
                peers = self._peers
                if newer := self._newer:
                    self._network, self._newer = newer, None
            if newer:
                self._dnsmasq.close()
                self._plan, self._dnsmasq = Plan.of(newer), Dnsmasq(self._folder, newer)
                self._built = None
            if leases:
                self._serve(leases, peers, wished)
            else:
                self._take_down()
            self._reached = wished

    def close(self) -> None:
        """Let go of processes. All stays as it is on the host."""
        with self._work:
            self._dnsmasq.close()
            self._listen_no_more()

    def _serve(
        self, leases: tuple[Lease, ...], peers: frozenset[IPv4Address] | None, wished: int
    ) -> None:
        if self._built is None or not self._wiring.intact(self._plan, self._built):
            # First: a process that comes after us must know what there may be to take down.
            state_file.write(self._folder / _RECORD, self._network.model_dump_json())
            self._built = self._wiring.build(self._plan, peers)
            self._followed = peers
        elif self._reached == wished and self._dnsmasq.alive:
            return
        elif self._plan.vni and peers is not None and peers != self._followed:
            self._wiring.reach(self._plan, peers, self._followed)
            self._followed = peers
        self._keep_apart(leases)
        self._dnsmasq.serve(leases, self._built.wire)
        if self._door is not None:
            self._door.serve()

    def _take_down(self) -> None:
        self._built = None
        with self._wishes:
            self._peers = None  # who they are when a guest comes again, we are told then
        self._listen_no_more()
        self._guard.doubt()
        self._dnsmasq.stop(self._wiring.own_namespace(self._plan))
        if self._wiring.take_down(self._plan):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep_apart(self, leases: tuple[Lease, ...]) -> None:
        with self._wishes:
            known = {lease.instance: self._records.get(lease.instance) for lease in leases}
        if None in known.values() and not self._told_of_all:
            return  # as an earlier process left it, until we have heard of its guests
        self._guard.keep(
            frozenset(
                Card(nic.device, nic.mac, nic.address)
                for record in known.values()
                if record is not None
                for nic in record.nics
                if nic.network.id == self._network.id
            )
        )

    def _listen_no_more(self) -> None:
        if self._door is not None:
            self._door.close()
