"""Limits on a domain and its disks (https://libvirt.org/formatdomain.html#cpu-tuning)."""

from dataclasses import dataclass, field
from typing import ClassVar

from actors.drivers.libvirt.element import Element, at


@dataclass(frozen=True, slots=True)
class CpuTune(Element):
    """``<cputune>``. Periods and quotas are in microseconds."""

    TAG: ClassVar[str] = "cputune"

    shares: int | None = field(default=None, metadata=at("shares"))
    #: For each vCPU's thread.
    period: int | None = field(default=None, metadata=at("period"))
    quota: int | None = field(default=None, metadata=at("quota"))
    #: For the whole of QEMU.
    global_period: int | None = field(default=None, metadata=at("global_period"))
    global_quota: int | None = field(default=None, metadata=at("global_quota"))


@dataclass(frozen=True, slots=True)
class IoTune(Element):
    """``<iotune>`` of a disk: QEMU's own throttling, so that no cgroup is needed."""

    TAG: ClassVar[str] = "iotune"

    total_bytes_sec: int | None = field(default=None, metadata=at("total_bytes_sec"))
    read_bytes_sec: int | None = field(default=None, metadata=at("read_bytes_sec"))
    write_bytes_sec: int | None = field(default=None, metadata=at("write_bytes_sec"))
    total_iops_sec: int | None = field(default=None, metadata=at("total_iops_sec"))
    read_iops_sec: int | None = field(default=None, metadata=at("read_iops_sec"))
    write_iops_sec: int | None = field(default=None, metadata=at("write_iops_sec"))
