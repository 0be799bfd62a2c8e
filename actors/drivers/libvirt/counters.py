"""What libvirt has counted of a running domain."""

import sys
import xml.etree.ElementTree as ET
from typing import Final

import libvirt

from actors.drivers.libvirt.domains import Tolerate, power_of
from actors.model.diagnostics import CpuCounters, Diagnostics, DiskCounters, NicCounters

_KIB_PER_MIB: Final = 1024


def diagnostics(domain: libvirt.virDomain) -> Diagnostics:
    """Single calls and not virDomainListGetStats, of which the test driver knows the state only."""
    # Not through our elements: guests of older releases lack some.
    description = ET.fromstring(domain.XMLDesc())  # noqa: S314 - written by libvirt
    _, maximum, current, _, _ = domain.info()
    return Diagnostics(
        power_state=power_of(domain),
        hypervisor=description.get("type", ""),
        hypervisor_os=sys.platform,
        cpus=tuple(CpuCounters(cpu[0], cpu[2]) for cpu in domain.vcpus()[0]),
        memory_maximum_mb=maximum // _KIB_PER_MIB,
        memory_used_mb=_used(domain, current) // _KIB_PER_MIB,
        disks=tuple(
            _disk(domain, target.get("dev", ""))
            for target in description.findall("devices/disk/target")
        ),
        nics=tuple(
            _nic(domain, mac.get("address", ""))
            for mac in description.findall("devices/interface/mac")
        ),
    )


def _used(domain: libvirt.virDomain, current: int) -> int:
    """KiB. The guest's balloon driver tells, if it has one (virDomainMemoryStats)."""
    with Tolerate(libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_INVALID):
        stats = domain.memoryStats()
        if "available" in stats and "unused" in stats:
            return stats["available"] - stats["unused"]
    return current


def _disk(domain: libvirt.virDomain, device: str) -> DiskCounters:
    read_requests, read_bytes, write_requests, write_bytes, errors = domain.blockStats(device)
    return DiskCounters(
        device=device,
        read_bytes=read_bytes,
        read_requests=read_requests,
        write_bytes=write_bytes,
        write_requests=write_requests,
        errors=None if errors < 0 else errors,
    )


def _nic(domain: libvirt.virDomain, mac: str) -> NicCounters:
    return NicCounters(mac, *domain.interfaceStats(mac))
