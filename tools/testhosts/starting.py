"""The maker's side of a holder that is being made; `holder.py` is the other side."""

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, Self

from tools.testhosts.errors import HostsError
from tools.testhosts.holder import Spec
from tools.testhosts.preflight import search_path

_REPOSITORY: Final = Path(__file__).parents[2]
_ANSWER_TIMEOUT: Final = 60.0
_LOG_TAIL: Final = 2000


class Starting:
    """A holder that is being made. Leaving the context before it was let run ends it."""

    def __init__(self, spec: Spec, log: Path) -> None:
        self._name = spec.name
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.testhosts.holder", spec.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=_REPOSITORY,
                env=os.environ | {"PATH": search_path(os.environ)},
            )
        self._write(spec.to_json() + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A holder that failed has closed its end, and what is still buffered for it has no reader.
        with contextlib.suppress(BrokenPipeError):
            self._stream(self._process.stdin).close()
        self._stream(self._process.stdout).close()
        # What was started only forks the holder; it has ended, or does now.
        self._process.wait()

    def read_line(self) -> str:
        """Return what the holder says next."""
        stream = self._stream(self._process.stdout)
        readable, _, _ = select.select([stream], [], [], _ANSWER_TIMEOUT)
        line = stream.readline() if readable else ""
        if not line:
            said = self._log.read_text(errors="replace")[-_LOG_TAIL:]
            raise HostsError(f"The holder of {self._name} failed: {said or 'it said nothing'}")
        return line

    def let_run(self) -> None:
        """Tell the holder that it is written down and may run."""
        self._write("run\n")

    def _write(self, line: str) -> None:
        # A holder that failed reads nothing; what is read from it next says why.
        with contextlib.suppress(BrokenPipeError):
            stream = self._stream(self._process.stdin)
            stream.write(line)
            stream.flush()

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream
