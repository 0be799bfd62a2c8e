"""The decision: the best host that passes every filter, or why there is none."""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from actors.model.errors import NoValidHost
from actors.placement.filters import FILTERS, Filter
from actors.placement.fleet import Demand, HostView
from actors.placement.weighers import WEIGHERS, Weigher, weigh

#: An error names so many hosts; it says how many more there are.
NAMED_HOSTS: Final = 20

_CHECKS: Final = tuple((-passed, rule.why_not) for passed, rule in enumerate(FILTERS))
_NEEDS_ROOM: Final = frozenset({"VcpuFilter", "MemoryFilter", "DiskFilter"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """This host."""

    host: HostView


class Reason(NamedTuple):
    """Why one host will not do. Sorts the hosts that came furthest to the front."""

    #: Minus the number of filters it passed.
    order: int
    host: str
    why: str

    @property
    def refused_by(self) -> Filter:
        """The first filter that refused it."""
        return FILTERS[-self.order]

    def __str__(self) -> str:
        return f"{self.refused_by.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class Refused:
    """No host passes. One reason for each, sorted."""

    reasons: tuple[Reason, ...]


def decide(
    fleet: Iterable[HostView], demand: Demand, weighers: Sequence[Weigher] = WEIGHERS
) -> Chosen | Refused:
    """Choose a host. Changes nothing; the same fleet and demand give the same answer."""
    passing = []
    refused = []
    for host in fleet:
        for order, why_not in _CHECKS:
            why = why_not(host, demand)
            if why is not None:
                refused.append(Reason(order, host.name, why))
                break
        else:
            passing.append(host)
    if not passing:
        return Refused(tuple(sorted(refused)))
    stays = [host for host in passing if host.id == demand.lives_on]
    return Chosen(stays[0] if stays else _best(passing, demand, weighers))


def no_valid_host(demand: Demand, refused: Refused) -> NoValidHost:
    """The refusal as the caller sees it."""
    needs = demand.resources
    named = refused.reasons[:NAMED_HOSTS]
    metadata = {reason.host: str(reason) for reason in named}
    if len(named) < len(refused.reasons):
        metadata["more_hosts"] = str(len(refused.reasons) - len(named))
    return NoValidHost(
        f"No valid host was found for a flavor of {needs.memory_mb} MiB, "
        f"{_counted(needs.vcpus, 'vCPU')}, {needs.disk_gb} GiB: {_summary(refused.reasons)}. "
        f"{_advice(demand, refused.reasons)}",
        metadata=metadata,
    )


def _best(passing: list[HostView], demand: Demand, weighers: Sequence[Weigher]) -> HostView:
    weights = weigh(passing, weighers)
    highest = max(weights)
    ties = [host for host, weight in zip(passing, weights, strict=True) if weight == highest]
    fewest = min(host.instances for host in ties)
    ties = [host for host in ties if host.instances == fewest]
    # Equals are told apart by the instance's own id: no chance in it, and yet a burst spreads.
    return ties[zlib.crc32(demand.instance.encode()) % len(ties)]


def _summary(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return "no host has joined the cluster"
    counts = Counter(reason.order for reason in reasons).most_common()
    labelled = [(FILTERS[-order].label, count) for order, count in counts]
    (first, many), *others = labelled
    parts = [f"{_counted(many, 'host')} refused by {first}"]
    return ", ".join(parts + [f"{count} by {label}" for label, count in others])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _advice(demand: Demand, reasons: tuple[Reason, ...]) -> str:
    refusing = {FILTERS[-order].name for order in {reason.order for reason in reasons}}
    if not reasons:
        return "Add a host."
    if demand.host is not None and refusing == {"RequestedHostFilter"}:
        return f"No host is named {demand.host}: name another, or none."
    if refusing & _NEEDS_ROOM:
        return "Choose a smaller flavor or add a host."
    if "ComputeFilter" in refusing:
        return "Wait for a host to come back, enable one or add one."
    return "Choose another availability zone or add a host."
