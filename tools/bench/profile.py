"""Where the cluster's processor time goes: py-spy on each Python process while it is under load.

What py-spy sees of a process are its Python threads; gRPC's and Ray's own threads are told apart by
their names. The stacks are kept (``<load>-<process>.txt``, folded), for a flame graph or a closer
look.
"""

import asyncio
import shutil
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.processes import Process
from tools.bench import table
from tools.bench.client import Cloud, in_flight
from tools.bench.measure import AT_ONCE, MANY, Bench
from tools.bench.usage import Processes, name_of, spent

_SECONDS: Final = 12
_RATE: Final = 100
#: py-spy reads a process's symbols first.
_ATTACH_SECONDS: Final = 2.0
_SHOWN: Final = 14
#: All Python threads of an actor but the first.
PYTHON: Final = "Python"
_WAITS: Final = "Worker.main_loop "
_US: Final = 1e6
_NS: Final = 1e-9

Load = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Cost:
    """One function in one process, in µs for one operation."""

    process: str
    function: str
    own: float
    below: float


class Profiler:
    """Puts loads on the cloud, and tells what each took where."""

    def __init__(self, cloud: Cloud, bench: Bench, processes: Processes, folder: Path) -> None:
        self._cloud = cloud
        self._bench = bench
        self._processes = processes
        self._folder = folder

    async def run(self, say: Callable[[str], None]) -> str:
        """Profile every load; the tables."""
        self._folder.mkdir(parents=True, exist_ok=True)
        told = []
        for name, prepare, load, at_once in self._loads():
            say(f"profiling: {name}")
            await prepare()
            told.append(await self._profile(name, load, at_once))
            if "list" not in name:
                await self._bench.empty()
        return "\n\n".join(told)

    def _loads(self) -> list[tuple[str, Load, Load, int]]:
        async def nothing() -> None:
            pass

        async def boot() -> None:
            await self._cloud.boot()

        async def life() -> None:
            name = await self._cloud.boot()
            await self._cloud.stop(name)
            await self._cloud.start(name)
            await self._cloud.delete(name)

        async def get() -> None:
            await self._cloud.get(self._one)

        async def one() -> None:
            self._one = await self._cloud.boot()

        async def many() -> None:
            await self._bench.fill(MANY)

        async def listing() -> None:
            await self._cloud.page(MANY)

        return [
            ("boot alone", nothing, boot, 1),
            ("boot, 16 at once", nothing, boot, AT_ONCE),
            ("life alone", nothing, life, 1),
            ("get, 16 at once", one, get, AT_ONCE),
            ("list of 1,000", many, listing, 1),
        ]

    async def _profile(self, name: str, load: Load, at_once: int) -> str:
        found = self._processes.look()
        slug = name.replace(", ", "-").replace(" ", "-").replace("1,000", "1000")
        spies = {
            process: (await _spy(process, path), path)
            for process in found
            if process.command.startswith("ray::")
            for path in [self._folder / f"{slug}-{name_of(process)}.txt"]
        }
        await asyncio.sleep(_ATTACH_SECONDS)
        threads = {process.pid: thread_seconds(process.pid) for process in found}
        before = self._processes.moment()
        end = time.monotonic() + _SECONDS - _ATTACH_SECONDS
        done = 0

        async def once(_: int) -> None:
            nonlocal done
            await load()
            done += 1

        await in_flight(once, _while_before(end), at_once)
        taken = spent(before, self._processes.moment())
        costs: list[Cost] = []
        rows = []
        for process, seconds in sorted(taken.by_process.items(), key=lambda item: -item[1]):
            by_thread = thread_seconds(process.pid)
            by_thread.subtract(threads[process.pid])
            python = by_thread[PYTHON]
            rows.append(_row(process, seconds, python, by_thread, done))
            if process in spies:
                spy, path = spies[process]
                await spy.wait()
                with suppress(OSError):
                    costs += costs_of(name_of(process), path.read_text(), python / done * _US)
        headings = ("process", "µs", "Python", "other threads")
        return (
            f"== {name}: {done} operations, {done / taken.wall:.1f}/s, "
            f"{taken.cluster / done * _US:,.0f} µs of processor time each; "
            f"strangers had {taken.others_share:.0%}\n"
            f"{table.lines(headings, rows)}\n\n{functions(costs)}"
        )


def thread_seconds(pid: int) -> Counter[str]:
    """Processor time by thread name, in seconds; an actor's Python threads together."""
    told: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            name = (task / "comm").read_text().strip()
            if name.startswith("ray::"):
                # The first thread only hands tasks over, within Ray's own code.
                name = "main" if task.name == str(pid) else PYTHON
            told[name] += int((task / "schedstat").read_text().split()[0]) * _NS  # type: ignore[assignment]
    return told


def costs_of(process: str, folded: str, microseconds: float) -> list[Cost]:
    """Shares of folded stacks (``a;b;c 12``) of this much time.

    A function that is in a stack twice counts once. The thread that waits in Ray's own code for
    tasks does not count: py-spy takes it for busy.
    """
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[-1].startswith(_WAITS):
            continue
        own[frames[-1]] += int(count)
        below.update(dict.fromkeys(frames, int(count)))
    share = microseconds / (own.total() or 1)
    return [Cost(process, name, own[name] * share, below[name] * share) for name in below]


def functions(costs: list[Cost]) -> str:
    """The dearest functions: by what they take themselves, and with all they call."""
    dearest = sorted(costs, key=lambda cost: -cost.own)[:_SHOWN]
    calling = sorted(
        (cost for cost in costs if _is_ours(cost.function)), key=lambda cost: -cost.below
    )[:_SHOWN]
    headings = ("process", "function", "own µs", "with callees µs")
    rows = [
        (cost.process, cost.function, f"{cost.own:,.0f}", f"{cost.below:,.0f}")
        for cost in (*dearest, Cost("", "— ours —", 0, 0), *calling)
    ]
    return table.lines(headings, rows)


def _is_ours(function: str) -> bool:
    return any(f"({package}/" in function for package in ("actors", "gateway", "cluster"))


def _row(
    process: Process, seconds: float, python: float, by_thread: Counter[str], done: int
) -> tuple[str, ...]:
    others = [(s, name) for name, s in by_thread.items() if name != PYTHON]
    told = ", ".join(
        f"{name} {s / done * _US:,.0f}" for s, name in sorted(others, reverse=True)[:4] if s > 0
    )
    return (
        name_of(process),
        f"{seconds / done * _US:,.0f}",
        f"{python / done * _US:,.0f}" if python else "",
        told,
    )


def _while_before(end: float) -> Iterator[int]:
    number = 0
    while time.monotonic() < end:
        yield number
        number += 1


async def _spy(process: Process, path: Path) -> asyncio.subprocess.Process:
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else (shutil.which("py-spy") or "py-spy")
    return await asyncio.create_subprocess_exec(
        program, "record", "--pid", str(process.pid), "--duration", str(_SECONDS),
        "--rate", str(_RATE), "--format", "raw", "--function", "--nonblocking",
        "--output", str(path),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
