"""Finding and ending the processes that live in a host's namespaces, and no others.

A process is a member when its mount namespace holds the host's marked mount (children that made a
mount namespace of their own, as `ip netns exec` does, inherit the mark) or when it lives in the
host's network namespace. Neither test rests on stored numbers alone, because the kernel reuses
process and inode numbers.
"""

import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, NoReturn

from tools.testhosts.errors import HostsError
from tools.testhosts.namespaces import network_of
from tools.testhosts.plan import Network, Process

PROC: Final = Path("/proc")
_BOOT_ID: Final = PROC / "sys/kernel/random/boot_id"
#: Linux keeps this much of a process's name in /proc/PID/comm.
_COMM_LENGTH: Final = 15
#: How long killed processes may take to end, on a busy machine.
_END_TIMEOUT: Final = 20.0
_FIELD_STARTED: Final = 22


@dataclass(frozen=True, slots=True)
class Scope:
    """Which processes are meant: those of one host, or of one set."""

    #: The source of a host's marked mount, or what the sources of all of a set begin with.
    mark: str
    networks: frozenset[Network]
    exact: bool = False

    def covers(self, source: str) -> bool:
        """Whether a mount source is a mark of these."""
        return source == self.mark if self.exact else source.startswith(self.mark)


def boot_id() -> str:
    """Return what tells this run of the kernel from all others."""
    return _BOOT_ID.read_text().strip()


def started(pid: int, proc: Path = PROC) -> int | None:
    """Return the tick at which a process started; None when there is none."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[_FIELD_STARTED - 4])


def myself() -> Process:
    """Return the process this runs in."""
    pid = os.getpid()
    tick = started(pid)
    assert tick is not None
    return Process(pid, tick)


def is_alive(process: Process, proc: Path = PROC) -> bool:
    """Whether the process still runs."""
    return started(process.pid, proc) == process.started


def mount_sources(mountinfo: str) -> Iterator[str]:
    """Return the source of every mount in the text of a /proc/PID/mountinfo."""
    for line in mountinfo.splitlines():
        _, _, kind_source_options = line.partition(" - ")
        yield kind_source_options.split(" ")[1]


def mount_points(mountinfo: str) -> Iterator[str]:
    """Return where every mount is in the text of a /proc/PID/mountinfo."""
    for line in mountinfo.splitlines():
        # A blank stands there as \040, a backslash as \134.
        yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4])


class Search:
    """One pass over the processes: each namespace is looked into once."""

    def __init__(
        self,
        scope: Scope,
        *,
        proc: Path = PROC,
        identify: Callable[[Path], Network | None] = network_of,
    ) -> None:
        self._scope = scope
        self._proc = proc
        self._identify = identify
        self._known: dict[str, bool] = {}

    def members(self) -> set[int]:
        """Return the numbers of all members."""
        entries = (entry.name for entry in self._proc.iterdir())
        return {int(name) for name in entries if name.isdigit() and self.holds(int(name))}

    def holds(self, pid: int) -> bool:
        """Whether the process is a member."""
        entry = self._proc / str(pid)
        try:
            return self._in(entry / "ns/mnt", self._marked) or self._in(
                entry / "ns/net", self._ours
            )
        except (FileNotFoundError, ProcessLookupError):
            return False  # it has ended
        except PermissionError:
            # Root may not look into it: it has a privilege that root lacks here, as the first
            # process of a sandbox does. Nothing that this tool starts can have that.
            return False

    def _in(self, namespace: Path, test: Callable[[Path], bool]) -> bool:
        name = os.readlink(namespace)
        if name not in self._known:
            self._known[name] = test(namespace)
        return self._known[name]

    def _marked(self, namespace: Path) -> bool:
        mountinfo = namespace.parent.parent / "mountinfo"
        try:
            return any(self._scope.covers(each) for each in mount_sources(mountinfo.read_text()))
        except OSError as error:
            # mountinfo of an ending process cannot be read; another member of the namespace tells.
            raise ProcessLookupError from error

    def _ours(self, namespace: Path) -> bool:
        inode = namespace.stat().st_ino
        if inode not in {network.inode for network in self._scope.networks}:
            return False
        return self._identify(namespace) in self._scope.networks


def named(pids: Iterable[int], pattern: str, proc: Path = PROC) -> set[int]:
    """Return the processes of that name (a shell pattern): their file's, or their title."""
    fitting = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            comm = (proc / str(pid) / "comm").read_text().rstrip("\n")
            title = (proc / str(pid) / "cmdline").read_text(errors="replace").split("\0")[0]
            names = (comm, title, Path(title).name)
            if comm == pattern[:_COMM_LENGTH] or any(fnmatch(name, pattern) for name in names):
                fitting.add(pid)
    return fitting


def end_all(scope: Scope, timeout: float = _END_TIMEOUT) -> int:
    """Kill members until none is left; return how many were killed.

    Raises:
        HostsError: when some are still there after the timeout.
    """
    deadline = time.monotonic() + timeout
    killed: set[int] = set()
    while pids := Search(scope).members():
        if time.monotonic() > deadline:
            _refuse(pids, timeout)
        killed |= _signal_and_wait(pids, scope, signal.SIGKILL, deadline)[0]
    return len(killed)


def end_named(
    scope: Scope, pattern: str, number: signal.Signals, timeout: float = _END_TIMEOUT
) -> int:
    """Signal the members of that name once and wait for their end; return how many there were.

    What something else starts in their place is left alone.

    Raises:
        HostsError: when some are still there after the timeout.
    """
    pids = named(Search(scope).members(), pattern)
    signalled, left = _signal_and_wait(pids, scope, number, time.monotonic() + timeout)
    if left:
        _refuse(left, timeout)
    return len(signalled)


def _refuse(left: Iterable[int], timeout: float) -> NoReturn:
    numbers = ", ".join(str(pid) for pid in sorted(left))
    raise HostsError(f"These processes did not end within {timeout:.0f} s: {numbers}.")


def _signal_and_wait(
    pids: Iterable[int], scope: Scope, number: signal.Signals, deadline: float
) -> tuple[set[int], set[int]]:
    """Signal those that are still members and wait; return the signalled and the living."""
    waiting = select.poll()
    with contextlib.ExitStack() as open_files:
        living: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                open_files.callback(os.close, descriptor)
                # The number may have gone to another process since; the descriptor stays true.
                if Search(scope).holds(pid):
                    signal.pidfd_send_signal(descriptor, number)
                    waiting.register(descriptor, select.POLLIN)
                    living[descriptor] = pid
        signalled = set(living.values())
        while living and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in waiting.poll(left * 1000):
                waiting.unregister(descriptor)
                del living[descriptor]
        return signalled, set(living.values())
