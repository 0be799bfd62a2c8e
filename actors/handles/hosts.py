"""Handles on hosts, by UUID."""

from actors.handles.remote import Remote, host_name
from actors.model.console import ConsoleKind, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.ids import HostId, InstanceId, SnapshotId, VolumeId
from actors.model.query import ConsoleOutput
from actors.model.volume import Volume
from actors.ports.host import DiskFile, HostJob, HostOutcome
from actors.ports.hypervisor import Guest


class HostHandle:
    """Implements ``ports.host.Host``."""

    def __init__(self, host_id: HostId) -> None:
        self._actor = Remote(host_name(host_id))

    async def run(self, job: HostJob) -> HostOutcome:
        """As ``Host.run``."""
        outcome: HostOutcome = await self._actor.call("run", job)
        return outcome

    async def abandon(self, instance: InstanceId, sequence: int) -> None:
        """As ``Host.abandon``."""
        await self._actor.call("abandon", instance, sequence)

    async def disk_files(self, instance: InstanceId) -> tuple[DiskFile, ...]:
        """As ``Host.disk_files``."""
        files: tuple[DiskFile, ...] = await self._actor.call("disk_files", instance)
        return files

    async def read_disk(self, instance: InstanceId, name: str, offset: int, length: int) -> bytes:
        """As ``Host.read_disk``."""
        piece: bytes = await self._actor.call("read_disk", instance, name, offset, length)
        return piece

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """As ``Host.console_output``."""
        output: ConsoleOutput = await self._actor.call("console_output", instance, offset, limit)
        return output

    async def console_open(self, instance: InstanceId, kind: ConsoleKind, force: bool) -> str:
        """As ``Host.console_open``."""
        session: str = await self._actor.call("console_open", instance, kind, force)
        return session

    async def console_read(self, session: str, wait_seconds: float) -> bytes:
        """As ``Host.console_read``."""
        data: bytes = await self._actor.call("console_read", session, wait_seconds)
        return data

    async def console_write(self, session: str, data: bytes) -> None:
        """As ``Host.console_write``."""
        await self._actor.call("console_write", session, data)

    async def console_close(self, session: str) -> None:
        """As ``Host.console_close``."""
        await self._actor.call("console_close", session)

    async def screenshot(self, instance: InstanceId) -> Screenshot:
        """As ``Host.screenshot``."""
        found: Screenshot = await self._actor.call("screenshot", instance)
        return found

    async def diagnostics(self, instance: InstanceId) -> Diagnostics:
        """As ``Host.diagnostics``."""
        found: Diagnostics = await self._actor.call("diagnostics", instance)
        return found

    async def remove_volume(self, volume: VolumeId) -> None:
        """As ``VolumeHost.remove_volume``."""
        await self._actor.call("remove_volume", volume)

    async def grow_volume(self, volume: Volume) -> None:
        """As ``VolumeHost.grow_volume``."""
        await self._actor.call("grow_volume", volume)

    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        """As ``VolumeHost.copy_volume``."""
        await self._actor.call("copy_volume", volume, snapshot)

    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """As ``VolumeHost.remove_volume_snapshot``."""
        await self._actor.call("remove_volume_snapshot", snapshot)

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
