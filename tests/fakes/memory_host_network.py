"""``ports.hypervisor.HostNetwork`` in memory."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from actors.model.host_view import HostView
from actors.model.ids import NetworkId
from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import Attached, GuestDataSource

if TYPE_CHECKING:
    from actors.model.errors import ComputeError
    from actors.model.ids import InstanceId


class MemoryHostNetwork:
    """A host whose guests' packets go nowhere."""

    def __init__(self, tunnel_address: str = "192.0.2.1") -> None:
        self.tunnel_address = IPv4Address(tunnel_address)
        self.records: dict[InstanceId, InstanceRecord] = {}
        self.followed: list[HostView] = []
        #: Why it does not follow; None while it does.
        self.trouble: ComputeError | None = None
        self._tell: Callable[[], None] = lambda: None

    @property
    def peers(self) -> set[str]:
        """Addresses that the last view names."""
        return {str(address) for found in self._reached().values() for address in found}

    def _reached(self) -> dict[NetworkId, frozenset[IPv4Address]]:
        networks = self.followed[-1].networks if self.followed else ()
        return {
            one.network.id: frozenset(peer.tunnel_address for peer in one.peers) for one in networks
        }

    def open(self, data: GuestDataSource) -> None:
        """Nobody asks."""

    def on_change(self, tell: Callable[[], None]) -> None:
        """As ``HostNetwork.on_change``."""
        self._tell = tell

    def ensure(self, record: InstanceRecord) -> dict[str, str]:
        """As ``HostNetwork.ensure``."""
        self.records[record.id] = record
        self._tell()
        return {}

    def remove(self, record: InstanceRecord) -> None:
        """As ``HostNetwork.remove``."""
        self.records.pop(record.id, None)
        self._tell()

    def restore(self, records: tuple[InstanceRecord, ...]) -> None:
        """As ``HostNetwork.restore``."""
        self.records |= {record.id: record for record in records}

    def presence(self) -> Attached:
        """As ``HostNetwork.presence``."""
        nics = [nic for record in tuple(self.records.values()) for nic in record.nics]
        return Attached(
            self.tunnel_address,
            frozenset(nic.network.id for nic in nics),
            frozenset(nic.port for nic in nics),
            self._reached(),
        )

    def follow(self, view: HostView) -> None:
        """As ``HostNetwork.follow``."""
        if self.trouble is not None:
            raise self.trouble
        self.followed.append(view)
