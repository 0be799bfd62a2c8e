"""What a run tells: on the screen, and in ``build/bench.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.bench import table
from tools.bench.notes import NOISY, Notes
from tools.bench.samples import Measured, from_json, to_json
from tools.bench.usage import name_of

Figures = Mapping[str, Measured]


def write(path: Path, measured: Figures, machine: Mapping[str, Any]) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(measured, machine), indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def read(path: Path) -> Figures:
    """The figures of another run."""
    return from_json(json.loads(path.read_text(encoding="utf-8")))


def noise(strangers: Mapping[str, float]) -> str:
    """Who else was at work, where it matters."""
    noisy = [f"{part} {share:.0%}" for part, share in strangers.items() if share > NOISY]
    if not noisy:
        return "No other process had more than a tenth of the processors."
    return f"Noisy: other processes had, of all processors: {', '.join(noisy)}."


def details(notes: Notes) -> str:
    """Memory and processor time of each process."""
    told: list[str] = []
    rows: list[tuple[str, ...]]
    for figure, usages in notes.memory.items():
        rows = [(name_of(u.process), f"{u.pss_mib:,.1f}", f"{u.cpu_seconds:,.2f}") for u in usages]
        headings = (figure, "PSS MiB", "processor s so far")
        told.append(table.lines(headings, rows))
    names = sorted({name for parts in notes.cpu.values() for name in parts})
    parts = list(notes.cpu)
    if parts:
        rows = [
            (name, *(f"{notes.cpu[part].get(name, 0):,.2f}" for part in parts)) for name in names
        ]
        rows.append(("sum", *(f"{sum(notes.cpu[part].values()):,.2f}" for part in parts)))
        told.append(table.lines(("processor time, ms for one", *parts), rows))
    return "\n\n".join(told)
