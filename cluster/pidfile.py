"""Which process a file speaks of: by number, start and boot, since numbers are used again."""

import json
import os
import select
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from cluster.files import write_private

_PROC: Final = Path("/proc")
_FIELD_STARTED: Final = 22


@dataclass(frozen=True, slots=True)
class PidFile:
    """One process that we have started."""

    pid: int
    #: Tick of the machine's clock at which it started.
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int, proc: Path = _PROC) -> Self:
        """A process that runs now.

        Raises:
            ProcessLookupError: There is none.
        """
        started = _started(pid, proc)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started, _boot(proc))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What the file says; None where it says nothing that can be read."""
        try:
            values = json.loads(path.read_text(encoding="ascii"))
            return cls(int(values["pid"]), int(values["started"]), str(values["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """For later commands."""
        write_private(path, json.dumps(asdict(self)), mode=0o644)

    def alive(self, proc: Path = _PROC) -> bool:
        """Whether this very process still runs."""
        return self.boot == _boot(proc) and self.started == _started(self.pid, proc)

    def end(self, number: signal.Signals, seconds: float) -> bool:
        """Signal it and wait; whether it has ended. Another process is never signalled."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if not self.alive():
                    return True
                signal.pidfd_send_signal(descriptor, number)
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                return bool(poll.poll(seconds * 1000))
            finally:
                os.close(descriptor)
        return True


def _started(pid: int, proc: Path) -> int | None:
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[_FIELD_STARTED - 4])


def _boot(proc: Path) -> str:
    return (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
