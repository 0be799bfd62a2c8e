"""``ports.compute.Guests`` in memory: a guest that echoes, and a screen of a few bytes."""

import asyncio
from collections import Counter

from actors.model.console import ConsoleKind, ConsoleSession, Screenshot
from actors.model.diagnostics import CpuCounters, Diagnostics, DiskCounters, NicCounters
from actors.model.errors import ComputeError, Conflict, Unavailable
from actors.model.ids import HostId, InstanceId
from actors.model.instance import InstanceRecord, PowerState

DIAGNOSTICS = Diagnostics(
    power_state=PowerState.RUNNING,
    hypervisor="qemu",
    hypervisor_os="linux",
    cpus=(CpuCounters(0, 17_300_000_000), CpuCounters(1, 900_000_000)),
    memory_maximum_mb=512,
    memory_used_mb=97,
    disks=(DiskCounters("vda", 262_144, 112, 5_778_432, 488, None),),
    nics=(NicCounters("fa:16:3e:4c:2c:30", 2_070_139, 26_701, 1, 2, 140_208, 662, 3, 4),),
)


class _Session:
    """One that is attached."""

    def __init__(self, instance: InstanceId, kind: ConsoleKind) -> None:
        self.instance = instance
        self.kind = kind
        self.output = bytearray()
        self.ended: ComputeError | None = None
        self.news = asyncio.Event()


class MemoryGuests:
    """What guests do: output is what was input, in capitals."""

    def __init__(self, calls: Counter[str], failures: dict[str, Exception]) -> None:
        self._calls = calls
        self._failures = failures
        self.sessions: dict[str, _Session] = {}
        self.picture = b"\x89PNG" + bytes(3 << 20)

    async def attach(
        self, record: InstanceRecord, kind: ConsoleKind, force: bool
    ) -> ConsoleSession:
        self._called("attach")
        others = [one for one in self.sessions.values() if one.instance == record.id]
        for other in others:
            if not force:
                raise Conflict("Somebody is attached.", "CONSOLE_BUSY", "", {"instance": record.id})
            self.end(other, Conflict("Somebody has taken over.", "CONSOLE_TAKEN_OVER"))
        session = str(self._calls["attach"])
        self.sessions[session] = _Session(record.id, kind)
        return ConsoleSession(HostId("host"), session)

    async def read(self, session: ConsoleSession, wait_seconds: float) -> bytes:
        self._called("read")
        one = self._session(session)
        if not one.output and one.ended is None:
            one.news.clear()
            try:
                async with asyncio.timeout(min(wait_seconds, 0.02)):
                    await one.news.wait()
            except TimeoutError:
                return b""
        if not one.output and one.ended is not None:
            raise one.ended
        data = bytes(one.output)
        one.output.clear()
        return data

    async def write(self, session: ConsoleSession, data: bytes) -> None:
        self._called("write")
        one = self._session(session)
        one.output += data.upper()
        one.news.set()

    async def detach(self, session: ConsoleSession) -> None:
        self._called("detach")
        self.sessions.pop(session.id, None)

    async def screenshot(self, record: InstanceRecord) -> Screenshot:
        self._called("screenshot")
        return Screenshot("image/png", self.picture)

    async def diagnostics(self, record: InstanceRecord) -> Diagnostics:
        self._called("diagnostics")
        return DIAGNOSTICS

    def end(self, session: _Session, why: ComputeError) -> None:
        """It ends by itself."""
        session.ended = why
        session.news.set()

    def _session(self, session: ConsoleSession) -> _Session:
        found = self.sessions.get(session.id)
        if found is None:
            raise Unavailable("The connection to the console was lost.", "CONSOLE_LOST")
        return found

    def _called(self, name: str) -> None:
        self._calls[name] += 1
        if name in self._failures:
            raise self._failures[name]
