"""``python -m tools.bench --help``."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tools.bench import machine, report, table
from tools.bench.client import Unexpected, connected
from tools.bench.figures import BY_NAME, phases_of
from tools.bench.measure import QUICK, Bench, Effort
from tools.bench.notes import Notes
from tools.bench.profile import Profiler
from tools.bench.stage import IMAGE, ROOT, Stage, StageError, standing
from tools.bench.usage import Processes

#: 64 MiB: a thousand of them fit on one pretended host.
FLAVOR: Final = "m1.nano"
OTHER_FLAVOR: Final = "m1.micro"

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit code."""
    chosen = parser().parse_args(arguments)
    # Whoever ends us by a signal gets the cluster removed, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {text}", file=sys.stderr, flush=True)

    try:
        _run(chosen, say)
    except (StageError, Unexpected, OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    told = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description="Bring a cluster up on libvirt's test driver, measure it, remove it.",
    )
    told.add_argument("--quick", action="store_true", help="fewer samples")
    told.add_argument(
        "--only",
        action="append",
        default=[],
        choices=list(BY_NAME),
        metavar="FIGURE",
        help=f"measure this one (may be repeated): {', '.join(BY_NAME)}",
    )
    told.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="so long in all, do again what other processes disturbed (0)",
    )
    told.add_argument("--json", type=Path, default=ROOT / "build/bench.json", metavar="PATH")
    told.add_argument("--compare", type=Path, metavar="OLD.json", help="tell what has changed")
    told.add_argument(
        "--detail", action="store_true", help="memory and processor time of each process"
    )
    told.add_argument(
        "--profile",
        type=Path,
        nargs="?",
        const=ROOT / "build/profile",
        metavar="FOLDER",
        help="measure nothing; tell by py-spy where the processor time goes",
    )
    told.add_argument(
        "--no-dashboard", dest="dashboard", action="store_false", help="without Ray's dashboard"
    )
    told.add_argument("--partitions", type=int, default=1, metavar="N", help="InstanceActors (1)")
    return told


def _run(chosen: argparse.Namespace, say: Say) -> None:
    before = report.read(chosen.compare) if chosen.compare else None
    facts = {
        "quick": chosen.quick,
        "dashboard": chosen.dashboard,
        "partitions": chosen.partitions,
        "load_at_start": os.getloadavg()[0],
    }
    say("a cluster comes up")
    with standing(dashboard=chosen.dashboard, partitions=chosen.partitions) as stage:
        facts |= machine.facts(stage.state, ROOT)
        if chosen.profile:
            told = asyncio.run(_profile(chosen.profile, stage, say))
        else:
            notes = asyncio.run(_measure(chosen, stage, say))
            told = _told(chosen, notes, facts, before)
        say("the cluster is removed")
    print(told)


async def _measure(chosen: argparse.Namespace, stage: Stage, say: Say) -> Notes:
    notes = Notes(Processes(stage.ray_dir))
    async with connected(stage.credentials) as cloud:
        await cloud.choose(FLAVOR, IMAGE, OTHER_FLAVOR)
        bench = Bench(cloud, notes, QUICK if chosen.quick else Effort())
        phases = phases_of(frozenset(chosen.only))
        # Before the first instance, and for the rest to know what idling takes.
        say("idle")
        await bench.run("idle")
        rest = [phase for phase in phases if phase != "idle"]
        if rest:
            say("warm-up")
            await bench.warm_up()
        for phase in rest:
            notes.patience = chosen.patience / len(rest)
            say(phase)
            await bench.run(phase)
    return notes


async def _profile(folder: Path, stage: Stage, say: Say) -> str:
    processes = Processes(stage.ray_dir)
    async with connected(stage.credentials) as cloud:
        await cloud.choose(FLAVOR, IMAGE, OTHER_FLAVOR)
        bench = Bench(cloud, Notes(processes), QUICK)
        say("warm-up")
        await bench.warm_up()
        return await Profiler(cloud, bench, processes, folder).run(say)


def _told(
    chosen: argparse.Namespace,
    notes: Notes,
    facts: dict[str, Any],
    before: report.Figures | None,
) -> str:
    """Write the JSON file; what is shown."""
    measured = notes.measured(frozenset(chosen.only))
    strangers = {part: round(share, 3) for part, share in notes.strangers.items()}
    facts |= {"load_at_end": os.getloadavg()[0], "strangers": strangers}
    report.write(chosen.json, measured, facts)
    told = [table.results(measured), report.noise(notes.strangers)]
    if chosen.detail:
        told.append(report.details(notes))
    if before is not None:
        told.append(table.comparison(before, measured))
    return "\n\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
