"""From what was measured to what is told. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tools.bench.figures import BY_NAME, FIGURES, Figure

_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of one figure: its median, and the value that 99 % of the samples reach.

    Attributes:
        value: The median, or the only value.
        p99: For a time the 99th percentile, for a rate the 1st: the bad end. None for a single
            value.
        samples: How many there were.
    """

    value: float
    p99: float | None = None
    samples: int = 1


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share of the values lies; between two of them, in proportion.

    Raises:
        ValueError: There are no values, or the share is not between 0 and 1.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no share")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summary(figure: Figure, values: Sequence[float]) -> Measured:
    """Median and bad end of many samples; of one sample, that."""
    if len(values) == 1:
        return Measured(values[0])
    bad_end = 0.01 if figure.larger_is_better else 0.99
    return Measured(percentile(values, 0.5), percentile(values, bad_end), len(values))


def to_json(measured: Mapping[str, Measured], machine: Mapping[str, Any]) -> dict[str, Any]:
    """As in ``build/bench.json``: a figure is ``p50`` and ``p99``, or a single ``value``."""
    told: dict[str, Any] = {}
    for figure in FIGURES:
        if (found := measured.get(figure.name)) is None:
            continue
        numbers: dict[str, float | int] = (
            {"value": rounded(found.value)}
            if found.p99 is None
            else {
                "p50": rounded(found.value),
                "p99": rounded(found.p99),
                "samples": found.samples,
            }
        )
        told[figure.name] = {
            **numbers,
            "unit": figure.unit,
            "nova34": figure.nova34,
            "target": figure.target,
        }
    return {**told, "_machine": dict(machine)}


def from_json(told: Mapping[str, Any]) -> dict[str, Measured]:
    """What ``to_json`` wrote, of the figures that are still known."""
    return {
        name: Measured(
            float(numbers["p50"] if "p50" in numbers else numbers["value"]),
            float(numbers["p99"]) if "p99" in numbers else None,
            int(numbers.get("samples", 1)),
        )
        for name, numbers in told.items()
        if name in BY_NAME
    }


def rounded(value: float) -> float:
    """Four digits that count: more than any run here repeats."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
