"""The Ray processes of this node and cluster, found by the folder they work in; and no others.

Process titles say nothing reliable, and process numbers are reused. But every process of a Ray
node has its log files open below the node's own folder, or names that folder in its command line.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that works below a folder."""

    pid: int
    command: str

    @property
    def is_gcs(self) -> bool:
        """Whether it is the head's GCS."""
        return "/gcs/gcs_server " in self.command

    @property
    def is_raylet(self) -> bool:
        """Whether it is the node's raylet."""
        return "/raylet/raylet " in self.command

    @property
    def label(self) -> str:
        """What it is, in short."""
        if self.command.startswith(("ray::", "ray-dashboard-")):
            return self.command.split(" (")[0].strip()
        words = self.command.split()
        if "-c" in words:
            return " ".join(words[words.index("-c") + 1 :])[:40]
        script = next((word for word in words[1:2] if word.endswith(".py")), words[0])
        return Path(script).name


def working_below(folder: Path, proc: Path = _PROC) -> tuple[Process, ...]:
    """All processes of this mount namespace that work below the folder, but not this one."""
    found = []
    here = _mounts(proc / "self")
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                # The same path is another folder in another host's mount namespace.
                if _mounts(entry) == here and (command := _works_below(entry, folder)) is not None:
                    found.append(Process(int(entry.name), command))
    return tuple(sorted(found, key=lambda process: process.pid))


def _mounts(entry: Path) -> str:
    return os.readlink(entry / "ns/mnt")


def _works_below(entry: Path, folder: Path) -> str | None:
    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if not command:
        return None
    within = f"{folder}/session_"
    if within in command:
        return command
    for descriptor in (entry / "fd").iterdir():
        with suppress(OSError):
            if os.readlink(descriptor).startswith(within):
                return command
    return None


def can_connect(address: str, seconds: float = 3.0) -> str:
    """Empty when something listens at ``host:port``; else why not."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), seconds):
            return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error).lower()


def end(folder: Path, pids: Iterable[int], number: signal.Signals, seconds: float) -> bool:
    """Signal those that still work below the folder, and wait; whether all have ended."""
    deadline = time.monotonic() + seconds
    poll = select.poll()
    living = 0
    with ExitStack() as files:
        for pid in pids:
            with suppress(ProcessLookupError, OSError):
                descriptor = os.pidfd_open(pid)
                files.callback(os.close, descriptor)
                # The number may be another process's by now; the descriptor stays what it is.
                if _works_below(_PROC / str(pid), folder) is not None:
                    signal.pidfd_send_signal(descriptor, number)
                    poll.register(descriptor, select.POLLIN)
                    living += 1
        while living and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                living -= 1
    return not living
