"""libvirtd and virtlogd, where no service manager runs them.

What answers already is left alone. What we start outlives us, and ``down`` too: guests need it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.config import Settings
from cluster.pidfile import PidFile
from cluster.trouble import Trouble

_SYSTEMD: Final = Path("/run/systemd/system")
_START_SECONDS: Final = 40.0
_STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of libvirt's."""

    name: str
    sockets: tuple[Path, ...]
    supervised: bool

    @property
    def answers(self) -> bool:
        """Whether it takes connections."""
        return any(_answers(path) for path in self.sockets)


_QEMU_CONF: Final = Path("/etc/libvirt/qemu.conf")
_WITHOUT_VIRTLOGD: Final = re.compile(r'^\s*stdio_handler\s*=\s*"file"', re.MULTILINE)
_RUN: Final = Path("/run/libvirt")
#: Keeps the consoles of guests: QEMU writes to it, it writes to their logs.
VIRTLOGD: Final = Daemon("virtlogd", (_RUN / "virtlogd-sock",), supervised=False)
LIBVIRTD: Final = Daemon(
    "libvirtd", (_RUN / "libvirt-sock", _RUN / "virtqemud-sock"), supervised=True
)


def manages_libvirt(settings: Settings) -> bool:
    """Whether it is this machine's own libvirt; another socket is its owner's business."""
    return settings.libvirt_uri == "qemu:///system"


def ensure_libvirt(settings: Settings) -> str:
    """Start what does not answer; what was done.

    Raises:
        Trouble: It does not start.
    """
    if not manages_libvirt(settings):
        return "not ours to start"
    wanted = (VIRTLOGD, LIBVIRTD) if _needs_virtlogd() else (LIBVIRTD,)
    if all(daemon.answers for daemon in wanted):
        return "answers"
    if _SYSTEMD.exists():
        subprocess.run(["systemctl", "start", "virtlogd.socket", "libvirtd"], check=False)
        _wait_for(LIBVIRTD, "journalctl -u libvirtd says why")
        return "started by systemd"
    started = [daemon.name for daemon in wanted if _ensure(daemon, settings)]
    return f"started {' and '.join(started)}"


def started_by_us(settings: Settings) -> dict[str, PidFile]:
    """Those of our daemons that run."""
    found = {}
    for daemon in (LIBVIRTD, VIRTLOGD):
        process = PidFile.read(_pid_file(settings, daemon))
        if process is not None and process.alive():
            found[daemon.name] = process
    return found


def stop_ours(settings: Settings) -> list[str]:
    """End what we have started, and nothing else; the names.

    Raises:
        Trouble: One does not end.
    """
    stopped = []
    for name, process in started_by_us(settings).items():
        if not process.end(signal.SIGTERM, _STOP_SECONDS):
            raise Trouble(
                f"{name} (process {process.pid}) does not end.",
                "Its guests may still run: see virsh list.",
            )
        stopped.append(name)
    for daemon in (LIBVIRTD, VIRTLOGD):
        _pid_file(settings, daemon).unlink(missing_ok=True)
    return stopped


def _needs_virtlogd(config: Path = _QEMU_CONF) -> bool:
    """Whether QEMU's consoles go through it: libvirt's default."""
    try:
        return not _WITHOUT_VIRTLOGD.search(config.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return True


def _ensure(daemon: Daemon, settings: Settings) -> bool:
    if daemon.answers:
        return False
    path = _pid_file(settings, daemon)
    process = PidFile.read(path)
    if process is not None and process.alive():
        # It is starting, or hangs: then what is waited for below tells.
        _wait_for(daemon, f"End process {process.pid}, and run this command again")
        return True
    log = settings.run_dir / f"{daemon.name}.log"
    program = shutil.which(daemon.name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise Trouble(
            f"The command {daemon.name} is missing.", "Run: apt-get install libvirt-daemon-system"
        )
    command = [program]
    if daemon.supervised:
        supervisor = str(Path(__file__).with_name("supervisor.py"))
        # -I -S: neither the environment's nor our own packages are needed.
        command = [sys.executable, "-I", "-S", supervisor, daemon.name, str(log), *command]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    PidFile.of(child.pid).write(path)
    _wait_for(daemon, f"Its log is {log}", child)
    return True


def _wait_for(
    daemon: Daemon, otherwise: str, child: "subprocess.Popen[bytes] | None" = None
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not daemon.answers:
        ended = child is not None and child.poll() is not None
        if ended or time.monotonic() > deadline:
            raise Trouble(f"{daemon.name} does not answer.", f"{otherwise}.")
        time.sleep(_POLL_SECONDS)  # noqa: TID251 - an operator's command, not an actor


def _pid_file(settings: Settings, daemon: Daemon) -> Path:
    return settings.run_dir / f"{daemon.name}.pid"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
