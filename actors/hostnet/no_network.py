"""Networks of a host whose guests have no packets: libvirt's ``test://`` driver."""

from actors.model.instance import InstanceRecord
from actors.ports.hypervisor import GuestDataSource


class NoNetwork:
    """Implements ``ports.hypervisor.HostNetwork`` by building nothing."""

    def __repr__(self) -> str:
        return "NoNetwork()"

    def open(self, data: GuestDataSource) -> None:
        """Nobody could ask."""

    def ensure(self, record: InstanceRecord) -> dict[str, str]:
        """No bridges."""
        return {}

    def remove(self, record: InstanceRecord) -> None:
        """Nothing was built."""

    def restore(self, records: tuple[InstanceRecord, ...]) -> None:
        """Nothing to build."""
