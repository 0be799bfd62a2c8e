"""A cluster of the bench's own, brought up by ``nova-manage up`` and removed without a trace.

All of it lies below two folders of its own: the record and the disks where disks are real, the run
directory where paths are short. Ports are free ones. What a killed bench left is removed by the
next one.
"""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster import processes

ROOT: Final = Path(__file__).parents[2]
#: What the image is called that the bench boots.
IMAGE: Final = "bench"
#: Ray's sockets lie below it, and Linux takes no long paths for sockets.
_SHORT: Final = Path("/tmp")  # noqa: S108
#: /tmp may be memory, where no write is ever waited for.
_ON_DISK: Final = Path("/var/tmp")  # noqa: S108
_PREFIX: Final = "novaray-bench-"
_MANAGE: Final = "from cluster.manage import main; main()"
_MANAGE_SECONDS: Final = 240.0
_KILL_SECONDS: Final = 20.0
_ROUNDS: Final = 5
_IMAGE_BYTES: Final = 1 << 20
#: Below the range from which Linux takes ports for connections.
_PORTS: Final = range(20_000, 32_000)


class StageError(Exception):
    """The cluster could not be brought up."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the bench's cluster is."""

    run: Path
    state: Path

    @property
    def ray_dir(self) -> Path:
        """What tells the cluster's processes from all others."""
        return self.run / "run" / "ray"

    @property
    def credentials(self) -> Path:
        """As ``nova`` reads them."""
        return self.run / "config" / "credentials.toml"

    @property
    def logs(self) -> Path:
        """Of actors and of Ray."""
        return self.ray_dir / "session_latest" / "logs"


@contextmanager
def standing(*, dashboard: bool, partitions: int) -> Iterator[Stage]:
    """A cluster with the usual flavors and one image; removed however this ends.

    Raises:
        StageError: It does not come up.
    """
    remove_abandoned()
    run = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
    stage = Stage(run, _ON_DISK / run.name)
    # Held for as long as this process lives: whose folder is not held is abandoned.
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            stage.state.mkdir(mode=0o711)
            environment = environment_of(stage, dashboard=dashboard, partitions=partitions)
            manage(environment, "up")
            manage(
                environment, "image", "register", "--name", IMAGE, "--format", "raw", _image(run)
            )
            yield stage
        finally:
            with _uninterrupted():
                remove(stage)


def remove(stage: Stage) -> None:
    """End the stage's processes and remove its folders."""
    # There is nothing to be saved. What one of them starts meanwhile is found the next time.
    for _ in range(_ROUNDS):
        pids = [process.pid for process in processes.working_below(stage.ray_dir)]
        if not pids:
            break
        processes.end(stage.ray_dir, pids, signal.SIGKILL, _KILL_SECONDS)
    shutil.rmtree(stage.state, ignore_errors=True)
    shutil.rmtree(stage.run, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove what benches left that were killed."""
    for run in _SHORT.glob(f"{_PREFIX}*"):
        try:
            with (run / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(Stage(run, _ON_DISK / run.name))
        except OSError:
            continue  # it is held, or just being made


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as listener:
            try:
                listener.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == number:
            return found
    raise StageError("No port is free.")


def environment_of(stage: Stage, *, dashboard: bool, partitions: int) -> dict[str, str]:
    """The environment of ``nova-manage``: nothing of the caller's own cluster reaches ours."""
    listen, ray, shown = free_ports(3)
    outer = {name: value for name, value in os.environ.items() if not name.startswith("NOVARAY_")}
    return {
        **outer,
        "NOVARAY_CONFIG": str(stage.run / "no-file"),
        "NOVARAY_STATE_DIR": str(stage.state),
        "NOVARAY_RUN_DIR": str(stage.run / "run"),
        "NOVARAY_CONFIG_DIR": str(stage.run / "config"),
        "NOVARAY_LISTEN": f"127.0.0.1:{listen}",
        "NOVARAY_RAY_PORT": str(ray),
        "NOVARAY_DASHBOARD": str(dashboard).lower(),
        "NOVARAY_DASHBOARD_PORT": str(shown),
        "NOVARAY_PARTITIONS": str(partitions),
        "NOVARAY_LIBVIRT_URI": "test://",
        # Room for 1,100 instances of 1 vCPU and 64 MiB, and to spare.
        "NOVARAY_VCPUS": "1024",
        "NOVARAY_MEMORY_MB": "262144",
        "NOVARAY_DISK_GB": "8192",
    }


def manage(environment: dict[str, str], *arguments: str) -> None:
    """Run ``nova-manage``.

    Raises:
        StageError: It failed.
    """
    # A session of its own: an interrupt is for us. Half of what it starts could not be found to be
    # ended, so it is waited for.
    with subprocess.Popen(
        [sys.executable, "-c", _MANAGE, *arguments],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as command:
        try:
            said, _ = command.communicate(timeout=_MANAGE_SECONDS)
        except subprocess.TimeoutExpired:
            command.kill()
            raise StageError(f"nova-manage {arguments[0]} took too long.") from None
        except BaseException:
            with _uninterrupted(), suppress(subprocess.TimeoutExpired):
                command.wait(_MANAGE_SECONDS)
            command.kill()
            raise
    if command.returncode:
        raise StageError(f"nova-manage {' '.join(arguments)} failed:\n{said.strip()}")


def _image(run: Path) -> str:
    path = run / "image.raw"
    path.write_bytes(b"novaray bench\n".ljust(_IMAGE_BYTES, b"\0"))
    return str(path)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave half a cluster."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
