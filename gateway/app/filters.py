"""The filter language of lists: a small part of AIP-160.

    filter    = [ condition { "AND" condition } ]
    condition = field "=" ( word | quoted )

Fields and their meaning are the caller's; an error names the position.
"""

import re
from collections.abc import Collection
from typing import Final, NoReturn

from actors.model.errors import Invalid

#: Filters longer than this are not read.
MAX_FILTER: Final = 2048

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<word>[A-Za-z0-9_./:-]+)
      | (?P<equals>=)
    )""",
    re.VERBOSE,
)


def parse_filter(text: str, fields: Collection[str]) -> dict[str, str]:
    """The conditions of a filter, by field.

    Raises:
        Invalid: ``FILTER_INVALID``, with the position.
    """
    if len(text) > MAX_FILTER:
        _refuse(MAX_FILTER, f"the filter is longer than {MAX_FILTER} characters")
    tokens = _tokens(text)
    conditions: dict[str, str] = {}
    at = 0
    while at < len(tokens):
        if conditions:
            kind, word, start = tokens[at]
            if (kind, word) != ("word", "AND"):
                _refuse(start, "expected AND")
            at += 1
        at = _condition(tokens, at, len(text), fields, conditions)
    return conditions


def _condition(
    tokens: list[tuple[str, str, int]],
    at: int,
    end: int,
    fields: Collection[str],
    conditions: dict[str, str],
) -> int:
    """Read one condition; the index behind it."""
    kind, field, start = tokens[at] if at < len(tokens) else ("end", "", end)
    if kind != "word" or field not in fields:
        _refuse(start, f"expected one of {', '.join(sorted(fields))}")
    if field in conditions:
        _refuse(start, f"{field} stands here twice")
    kind, _, start = tokens[at + 1] if at + 1 < len(tokens) else ("end", "", end)
    if kind != "equals":
        _refuse(start, "expected =")
    kind, value, start = tokens[at + 2] if at + 2 < len(tokens) else ("end", "", end)
    if kind not in ("word", "quoted"):
        _refuse(start, "expected a value")
    conditions[field] = re.sub(r"\\(.)", r"\1", value[1:-1]) if kind == "quoted" else value
    return at + 3


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            blank = len(text[at:]) - len(text[at:].lstrip())
            _refuse(at + blank, "this character cannot stand here")
        kind = match.lastgroup
        tokens.append((kind, match[kind], match.start(kind)))
        at = match.end()
    return tokens


def _refuse(position: int, problem: str) -> NoReturn:
    where = f"{problem} (at position {position + 1})"
    raise Invalid(
        f'The filter cannot be read: {where}. An example: display_name = "web" AND state = ACTIVE.',
        "FILTER_INVALID",
        "",
        {"filter": where},
    )
