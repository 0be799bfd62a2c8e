"""Networks of a host whose guests have no packets: libvirt's ``test://`` driver."""

from collections.abc import Callable

from actors.model.host_view import HostView
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

    def on_change(self, tell: Callable[[], None]) -> None:
        """Nothing changes."""

    def presence(self) -> None:
        """No guest has packets."""

    def follow(self, view: HostView) -> None:
        """Nothing to bring anywhere."""
