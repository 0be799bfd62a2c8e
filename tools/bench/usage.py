"""What processes take: memory and processor time, from the kernel."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.memory import pss_mib
from cluster.processes import Process, working_below

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment."""

    process: Process
    pss_mib: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Moment:
    """Processor time taken until now, in seconds: by the cluster, by this process, by all."""

    at: float
    by_process: dict[Process, float]
    own: float
    machine: float

    @property
    def cluster(self) -> float:
        """By all processes of the cluster."""
        return sum(self.by_process.values())


class Processes:
    """The processes of one cluster: those that work below its Ray folder."""

    def __init__(self, ray_dir: Path) -> None:
        self._ray_dir = ray_dir
        self._known: tuple[Process, ...] = ()

    def look(self) -> tuple[Process, ...]:
        """Find them anew: it takes long, so not while something is measured."""
        self._known = working_below(self._ray_dir)
        return self._known

    def moment(self) -> Moment:
        """Processor time of those found last."""
        times = {}
        for process in self._known:
            with suppress(OSError):
                times[process] = cpu_seconds(process.pid)
        return Moment(time.monotonic(), times, time.process_time(), machine_seconds())

    def usages(self) -> list[Usage]:
        """Memory and processor time of each, the largest first."""
        found = []
        for process in self.look():
            with suppress(OSError):
                found.append(Usage(process, pss_mib(process.pid), cpu_seconds(process.pid)))
        return sorted(found, key=lambda usage: -usage.pss_mib)


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time between two moments, in seconds."""

    wall: float
    by_process: dict[Process, float]
    #: By processes that are neither the cluster's nor ours.
    others: float

    @property
    def cluster(self) -> float:
        """By all processes of the cluster."""
        return sum(self.by_process.values())

    @property
    def named(self) -> dict[str, float]:
        """By the processes' names; those of one name together."""
        told: dict[str, float] = {}
        for process, seconds in self.by_process.items():
            told[name_of(process)] = told.get(name_of(process), 0.0) + seconds
        return told

    @property
    def others_share(self) -> float:
        """Of all processors."""
        return self.others / (self.wall * (os.cpu_count() or 1)) if self.wall else 0.0


def spent(before: Moment, after: Moment) -> Spent:
    """What was taken in between."""
    by_process = {
        process: seconds - before.by_process.get(process, 0.0)
        for process, seconds in after.by_process.items()
    }
    known = sum(by_process.values()) + after.own - before.own
    others = max(0.0, after.machine - before.machine - known)
    return Spent(after.at - before.at, by_process, others)


def name_of(process: Process) -> str:
    """What people call it. Ray adds the method under way to an actor's title."""
    label = process.label.removeprefix("ray::")
    return label.partition(".")[0] if process.command.startswith("ray::") else label


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, to the nanosecond, ended ones included.

    Raises:
        OSError: There is no such process.
    """
    return time.clock_gettime(process_clock(pid))


def process_clock(pid: int) -> int:
    """The clock of another process's processor time (``MAKE_PROCESS_CPUCLOCK`` of Linux)."""
    scheduler_clock = 2
    return (~pid << 3) | scheduler_clock


def machine_seconds(stat: str | None = None) -> float:
    """Processor time of the whole machine that was not idle, from ``/proc/stat``."""
    text = (_PROC / "stat").read_text() if stat is None else stat
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
        int, text.splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def total_pss(usages: Iterable[Usage]) -> float:
    """MiB of all of them."""
    return sum(usage.pss_mib for usage in usages)
