"""One host's libvirtd, as a child of its holder."""

import os
import signal
import socket
import time
from pathlib import Path
from typing import Final

from tools.testhosts.config import LIBVIRT_SOCKET, LIBVIRTD_CONF, LIBVIRTD_LOG, LIBVIRTD_PID

_COMMAND: Final = (
    "libvirtd", "--listen", "--config", LIBVIRTD_CONF, "--pid-file", LIBVIRTD_PID,
)  # fmt: skip
_START_TIMEOUT: Final = 40.0
_STOP_TIMEOUT: Final = 20.0
_POLL_INTERVAL: Final = 0.01
_LOG_TAIL: Final = 2000


class Libvirtd:
    """Starts and stops the daemon. It stays away until it is started: failure tests need that."""

    def __init__(self) -> None:
        #: None while it does not run.
        self.pid: int | None = None

    def reap(self) -> None:
        """Take note of every child that has ended, adopted ones too."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.pid = None

    def start(self) -> None:
        """Start the daemon, if it does not run, and wait until it takes connections.

        Raises:
            OSError: when it cannot be started, ends, or does not answer in time.
        """
        if not self._runs():
            self.pid = self._spawn()
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            if not self._runs():
                raise OSError(f"libvirtd ended: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise OSError(f"libvirtd does not answer: {self._log_tail()}")
            time.sleep(_POLL_INTERVAL)

    def stop(self, number: signal.Signals) -> None:
        """End the daemon, if it runs. Its guests run on.

        Raises:
            OSError: when it does not end in time.
        """
        self.reap()
        if self.pid is not None:
            os.kill(self.pid, number)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self._runs():
            if time.monotonic() > deadline:
                raise OSError(f"libvirtd (process {self.pid}) did not end")
            time.sleep(_POLL_INTERVAL)

    def _runs(self) -> bool:
        self.reap()
        return self.pid is not None

    def _spawn(self) -> int:
        log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawnp(
            _COMMAND[0],
            _COMMAND,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, LIBVIRTD_LOG, log, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            # Python ignores it, and what is ignored is inherited.
            setsigdef=[signal.SIGPIPE],
        )

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(LIBVIRT_SOCKET)
            except OSError:
                return False
        return True

    def _log_tail(self) -> str:
        try:
            return Path(LIBVIRTD_LOG).read_text(errors="replace")[-_LOG_TAIL:]
        except OSError:
            return "it wrote no log"
