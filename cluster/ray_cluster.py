"""This node's part of the Ray cluster: start it, find it, join it, end it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cluster import processes
from cluster.config import Settings
from cluster.processes import Process
from cluster.ray_environment import ray_environment
from cluster.ray_spec import NodeSpec
from cluster.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ray takes no less. Nothing of ours is large: image bytes pass in pieces.
_OBJECT_STORE_BYTES: Final = 80_000_000
#: How many processes Ray starts at the same time; nothing else is counted in processors.
_STARTS_AT_ONCE: Final = 4
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 5.0
_KILL_SECONDS: Final = 20.0
#: Linux takes no longer paths for sockets; Ray adds its session's name and the socket's.
_SOCKET_PATH: Final = 107
_SESSION_PATH: Final = len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")


def ray_processes(settings: Settings) -> tuple[Process, ...]:
    """This node's Ray processes, actors included."""
    return processes.working_below(settings.ray_dir)


def runs(found: "Sequence[Process]", *, head: bool) -> bool:
    """Whether these are enough for a node."""
    return any(one.is_raylet for one in found) and (not head or any(one.is_gcs for one in found))


def node_spec(settings: Settings, labels: dict[str, str], head: str = "") -> NodeSpec:
    """A head, or a node that joins one."""
    return NodeSpec(
        address=settings.node_address,
        temp_dir=str(settings.ray_dir),
        labels=labels,
        num_cpus=_STARTS_AT_ONCE,
        object_store_bytes=_OBJECT_STORE_BYTES,
        head=head,
        port=0 if head else settings.ray_port,
        dashboard_port=settings.dashboard_port if settings.dashboard and not head else 0,
    )


def start_node(settings: Settings, spec: NodeSpec) -> None:
    """Start the node's Ray processes.

    Raises:
        Trouble: Ray would not.
    """
    _check_paths(settings)
    settings.ray_dir.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ray_environment(settings)}
    environment.pop("RAY_AUTH_TOKEN", None)
    # A raylet's address is told by its specification alone.
    environment.pop("RAY_ADDRESS")
    # A file and not a pipe: what Ray leaves behind might hold a pipe open for ever.
    with tempfile.TemporaryFile(dir=settings.run_dir) as said:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "cluster.ray_node", spec.to_json()],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # Not ended by an interrupt of whoever starts it.
                start_new_session=True,
                timeout=_START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Trouble(
                f"Ray did not start within {_START_SECONDS:.0f} s.",
                f"Its logs are in {settings.ray_dir}/session_latest/logs.",
            ) from None
        said.seek(0)
        output = said.read().decode(errors="replace")
    if done.returncode:
        last = output.strip().splitlines()[-1:] or ["it said nothing"]
        raise Trouble(
            f"Ray did not start: {last[0]}",
            f"Its logs are in {settings.ray_dir}/session_latest/logs.",
        )


def end_node(settings: Settings) -> int:
    """End this node's Ray processes; how many there were.

    Raises:
        Trouble: Some did not end.
    """
    found = ray_processes(settings)
    raylets = [one.pid for one in found if one.is_raylet]
    # The raylet first: it ends its actors and says farewell to the head.
    processes.end(settings.ray_dir, raylets, signal.SIGTERM, _STOP_SECONDS)
    for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        left = [one.pid for one in ray_processes(settings)]
        if not left or processes.end(settings.ray_dir, left, number, seconds):
            break
    if stubborn := ray_processes(settings):
        numbers = ", ".join(str(one.pid) for one in stubborn)
        raise Trouble(f"These Ray processes did not end: {numbers}.", "Run this command again.")
    return len(found)


def remove_old_sessions(settings: Settings) -> None:
    """Remove what earlier starts left, but the last one's logs."""
    sessions = sorted(path for path in settings.ray_dir.glob("session_*") if not path.is_symlink())
    for session in sessions[:-1]:
        shutil.rmtree(session, ignore_errors=True)


def logs_dir(settings: Settings) -> Path:
    """Where actors and Ray log."""
    return settings.ray_dir / "session_latest" / "logs"


def _check_paths(settings: Settings) -> None:
    if len(str(settings.ray_dir)) + _SESSION_PATH > _SOCKET_PATH:
        most = _SOCKET_PATH - _SESSION_PATH - len("/ray")
        raise Trouble(
            f"The path of run_dir is too long for Ray's sockets: {settings.run_dir}.",
            f"Set one of at most {most} characters (NOVARAY_RUN_DIR).",
        )
