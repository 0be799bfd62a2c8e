"""A libvirtd of a test's own, with its own sockets and folders; QEMU without KVM. Needs root."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.contract import holder

_START_SECONDS = 40

_LIBVIRTD_CONF = """\
host_uuid = "{uuid}"
listen_tls = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:stderr"
"""
# Nothing that needs what a machine has one of: no cgroups unless a test is about them, no virtlogd,
# no other owner of files.
_QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = [{controllers}]
stdio_handler = "file"
"""


class PrivateLibvirtd:
    """One daemon and its folders. Neither ``close`` nor the end of the run leaves a process."""

    def __init__(self, home: Path, controllers: tuple[str, ...] = ()) -> None:
        self.home = home
        self.pid = 0
        etc = home / "etc"
        etc.mkdir(parents=True)
        (etc / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(uuid=uuid.uuid4()))
        named = ", ".join(f'"{each}"' for each in controllers)
        (etc / "qemu.conf").write_text(_QEMU_CONF.format(controllers=named))
        self._holder = subprocess.Popen(
            [sys.executable, holder.__file__, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.home / "run" / "libvirt-sock"

    @property
    def uri(self) -> str:
        """What libvirt calls it."""
        return f"qemu+unix:///system?socket={self.socket}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self.pid = self._order("start")
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.home / "libvirtd.out").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL it. Guests run on."""
        self._order("kill")

    def stop(self) -> None:
        """SIGTERM it. Guests run on."""
        self._order("stop")

    def freeze(self) -> None:
        """SIGSTOP it: it takes connections still (the kernel does), and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT it."""
        os.kill(self.pid, signal.SIGCONT)

    def guest_pid(self, name: str) -> int:
        """The process of a domain (``/run/libvirt/qemu/NAME.pid``)."""
        return int((self.home / "run" / "qemu" / f"{name}.pid").read_text())

    def close(self) -> None:
        """Kill libvirtd and its guests."""
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(_START_SECONDS)
        self._holder.stdout.close()

    def _order(self, order: str) -> int:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(f"{order}\n".encode())
        self._holder.stdin.flush()
        answer = self._holder.stdout.readline()
        assert answer, f"the holder ended while it was told to {order}"
        return int(answer)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
        return True
