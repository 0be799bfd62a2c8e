"""The daemon's parent: starts it again, ends it, and stays for the orphans it adopted."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import supervisor

DAEMON = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
if sys.argv[2] == "fails":
    sys.exit(1)
if os.fork() == 0:
    if os.fork():
        os._exit(0)
    os.setsid()
    with open(sys.argv[1] + ".orphan", "w") as file:
        file.write(str(os.getpid()))
    while not os.path.exists(sys.argv[1] + ".end"):
        time.sleep(0.01)
    os._exit(0)
time.sleep(60)
"""


def _start(folder: Path, kind: str) -> "subprocess.Popen[bytes]":
    daemon = [sys.executable, "-I", "-S", "-c", DAEMON, str(folder / "pids"), kind]
    parent = [sys.executable, "-I", "-S", supervisor.__file__, "daemon", str(folder / "log")]
    return subprocess.Popen([*parent, *daemon])


def _pids(folder: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 50
    path = folder / "pids"
    while time.monotonic() < deadline:
        lines = path.read_text().split() if path.exists() else []
        if len(lines) >= count:
            return [int(line) for line in lines]
        time.sleep(0.02)
    raise AssertionError(f"the daemon was not started {count} times")


@pytest.mark.slow
def test_a_daemon_that_ends_is_started_again(tmp_path: Path) -> None:
    with _start(tmp_path, "fails") as parent:
        assert len(set(_pids(tmp_path, 2))) >= 2
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(50) == 0


@pytest.mark.slow
def test_it_stays_for_its_orphans(tmp_path: Path) -> None:
    with _start(tmp_path, "runs") as parent:
        [daemon] = _pids(tmp_path, 1)
        orphan = tmp_path / "pids.orphan"
        while not (orphan.exists() and orphan.read_text()):
            time.sleep(0.02)
        # Its own parent ends just before it is adopted. That it is not, is what the limit is for.
        while _parent_of(orphan.read_text()) != parent.pid:
            time.sleep(0.02)
        parent.send_signal(signal.SIGTERM)
        while Path(f"/proc/{daemon}").exists():
            time.sleep(0.02)
        assert parent.poll() is None, "it left its orphan"
        (tmp_path / "pids.end").touch()
        assert parent.wait(50) == 0
    assert not Path(f"/proc/{orphan.read_text()}").exists(), "it was not waited for"


def _parent_of(pid: str) -> int:
    status = Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])
