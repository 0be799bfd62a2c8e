"""What a long command says while it works: a line for each step, with its seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_WIDTH: Final = 60


class Step:
    """One step under way."""

    def __init__(self) -> None:
        self.outcome = "done"

    def says(self, outcome: str) -> None:
        """What is told at the end instead of ``done``."""
        self.outcome = outcome


class Progress:
    """Tells steps on a stream. Silent where it has none."""

    def __init__(self, stream: TextIO | None = sys.stderr) -> None:
        self._stream = stream
        self._began = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Tell what is begun, and at its end how long it took."""
        begun = time.monotonic()
        step = Step()
        # On a terminal the line is there while the step runs; in a file it comes whole.
        live = self._stream is not None and self._stream.isatty()
        if live:
            self._write(f"{what} … ")
        try:
            yield step
        except BaseException:
            self._write(f"{'' if live else f'{what} … '}failed\n")
            raise
        seconds = time.monotonic() - begun
        start = "" if live else f"{what} … "
        self._write(f"{start}{step.outcome} ({seconds:.1f} s)\n")

    def note(self, text: str) -> None:
        """Tell something between steps."""
        self._write(f"{text}\n")

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._began

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
