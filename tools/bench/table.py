"""The tables a person reads. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from tools.bench.figures import FIGURES, Figure
from tools.bench.samples import Measured

_HEADINGS: Final = ("figure", "", "p50", "p99", "unit", "Nova 34", "ratio", "target", "met")
_COMPARED: Final = ("figure", "", "before", "now", "unit", "ratio")
#: Below this a difference between two runs on a busy machine says nothing.
_NOISE: Final = 0.1


def results(measured: Mapping[str, Measured]) -> str:
    """Every figure with Nova's beside it, how many times better ours is, and its target."""
    return _laid_out(
        _HEADINGS, [_result(f, measured[f.name]) for f in FIGURES if f.name in measured]
    )


def comparison(before: Mapping[str, Measured], now: Mapping[str, Measured]) -> str:
    """Two runs side by side; a ratio above 1 is better."""
    rows = []
    for figure in FIGURES:
        if figure.name in before and figure.name in now:
            old, new = before[figure.name].value, now[figure.name].value
            ratio = figure.times_better(new, old)
            mark = "" if abs(ratio - 1) < _NOISE else (" better" if ratio > 1 else " WORSE")
            told = f"{ratio:.2f}x{mark}"
            rows.append((figure.name, figure.what, number(old), number(new), figure.unit, told))
    return _laid_out(_COMPARED, rows)


def lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Any other table."""
    return _laid_out(headings, rows)


def number(value: float | None) -> str:
    """Short, and with thousands apart."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _result(figure: Figure, found: Measured) -> tuple[str, ...]:
    met = figure.is_met(found.value)
    sign = "≥" if figure.larger_is_better else "≤"
    return (
        figure.name,
        figure.what,
        number(found.value),
        number(found.p99),
        figure.unit,
        number(figure.nova34),
        f"{figure.times_better(found.value, figure.nova34):.1f}x" if figure.nova34 else "",
        f"{sign} {number(figure.target)}" if figure.target is not None else "",
        ""
        if met is None
        else ("yes" if met else f"NO ({found.value / (figure.target or 1):.2f}x)"),
    )


def _laid_out(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "(nothing)"
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    numeric = [all(_is_numeric(cell) for cell in column) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ).rstrip()

    return "\n".join((line(headings), line(["─" * width for width in widths]), *map(line, rows)))


def _is_numeric(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell[0] in "-≤≥"
