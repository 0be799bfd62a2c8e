"""What goes to standard output and standard error, as tables or as JSON.

Standard output carries results only, so that it can be piped; notices, progress and errors go to
standard error. Colour and movement only where a person looks.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.cli.failures import Failure, Json


class ReaderGone(Exception):
    """Nobody reads our output any more: ``nova list | head``.

    Not an OSError: those Typer answers itself, with an exit code that means a refusal here.
    """


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


class Output:
    """Writes results and notices in one format."""

    def __init__(self, form: Format) -> None:
        self.format = form

    @property
    def is_json(self) -> bool:
        """Whether a program reads."""
        return self.format is Format.JSON

    @property
    def animated(self) -> bool:
        """Whether a progress bar may move on standard error."""
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def result(self, text: Callable[[], str], data: Callable[[], Json]) -> None:
        """Write the one result of a command. Only the form that is wanted is made."""
        write(json.dumps(data(), ensure_ascii=False, indent=2) if self.is_json else text())

    def record(self, text: Callable[[], str], data: Callable[[], Json]) -> None:
        """Write one of a stream of results: a line, at once."""
        write(json.dumps(data(), ensure_ascii=False) if self.is_json else text())
        flush()

    def sentence(self, text: str) -> None:
        """Write a sentence among tables. A program finds the same in the result."""
        if not self.is_json:
            write(text)

    def notice(self, text: str) -> None:
        """Tell a person something that is no result."""
        if not self.is_json:
            write(text, sys.stderr)

    def failure(self, failure: Failure) -> None:
        """Tell why the command fails, or a part of it."""
        if self.is_json:
            write(json.dumps(failure.as_json(), ensure_ascii=False), sys.stderr)
        else:
            prefix = paint("ERROR", "1;31", sys.stderr)
            write(failure.as_text(prefix), sys.stderr)


def write(text: str, stream: TextIO | None = None) -> None:
    """Write a line.

    Raises:
        ReaderGone: Nobody reads.
    """
    stream = stream or sys.stdout
    with _reader():
        # Results before what is said about them, also where both go to one file.
        if stream is sys.stderr:
            sys.stdout.flush()
        stream.write(text + "\n")


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are.

    Raises:
        ReaderGone: Nobody reads.
    """
    with _reader():
        sys.stdout.flush()
        rest = memoryview(data)
        while rest:
            # With PYTHONUNBUFFERED this is a bare pipe, which takes as much as it has room for.
            rest = rest[sys.stdout.buffer.write(rest) :]


def flush() -> None:
    """See that standard output has all that was written.

    Raises:
        ReaderGone: Nobody reads.
    """
    with _reader():
        sys.stdout.flush()


@contextmanager
def _reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


def paint(text: str, code: str, stream: TextIO, environ: Mapping[str, str] = os.environ) -> str:
    """Colour a text for a terminal that has colours and a user who wants them (no-color.org)."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
