"""A process that outlives us, held so that its number cannot come to mean another one."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Self

_PROC = Path("/proc")


class Process:
    """A process by pidfd (pidfd_open(2)): a signal reaches this one or none."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._handle = handle

    def __repr__(self) -> str:
        return f"Process({self.pid}, {'alive' if self.alive else 'ended'})"

    @classmethod
    def find(cls, pid: int) -> Self | None:
        """The process that has this number now, or None."""
        try:
            return cls(pid, os.pidfd_open(pid))
        except (OSError, ValueError):  # none, or no number that a process can have
            return None

    @classmethod
    def inside(cls, namespace: int) -> Iterator[Self]:
        """All processes of a network namespace, given its inode."""
        for entry in _PROC.iterdir():
            if not entry.name.isdecimal() or _network(entry) != namespace:
                continue
            process = cls.find(int(entry.name))
            # Asked again: the first answer may have been of an earlier process of this number.
            if process is not None:
                if process.namespace == namespace:
                    yield process
                else:
                    process.close()

    @property
    def alive(self) -> bool:
        """Whether it has not ended. A pidfd turns readable when its process ends."""
        return not self._ended(0)

    @property
    def command(self) -> tuple[str, ...]:
        """Its command line, empty once it has ended (proc_pid_cmdline(5))."""
        try:
            text = (_PROC / str(self.pid) / "cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(text.decode(errors="replace").split("\0")[:-1]) if self.alive else ()

    @property
    def started(self) -> str:
        """Clock ticks from boot to its start (proc_pid_stat(5)); empty once it has ended."""
        try:
            text = (_PROC / str(self.pid) / "stat").read_text()
        except OSError:
            return ""
        # The second field is the program's name in parentheses and may hold anything, ")" too.
        return text.rpartition(")")[2].split()[19] if self.alive else ""

    @property
    def namespace(self) -> int:
        """Inode of its network namespace, 0 once it has ended."""
        return _network(_PROC / str(self.pid)) if self.alive else 0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal. To have ended is no error."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def end(self, grace_seconds: float) -> None:
        """Ask it to end, make it end, and wait for that."""
        self.signal(signal.SIGTERM)
        if not self._ended(grace_seconds):
            self.signal(signal.SIGKILL)
            self._ended(grace_seconds)

    def close(self) -> None:
        """Let go of the handle. The process goes on."""
        os.close(self._handle)

    def _ended(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def _network(process: Path) -> int:
    try:
        return (process / "ns/net").stat().st_ino
    except OSError:
        return 0
