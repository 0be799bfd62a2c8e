"""A domain and its parts that are no devices (https://libvirt.org/formatdomain.html)."""

from dataclasses import dataclass, field
from typing import ClassVar

from actors.drivers.libvirt.device_xml import (
    Balloon,
    Controller,
    Disk,
    Graphics,
    Interface,
    MemoryModule,
    Rng,
    Serial,
    Video,
    Watchdog,
)
from actors.drivers.libvirt.element import Element, at
from actors.drivers.libvirt.metadata_xml import InstanceElement
from actors.drivers.libvirt.tuning_xml import CpuTune


@dataclass(frozen=True, slots=True)
class Os(Element):
    """``<os>``: direct kernel boot where ``kernel`` is set, else from the ``boot`` device."""

    TAG: ClassVar[str] = "os"

    arch: str = field(metadata=at("type/@arch"))
    machine: str | None = field(default=None, metadata=at("type/@machine"))
    kind: str = field(default="hvm", metadata=at("type"))
    kernel: str | None = field(default=None, metadata=at("kernel"))
    ramdisk: str | None = field(default=None, metadata=at("initrd"))
    command_line: str | None = field(default=None, metadata=at("cmdline"))
    boot: str | None = field(default=None, metadata=at("boot/@dev"))
    #: ``efi``: libvirt chooses a UEFI that is on the host and fits (firmware auto-selection).
    firmware: str | None = field(default=None, metadata=at("@firmware"))
    #: What the firmware must have, or not.
    feature: str | None = field(default=None, metadata=at("firmware/feature/@name"))
    feature_enabled: bool | None = field(default=None, metadata=at("firmware/feature/@enabled"))
    #: The instance's own copy of the firmware's variables.
    nvram: str | None = field(default=None, metadata=at("nvram"))
    #: What the machine says of itself is in ``Sysinfo``.
    smbios: str = field(default="sysinfo", metadata=at("smbios/@mode"))


@dataclass(frozen=True, slots=True)
class Entry(Element):
    """``<entry>``: a field of an SMBIOS structure."""

    TAG: ClassVar[str] = "entry"

    name: str = field(metadata=at("@name"))
    value: str = field(metadata=at(""))


@dataclass(frozen=True, slots=True)
class Sysinfo(Element):
    """``<sysinfo>``: SMBIOS's system structure (type 1); its UUID is the domain's."""

    TAG: ClassVar[str] = "sysinfo"

    system: tuple[Entry, ...] = field(metadata=at("system"))
    kind: str = field(default="smbios", metadata=at("@type"))


@dataclass(frozen=True, slots=True)
class Features(Element):
    """``<features>``. Without ACPI a guest hears no power button."""

    TAG: ClassVar[str] = "features"

    acpi: bool = field(default=True, metadata=at("acpi"))
    apic: bool = field(default=True, metadata=at("apic"))
    #: KiB that QEMU keeps of translated code (TCG only). Its default grows to 1 GiB a guest.
    tcg_cache_kib: int | None = field(default=None, metadata=at("tcg/tb-cache"))


@dataclass(frozen=True, slots=True)
class NumaCell(Element):
    """``<cell>``: where memory modules belong; libvirt wants one of a guest that can have any."""

    TAG: ClassVar[str] = "cell"

    #: ``0-3``: all vCPUs that there can be.
    cpus: str = field(metadata=at("@cpus"))
    #: KiB that the guest boots with.
    memory_kib: int = field(metadata=at("@memory"))
    id: int = field(default=0, metadata=at("@id"))
    unit: str = field(default="KiB", metadata=at("@unit"))


@dataclass(frozen=True, slots=True)
class MaxMemory(Element):
    """``<maxMemory>``: so many KiB with all modules."""

    TAG: ClassVar[str] = "maxMemory"

    kib: int = field(metadata=at(""))
    slots: int = field(metadata=at("@slots"))
    unit: str = field(default="KiB", metadata=at("@unit"))


@dataclass(frozen=True, slots=True)
class Vcpu(Element):
    """``<vcpu>`` of ``<vcpus>``: whether it is there, and can be taken away."""

    TAG: ClassVar[str] = "vcpu"

    id: int = field(metadata=at("@id"))
    enabled: bool = field(metadata=at("@enabled"))
    hotpluggable: bool = field(metadata=at("@hotpluggable"))


@dataclass(frozen=True, slots=True)
class Cpu(Element):
    """``<cpu>``."""

    TAG: ClassVar[str] = "cpu"

    mode: str | None = field(default=None, metadata=at("@mode"))
    numa: NumaCell | None = field(default=None, metadata=at("numa"))


@dataclass(frozen=True, slots=True)
class Timer(Element):
    """``<timer>``."""

    TAG: ClassVar[str] = "timer"

    name: str = field(metadata=at("@name"))
    tick_policy: str | None = field(default=None, metadata=at("@tickpolicy"))
    present: bool | None = field(default=None, metadata=at("@present"))


@dataclass(frozen=True, slots=True)
class Clock(Element):
    """``<clock>``."""

    TAG: ClassVar[str] = "clock"

    offset: str = field(default="utc", metadata=at("@offset"))
    timers: tuple[Timer, ...] = field(default=(), metadata=at(""))


@dataclass(frozen=True, slots=True)
class Domain(Element):
    """``<domain>``."""

    TAG: ClassVar[str] = "domain"

    kind: str = field(metadata=at("@type"))
    name: str = field(metadata=at("name"))
    uuid: str = field(metadata=at("uuid"))
    memory_kib: int = field(metadata=at("memory"))
    #: All that there can be.
    vcpus: int = field(metadata=at("vcpu"))
    os: Os = field(metadata=at(""))
    #: Of these there are so many; None for all.
    current_vcpus: int | None = field(default=None, metadata=at("vcpu/@current"))
    each_vcpu: tuple[Vcpu, ...] = field(default=(), metadata=at("vcpus"))
    #: None where no module can be added.
    max_memory: MaxMemory | None = field(default=None, metadata=at(""))
    cputune: CpuTune | None = field(default=None, metadata=at(""))
    title: str | None = field(default=None, metadata=at("title"))
    #: None: somebody else's domain.
    instance: InstanceElement | None = field(default=None, metadata=at("metadata"))
    sysinfo: Sysinfo | None = field(default=None, metadata=at(""))
    features: Features | None = field(default=None, metadata=at(""))
    cpu: Cpu | None = field(default=None, metadata=at(""))
    clock: Clock | None = field(default=None, metadata=at(""))
    on_poweroff: str = field(default="destroy", metadata=at("on_poweroff"))
    on_reboot: str = field(default="restart", metadata=at("on_reboot"))
    on_crash: str = field(default="destroy", metadata=at("on_crash"))
    disks: tuple[Disk, ...] = field(default=(), metadata=at("devices"))
    controllers: tuple[Controller, ...] = field(default=(), metadata=at("devices"))
    interfaces: tuple[Interface, ...] = field(default=(), metadata=at("devices"))
    serials: tuple[Serial, ...] = field(default=(), metadata=at("devices"))
    graphics: Graphics | None = field(default=None, metadata=at("devices"))
    video: Video | None = field(default=None, metadata=at("devices"))
    memories: tuple[MemoryModule, ...] = field(default=(), metadata=at("devices"))
    balloon: Balloon | None = field(default=None, metadata=at("devices"))
    rng: Rng | None = field(default=None, metadata=at("devices"))
    watchdog: Watchdog | None = field(default=None, metadata=at("devices"))
