"""From a name or an id to the one thing meant.

Pure: the things are given. An id beats a name, since a thing may carry another's id as its name.
"""

import difflib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli.failures import Failure

_SIMILAR_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is needed of a thing to tell it from others."""

    id: str
    name: str
    status: str = ""
    created: str = ""

    def as_json(self) -> dict[str, str]:
        """The JSON form."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "created": self.created,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """What the things are called, and the command that lists them."""

    word: str
    lister: str


SERVER: Final = Kind("server", "nova list")
FLAVOR: Final = Kind("flavor", "nova flavor-list")
IMAGE: Final = Kind("image", "nova image-list")
VOLUME: Final = Kind("volume", "nova volume-list")
NETWORK: Final = Kind("network", "nova network-list")
SNAPSHOT: Final = Kind("snapshot", "nova volume-snapshot-list")


def as_uuid(text: str) -> str | None:
    """The UUID a text spells, in its usual form; None where it is none."""
    try:
        return str(uuid.UUID(text)) if len(text) in (32, 36) else None
    except ValueError:
        return None


def pick(kind: Kind, text: str, candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with this id, else the only one with this name.

    Raises:
        Failure: None, or several.
    """
    wanted = as_uuid(text) or text
    for candidate in candidates:
        if candidate.id == wanted:
            return candidate
    named = [c for c in candidates if c.name == text]
    if len(named) == 1:
        return named[0]
    if named:
        raise ambiguous(kind, text, named)
    raise unknown(kind, text, (c.name for c in candidates))


def ambiguous(kind: Kind, text: str, candidates: Sequence[Candidate]) -> Failure:
    """Why a name that several things have does not do."""
    return Failure(
        f"{len(candidates)} {kind.word}s are called '{text}'.",
        "AMBIGUOUS_NAME",
        hint="Name one by its id.",
        details=[_told(c) for c in candidates],
        data={"name": text, "candidates": [c.as_json() for c in candidates]},
    )


def unknown(kind: Kind, text: str, names: Iterable[str]) -> Failure:
    """That nothing is called so, and what is called nearly so."""
    near = similar(text, names)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return Failure(
        f"No {kind.word} with a name or ID of '{text}' exists.",
        f"{kind.word.upper()}_NOT_FOUND",
        hint=f'{hint}See "{kind.lister}".',
        data={"name": text, "similar": near},
    )


def similar(text: str, names: Iterable[str]) -> list[str]:
    """Names that a person may have meant, the nearest first."""
    # In lower case, since a wrong case is the commonest slip.
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(text.lower(), by_lower, n=_SIMILAR_SHOWN, cutoff=0.6)
    return [by_lower[word] for word in near]


def _told(candidate: Candidate) -> str:
    created = f", created {candidate.created}" if candidate.created else ""
    status = f"  {candidate.status}" if candidate.status else ""
    return f"{candidate.id}{status}{created}"
