"""The handle on guests that run: finds the host and asks it."""

from actors.handles.hosts import HostHandle, HostsHandle
from actors.model.console import ConsoleKind, ConsoleSession, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.errors import Conflict
from actors.model.ids import HostId
from actors.model.instance import InstanceRecord


class GuestsHandle:
    """Implements ``ports.compute.Guests``."""

    def __init__(self) -> None:
        self._hosts = HostsHandle()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()

    async def attach(
        self, record: InstanceRecord, kind: ConsoleKind, force: bool
    ) -> ConsoleSession:
        """As ``Guests.attach``."""
        host_id = _placed(record)
        session = await self._hosts.host(host_id).console_open(record.id, kind, force)
        return ConsoleSession(host_id, session)

    async def read(self, session: ConsoleSession, wait_seconds: float) -> bytes:
        """As ``Guests.read``."""
        return await self._hosts.host(session.host_id).console_read(session.id, wait_seconds)

    async def write(self, session: ConsoleSession, data: bytes) -> None:
        """As ``Guests.write``."""
        await self._hosts.host(session.host_id).console_write(session.id, data)

    async def detach(self, session: ConsoleSession) -> None:
        """As ``Guests.detach``."""
        await self._hosts.host(session.host_id).console_close(session.id)

    async def screenshot(self, record: InstanceRecord) -> Screenshot:
        """As ``Guests.screenshot``."""
        return await self._host(record).screenshot(record.id)

    async def diagnostics(self, record: InstanceRecord) -> Diagnostics:
        """As ``Guests.diagnostics``."""
        return await self._host(record).diagnostics(record.id)

    def _host(self, record: InstanceRecord) -> HostHandle:
        return self._hosts.host(_placed(record))


def _placed(record: InstanceRecord) -> HostId:
    if record.host_id is None:
        raise Conflict(
            f"Instance {record.id} has no guest yet: no host has been chosen for it.",
            "GUEST_NOT_RUNNING",
            "",
            {"instance": record.id},
        )
    return record.host_id
