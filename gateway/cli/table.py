"""Tables as python-novaclient prints them (prettytable's look).

A table is as wide as its content: it is meant for ``grep`` and for copying ids, so a terminal may
wrap a line but nothing is cut.
"""

import itertools
import unicodedata
from collections.abc import Sequence


def render(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table with a border; a cell may have several lines."""
    cells = [[_lines(cell) for cell in row] for row in rows]
    widths = [
        max([width(column), *(width(line) for row in cells for line in row[at])])
        for at, column in enumerate(columns)
    ]
    border = "+".join(["", *("-" * (w + 2) for w in widths), ""])
    lines = (line for row in cells for line in itertools.zip_longest(*row, fillvalue=""))
    body = [_row(line, widths) for line in lines]
    return "\n".join([border, _row(columns, widths), border, *body, border])


def render_properties(properties: Sequence[tuple[str, object]]) -> str:
    """The table of one thing: ``| Property | Value |``."""
    return render(("Property", "Value"), properties)


def width(text: str) -> int:
    """Columns of a terminal that a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Me")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )


def printable(text: str) -> str:
    """The text with control characters spelled out, so that no name can steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(cell: object) -> list[str]:
    text = "-" if cell is None else str(cell)
    return [printable(line) for line in text.split("\n")]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (w - width(cell)) for cell, w in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
