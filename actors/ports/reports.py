"""What a host tells the instances' actors, and asks of them."""

from typing import Protocol

from actors.model.ids import HostId, InstanceId
from actors.model.instance import InstanceRecord
from actors.ports.host import HostStep, PowerReport


class Reports(Protocol):
    """Every partition of the instances, as a host sees them."""

    async def power(self, reports: tuple[PowerReport, ...]) -> None:
        """What the hypervisor says. Stale reports are dropped."""
        ...

    async def progress(self, instance: InstanceId, sequence: int, step: HostStep) -> None:
        """A step of a long job is done; the job's answer will say so again."""
        ...

    async def placed(self, host_id: HostId) -> tuple[InstanceRecord, ...]:
        """The instances that belong on a host.

        Asked when the host is back: what waits for it moves.
        """
        ...
