"""A hypervisor under test, and what its listeners heard."""

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import libvirt

from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, PowerState
from actors.ports.hypervisor import BootFiles
from tests.contract import records

PATIENCE = 50.0


def eventually(what: str, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class HostUnderTest:
    """One hypervisor with a blank base image; opened and closed by the test's fixture."""

    def __init__(self, settings: LibvirtSettings) -> None:
        self.settings = settings
        self.hypervisor = LibvirtHypervisor(settings)
        self.power: list[tuple[InstanceId, PowerState]] = []
        self.connections: list[tuple[bool, str]] = []
        self._lock = threading.Lock()
        self.base = settings.state_dir / "base.qcow2"
        if not settings.is_test:
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", self.base, str(4 * records.MIB)],
                check=True,
            )

    @property
    def files(self) -> BootFiles:
        """What instances boot: a blank disk, so no more than the BIOS runs."""
        return BootFiles(self.base)

    def open(self) -> None:
        """Connect."""
        self.hypervisor.open(self._hear_power, self._hear_connection)

    def boot(self, record: InstanceRecord, sequence: int = 1) -> PowerState:
        """Disk and domain."""
        self.hypervisor.ensure_disk(record, self.base)
        return self.run(record, sequence)

    def run(self, record: InstanceRecord, sequence: int = 1) -> PowerState:
        """Domain."""
        return self.hypervisor.ensure_running(record, sequence, self.files, {})

    def heard(self, record: InstanceRecord) -> list[PowerState]:
        """What the power listener was told of an instance."""
        with self._lock:
            return [power for instance, power in self.power if instance == record.id]

    def raw(self) -> AbstractContextManager[libvirt.virConnect]:
        """libvirt itself, to do what the driver does not."""
        return self.hypervisor._use("do what a test wants")

    def domain_of(self, record: InstanceRecord) -> libvirt.virDomain:
        """The domain, to do to it what the driver does not."""
        with self.raw() as conn:
            return conn.lookupByUUIDString(record.id)

    def disk(self, record: InstanceRecord) -> Path:
        """The root disk's file (the test driver has none)."""
        return self.settings.instances_dir / record.id / "disk.qcow2"

    def _hear_power(self, instance: InstanceId, power: PowerState) -> None:
        with self._lock:
            self.power.append((instance, power))

    def _hear_connection(self, up: bool, why: str) -> None:
        self.connections.append((up, why))
