"""What a flavor's extra specs make of a domain (``actors.model.extra_specs`` says what they mean).

Pure. They were checked when they were set, so a number is one.
"""

from dataclasses import astuple
from typing import Final

from actors.drivers.libvirt.device_xml import Rng, Watchdog
from actors.drivers.libvirt.tuning_xml import CpuTune, IoTune
from actors.model.extra_specs import FirmwareType, WatchdogAction, number, truth
from actors.model.flavor import Flavor
from actors.model.instance import InstanceRecord

#: QEMU without KVM.
_TCG: Final = "qemu"
#: The kernel's, in microseconds (``cpu.cfs_period_us``).
_PERIOD: Final = 100_000


def cpu_tune(flavor: Flavor, virt_type: str, vcpus: int) -> CpuTune | None:
    """Shares and quota of a guest.

    libvirt tells TCG's vCPU threads apart as little as QEMU once did, and puts none into a cgroup
    of its own (``qemuDomainRefreshVcpuInfo``): there the quota of all vCPUs is that of QEMU.
    """
    specs = flavor.extra_specs
    shares = number(specs, "quota:cpu_shares")
    period, quota = number(specs, "quota:cpu_period"), number(specs, "quota:cpu_quota")
    if virt_type == _TCG and quota is not None:
        tune = CpuTune(shares, global_period=period or _PERIOD, global_quota=quota * vcpus)
    else:
        tune = CpuTune(shares, period, quota)
    return tune if any(astuple(tune)) else None


def io_tune(flavor: Flavor) -> IoTune | None:
    """Limits of each local disk."""
    found = {
        f"{way}_{what}_sec": number(flavor.extra_specs, f"quota:disk_{way}_{what}_sec")
        for way in ("total", "read", "write")
        for what in ("bytes", "iops")
    }
    return IoTune(**found) if any(found.values()) else None


def watchdog(flavor: Flavor) -> Watchdog | None:
    """The watchdog; none unless the flavor asks for one."""
    action = flavor.extra_specs.get("hw:watchdog_action", WatchdogAction.DISABLED)
    return None if action == WatchdogAction.DISABLED else Watchdog(action)


def rng(flavor: Flavor) -> Rng | None:
    """The random number generator; there is one unless the flavor forbids it (Nova since 21)."""
    specs = flavor.extra_specs
    if not truth(specs, "hw_rng:allowed", default=True):
        return None
    return Rng(
        rate_bytes=number(specs, "hw_rng:rate_bytes"),
        rate_period=number(specs, "hw_rng:rate_period"),
    )


def firmware(record: InstanceRecord) -> FirmwareType:
    """What starts the guest: as its image says, for that has the boot loader; else its flavor."""
    said = record.source.firmware or record.flavor.extra_specs.get("hw:firmware_type")
    return FirmwareType(said or FirmwareType.BIOS)
