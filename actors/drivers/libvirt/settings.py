"""What an operator can set about one host's hypervisor."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from actors.model.host import Inventory


class VirtType(StrEnum):
    """Which accelerator guests get. ``auto`` takes KVM where it works, else QEMU's TCG."""

    AUTO = "auto"
    KVM = "kvm"
    QEMU = "qemu"


@dataclass(frozen=True, slots=True)
class LibvirtSettings:
    """One host's libvirt, and where its files lie.

    Raises:
        ValueError: ``state_dir`` is not absolute; libvirt takes absolute paths only.
    """

    #: ``qemu:///system``, ``qemu+unix:///system?socket=PATH`` or ``test:///PATH/node.xml``.
    uri: str
    #: ``instances/`` below it holds a folder for each instance.
    state_dir: Path
    virt_type: VirtType = VirtType.AUTO
    cpu_ratio: float = 4.0
    memory_ratio: float = 1.0
    disk_ratio: float = 1.0
    reserved_memory_mb: int = 512
    #: Where volumes lie; below ``state_dir`` where it is None.
    volumes: Path | None = None
    #: Test hosts share one machine: what each says of itself instead of what libvirt counts.
    inventory: Inventory | None = None
    #: libvirtd is given up after ``keepalive_seconds * (keepalive_count + 1)`` without a sign of
    #: life.
    keepalive_seconds: int = 5
    keepalive_count: int = 3
    #: Seconds between two tries to reach libvirtd; doubled after each, up to the second.
    reconnect_first: float = 0.1
    reconnect_most: float = 5.0
    #: Seconds that ``open`` waits for the first try. A hung libvirtd takes connections but says
    #: nothing.
    open_timeout: float = 10.0

    def __post_init__(self) -> None:
        if not self.state_dir.is_absolute():
            raise ValueError(f"state_dir must be absolute: {self.state_dir}")

    @property
    def is_test(self) -> bool:
        """Whether libvirt's test driver answers: domains live in its memory, and run nothing."""
        return urlsplit(self.uri).scheme.partition("+")[0] == "test"

    @property
    def volumes_dir(self) -> Path:
        """The folder of all volumes."""
        return self.volumes or self.state_dir / "volumes"

    @property
    def instances_dir(self) -> Path:
        """The folder of all instances' folders."""
        return self.state_dir / "instances"
