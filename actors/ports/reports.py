"""What a host tells the instances' actors, and asks of them."""

from typing import Protocol

from actors.model.ids import HostId
from actors.model.instance import InstanceRecord
from actors.ports.host import PowerReport


class Reports(Protocol):
    """Every partition of the instances, as a host sees them."""

    async def power(self, reports: tuple[PowerReport, ...]) -> None:
        """What the hypervisor says. Stale reports are dropped."""
        ...

    async def placed(self, host_id: HostId) -> tuple[InstanceRecord, ...]:
        """The instances that belong on a host.

        Asked when the host is back: what waits for it moves.
        """
        ...
