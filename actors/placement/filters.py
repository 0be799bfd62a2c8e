"""Filters: may this host take this instance? Each answers None, or a clause that says why not.

The clause continues the host's name ("h1 needs …" is read as "h1: needs 8192 MiB of memory, …").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.placement.fleet import Demand, HostView


@dataclass(frozen=True, slots=True)
class Filter:
    """A named rule. ``word`` tells two rules of one name apart in a summary."""

    name: str
    why_not: Callable[[HostView, Demand], str | None]
    word: str = ""

    @property
    def label(self) -> str:
        """As a summary names it."""
        return f"{self.name} ({self.word})" if self.word else self.name


def is_requested(host: HostView, demand: Demand) -> str | None:
    """Nova's ``force_hosts``: an admin asked for one host, the others are not looked at."""
    if demand.host is None or demand.host == host.name:
        return None
    return f"is not the requested host {demand.host}"


def is_in_zone(host: HostView, demand: Demand) -> str | None:
    """Nova's availability zone request filter (``map_az_to_placement_aggregate``)."""
    if demand.availability_zone == host.zone:
        return None
    return f"is in availability zone {host.zone}, not in {demand.availability_zone}"


def is_enabled(host: HostView, _demand: Demand) -> str | None:
    """First half of Nova's ComputeFilter: an operator has not disabled the service."""
    if host.enabled:
        return None
    return f"is disabled: {host.disabled_reason}" if host.disabled_reason else "is disabled"


def is_up(host: HostView, _demand: Demand) -> str | None:
    """Second half of Nova's ComputeFilter: the service group has heard of the host lately."""
    if host.up:
        return None
    return f"is down: {host.trouble}" if host.trouble else "is down: it has not reported lately"


def has_not_failed(host: HostView, demand: Demand) -> str | None:
    """Nova's RetryFilter (now ``ignore_hosts``): no way back to where this boot failed."""
    if host.id not in demand.exclude:
        return None
    return "failed to boot this instance before"


def is_elsewhere(host: HostView, demand: Demand) -> str | None:
    """Nova's ``allow_resize_to_same_host``, where it is off."""
    if not demand.must_move or host.id != demand.lives_on:
        return None
    return "has the instance now, and a resize has to move it here (resize_to_same_host)"


def has_vcpus(host: HostView, demand: Demand) -> str | None:
    """Placement's VCPU inventory, over-committed by ``cpu_allocation_ratio``."""
    needed = demand.resources.vcpus
    if needed <= host.free_vcpus or not needed:
        return None
    return f"needs {needed} vCPUs, {max(0, host.free_vcpus)} are free"


def has_memory(host: HostView, demand: Demand) -> str | None:
    """Placement's MEMORY_MB inventory, less what is reserved for the host itself."""
    needed = demand.resources.memory_mb
    if needed <= host.free_memory_mb or not needed:
        return None
    return f"needs {needed} MiB of memory, {max(0, host.free_memory_mb)} are free"


def has_disk(host: HostView, demand: Demand) -> str | None:
    """Placement's DISK_GB inventory. What asks for none passes, also where nothing is left."""
    needed = demand.resources.disk_gb
    if needed <= host.free_disk_gb or not needed:
        return None
    return f"needs {needed} GiB of disk, {max(0, host.free_disk_gb)} are free"


#: In the order they are asked: the further a host comes, the more its reason is worth reading.
FILTERS: Final = (
    Filter("RequestedHostFilter", is_requested),
    Filter("AvailabilityZoneFilter", is_in_zone),
    Filter("ComputeFilter", is_enabled, "disabled"),
    Filter("ComputeFilter", is_up, "down"),
    Filter("RetryFilter", has_not_failed),
    Filter("DifferentHostFilter", is_elsewhere),
    Filter("VcpuFilter", has_vcpus),
    Filter("MemoryFilter", has_memory),
    Filter("DiskFilter", has_disk),
)
