"""Handles on hosts, by UUID."""

from actors.handles.remote import Remote, host_name
from actors.model.ids import HostId, InstanceId
from actors.model.query import ConsoleOutput
from actors.ports.host import HostJob, HostOutcome
from actors.ports.hypervisor import Guest


class HostHandle:
    """Implements ``ports.host.Host``."""

    def __init__(self, host_id: HostId) -> None:
        self._actor = Remote(host_name(host_id))

    async def run(self, job: HostJob) -> HostOutcome:
        """As ``Host.run``."""
        outcome: HostOutcome = await self._actor.call("run", job)
        return outcome

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """As ``Host.console_output``."""
        output: ConsoleOutput = await self._actor.call("console_output", instance, offset, limit)
        return output

    async def guests(self) -> tuple[Guest, ...]:
        """Our domains on the host, as its libvirt has them now."""
        guests: tuple[Guest, ...] = await self._actor.call("guests")
        return guests


class HostsHandle:
    """Implements ``ports.host.Hosts``: keeps one handle for each host, found once."""

    def __init__(self) -> None:
        self._hosts: dict[HostId, HostHandle] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()

    def host(self, host_id: HostId) -> HostHandle:
        """As ``Hosts.host``."""
        handle = self._hosts.get(host_id)
        if handle is None:
            handle = self._hosts[host_id] = HostHandle(host_id)
        return handle
