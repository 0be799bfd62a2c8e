"""Weighers: of the hosts that pass, which is best?

Nova's rule (``nova/weights.py``): a weigher's values over the hosts are brought to 0 … 1,
multiplied, and added up; the highest sum wins. A weigher that sees no difference adds nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from actors.placement.fleet import HostView


@dataclass(frozen=True, slots=True)
class Weigher:
    """A number of a host, and how much it counts (Nova: ``ram_weight_multiplier`` and so on)."""

    name: str
    value: Callable[[HostView], float]
    multiplier: float


#: Nova's weighers and their default multipliers.
WEIGHERS: Final = (
    Weigher("RAMWeigher", attrgetter("free_memory_mb"), 1.0),
    Weigher("CPUWeigher", attrgetter("free_vcpus"), 1.0),
    Weigher("DiskWeigher", attrgetter("free_disk_gb"), 1.0),
    # Off by default, as in Nova: positive packs hosts, negative spreads.
    Weigher("NumInstancesWeigher", attrgetter("instances"), 0.0),
    # A host where boots fail is the last resort, however much it has free.
    Weigher("BuildFailureWeigher", attrgetter("failed_builds"), -1_000_000.0),
)


def weigh(hosts: Sequence[HostView], weighers: Sequence[Weigher] = WEIGHERS) -> list[float]:
    """The weight of each host, in their order."""
    weights = [0.0] * len(hosts)
    for weigher in weighers:
        if not weigher.multiplier:
            continue
        values = list(map(weigher.value, hosts))
        low, high = min(values), max(values)
        if low == high:
            continue
        scale = weigher.multiplier / (high - low)
        weights = [
            weight + (value - low) * scale for weight, value in zip(weights, values, strict=True)
        ]
    return weights
