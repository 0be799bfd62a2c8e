"""The devices of a domain (https://libvirt.org/formatdomain.html#devices)."""

from dataclasses import dataclass, field
from typing import ClassVar

from actors.drivers.libvirt.element import Element, at
from actors.drivers.libvirt.tuning_xml import IoTune


@dataclass(frozen=True, slots=True)
class BackingStore(Element):
    """``<backingStore>``: said outright, so that libvirt does not look into the files for it.

    An empty one is the end: nothing lies below.
    """

    TAG: ClassVar[str] = "backingStore"

    source: str | None = field(default=None, metadata=at("source/@file"))
    format: str | None = field(default=None, metadata=at("format/@type"))
    kind: str | None = field(default=None, metadata=at("@type"))
    below: "BackingStore | None" = field(default=None, metadata=at(""))


def backing_chain(*files: tuple[str, str]) -> BackingStore:
    """What a disk lies on: files with their formats, the nearest first, and nothing below those.

    A base image that names a file of the host as its own base gets nowhere.
    """
    chain = BackingStore()
    for path, format_ in reversed(files):
        chain = BackingStore(path, format_, "file", chain)
    return chain


@dataclass(frozen=True, slots=True)
class Disk(Element):
    """``<disk>``."""

    TAG: ClassVar[str] = "disk"

    source: str = field(metadata=at("source/@file"))
    target: str = field(metadata=at("target/@dev"))
    kind: str = field(default="file", metadata=at("@type"))
    device: str = field(default="disk", metadata=at("@device"))
    driver: str = field(default="qemu", metadata=at("driver/@name"))
    format: str = field(default="qcow2", metadata=at("driver/@type"))
    cache: str | None = field(default=None, metadata=at("driver/@cache"))
    discard: str | None = field(default=None, metadata=at("driver/@discard"))
    bus: str = field(default="virtio", metadata=at("target/@bus"))
    readonly: bool = field(default=False, metadata=at("readonly"))
    backing: BackingStore | None = field(default=None, metadata=at(""))
    iotune: IoTune | None = field(default=None, metadata=at(""))
    #: What the guest finds it by: ``/dev/disk/by-id/virtio-…``, at most 20 characters.
    serial: str | None = field(default=None, metadata=at("serial"))


@dataclass(frozen=True, slots=True)
class Interface(Element):
    """``<interface>``."""

    TAG: ClassVar[str] = "interface"

    kind: str = field(metadata=at("@type"))
    mac: str = field(metadata=at("mac/@address"))
    bridge: str | None = field(default=None, metadata=at("source/@bridge"))
    device: str | None = field(default=None, metadata=at("target/@dev"))
    model: str = field(default="virtio", metadata=at("model/@type"))
    mtu: int | None = field(default=None, metadata=at("mtu/@size"))


@dataclass(frozen=True, slots=True)
class Serial(Element):
    """``<serial>``: a port that one may attach to, and whose output goes into a file as well.

    virtlogd writes the file and rotates it (``max_size`` and ``max_backups`` of its own settings);
    where QEMU's settings have ``stdio_handler = "file"`` it is QEMU, and the file only grows.
    """

    TAG: ClassVar[str] = "serial"

    log: str = field(metadata=at("log/@file"))
    kind: str = field(default="pty", metadata=at("@type"))
    #: What one run of the guest wrote is still there in the next.
    append: str = field(default="on", metadata=at("log/@append"))
    port: int = field(default=0, metadata=at("target/@port"))


@dataclass(frozen=True, slots=True)
class Graphics(Element):
    """``<graphics>``: a VNC server that listens nowhere.

    Whoever may call virDomainOpenGraphicsFD gets a connection to it, and nobody else.
    """

    TAG: ClassVar[str] = "graphics"

    kind: str = field(default="vnc", metadata=at("@type"))
    listen: str = field(default="none", metadata=at("listen/@type"))


@dataclass(frozen=True, slots=True)
class Video(Element):
    """``<video>``: what VNC and screenshots show."""

    TAG: ClassVar[str] = "video"

    model: str = field(default="vga", metadata=at("model/@type"))


@dataclass(frozen=True, slots=True)
class Controller(Element):
    """``<controller>``."""

    TAG: ClassVar[str] = "controller"

    kind: str = field(metadata=at("@type"))
    model: str | None = field(default=None, metadata=at("@model"))


@dataclass(frozen=True, slots=True)
class MemoryModule(Element):
    """``<memory>`` below ``<devices>``: a DIMM. The guest has it, or it has not: there is no half.

    The alias is ours, and the same whenever the domain is defined: libvirt keeps those that begin
    with ``ua-``.
    """

    TAG: ClassVar[str] = "memory"

    kib: int = field(metadata=at("target/size"))
    alias: str = field(default="", metadata=at("alias/@name"))
    unit: str = field(default="KiB", metadata=at("target/size/@unit"))
    node: int = field(default=0, metadata=at("target/node"))
    model: str = field(default="dimm", metadata=at("@model"))


@dataclass(frozen=True, slots=True)
class Balloon(Element):
    """``<memballoon>``."""

    TAG: ClassVar[str] = "memballoon"

    model: str = field(default="virtio", metadata=at("@model"))
    #: Seconds between the guest's memory reports (virDomainMemoryStats).
    stats_period: int | None = field(default=10, metadata=at("stats/@period"))


@dataclass(frozen=True, slots=True)
class Rng(Element):
    """``<rng>``: without it a small guest waits for entropy when sshd makes its keys."""

    TAG: ClassVar[str] = "rng"

    model: str = field(default="virtio", metadata=at("@model"))
    backend: str = field(default="random", metadata=at("backend/@model"))
    source: str = field(default="/dev/urandom", metadata=at("backend"))
    #: Bytes in each period; None for as many as the guest likes.
    rate_bytes: int | None = field(default=None, metadata=at("rate/@bytes"))
    #: Milliseconds; libvirt's own is 1000.
    rate_period: int | None = field(default=None, metadata=at("rate/@period"))


@dataclass(frozen=True, slots=True)
class Watchdog(Element):
    """``<watchdog>``: what happens to a guest that does not feed it any more."""

    TAG: ClassVar[str] = "watchdog"

    action: str = field(metadata=at("@action"))
    model: str = field(default="i6300esb", metadata=at("@model"))
