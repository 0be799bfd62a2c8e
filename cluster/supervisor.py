"""A daemon's parent, for machines without a service manager. Imports the standard library only.

    python -I -S supervisor.py NAME LOG COMMAND…

Starts the daemon again when it ends by itself, and adopts the orphans of its descendants: guests
above all, whose ends libvirt waits for. The first process of some machines collects orphans only
now and then, so that ending a guest would take two seconds. SIGTERM ends the daemon for good; this
process then stays until the last guest it adopted has ended.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
#: A daemon that ran for so long has started well; its next failure is a new one.
_STABLE_SECONDS = 60.0
_HEARD = (signal.SIGCHLD, signal.SIGTERM)
#: Nothing but a signal ends a wait; then one more begins.
_LONG = 3600.0


def _spawn(command: list[str], log: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Python ignores it, and what is ignored is inherited; so is what is blocked.
        setsigdef=[signal.SIGPIPE],
        setsigmask=[],
    )


class _Supervisor:
    def __init__(self, command: list[str], log: str) -> None:
        self._command = command
        self._log = log
        self._daemon = 0
        self._ending = False

    def run(self) -> None:
        # Blocked and asked for: none comes between a look at how things are and the wait for news.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        # Who started this process may have ignored it; then nobody hears of a child's end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pause = _FIRST_PAUSE
        while not self._ending:
            began = time.monotonic()
            self._daemon = _spawn(self._command, self._log)
            while self._daemon:
                self._hear()
            if time.monotonic() - began > _STABLE_SECONDS:
                pause = _FIRST_PAUSE
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        while self._collect():
            self._hear()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ending and (left := until - time.monotonic()) > 0:
            self._hear(left)

    def _hear(self, seconds: float = _LONG) -> None:
        """Wait for a signal, and do what it asks for."""
        heard = signal.sigtimedwait(_HEARD, seconds)
        if heard is not None and heard.si_signo == signal.SIGTERM:
            self._ending = True
            if self._daemon:
                os.kill(self._daemon, signal.SIGTERM)
        self._collect()

    def _collect(self) -> bool:
        """Collect the children that have ended, and say whether there are others."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self._daemon:
                self._daemon = 0


def main() -> None:
    """Supervise what the command line says."""
    _, log, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _Supervisor(command, log).run()


if __name__ == "__main__":
    main()
