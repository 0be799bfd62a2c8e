"""Pid files and process search: never somebody else's process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.pidfile import PidFile
from cluster.processes import Process, end, working_below

SLEEP = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_pid_file_is_read_back(tmp_path: Path) -> None:
    me = PidFile.of(os.getpid())
    me.write(tmp_path / "me.pid")
    assert PidFile.read(tmp_path / "me.pid") == me
    assert me.alive()


@pytest.mark.parametrize("text", ["", "123", "{}", '{"pid": "x"}', "\xff"])
def test_a_broken_pid_file_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.pid"
    path.write_text(text, encoding="latin-1")
    assert PidFile.read(path) is None
    assert PidFile.read(tmp_path / "none.pid") is None


def test_a_number_used_again_is_another_process(child: "subprocess.Popen[bytes]") -> None:
    stale = replace(PidFile.of(child.pid), started=1)
    assert not stale.alive()
    assert stale.end(signal.SIGKILL, 1.0)
    assert child.poll() is None, "another process was signalled"


def test_after_a_boot_no_number_counts(child: "subprocess.Popen[bytes]") -> None:
    earlier = replace(PidFile.of(child.pid), boot="another")
    assert earlier.end(signal.SIGKILL, 1.0)
    assert child.poll() is None


def test_ours_is_ended(child: "subprocess.Popen[bytes]") -> None:
    assert PidFile.of(child.pid).end(signal.SIGTERM, 10.0)
    assert child.wait() == -signal.SIGTERM


def _below(folder: Path) -> "subprocess.Popen[bytes]":
    session = folder / "session_1"
    session.mkdir(parents=True)
    with (session / "log").open("wb") as log:
        return subprocess.Popen(SLEEP, stdin=subprocess.PIPE, stdout=log)


def test_found_by_the_files_it_has_open(tmp_path: Path, child: "subprocess.Popen[bytes]") -> None:
    with _below(tmp_path / "ray") as ours:
        assert [found.pid for found in working_below(tmp_path / "ray")] == [ours.pid]
        assert working_below(tmp_path / "ra") == ()
        both = [ours.pid, child.pid]
        assert end(tmp_path / "ray", both, signal.SIGKILL, 10.0)
    assert child.poll() is None, "a process that works elsewhere was signalled"
    assert working_below(tmp_path / "ray") == ()


@pytest.mark.parametrize(
    ("command", "label"),
    [
        ("ray::ConductorActor.load   ", "ray::ConductorActor.load"),
        ("ray-dashboard-JobHead-0 (/x/python -B)", "ray-dashboard-JobHead-0"),
        ("/x/python /y/dashboard/dashboard.py --host=1", "dashboard.py"),
        ("/y/raylet/raylet --raylet_socket_name=/z", "raylet"),
        (
            "/x/python -B -c from multiprocessing.forkserver import main",
            "from multiprocessing.fork",
        ),
    ],
)
def test_a_process_has_a_short_name(command: str, label: str) -> None:
    assert Process(1, command).label.startswith(label)


def test_rays_own_processes_are_told_apart() -> None:
    assert Process(1, "/y/ray/core/src/ray/gcs/gcs_server --log_dir=/x").is_gcs
    assert Process(1, "/y/ray/core/src/ray/raylet/raylet --x=/y").is_raylet
    assert not Process(1, "/y/python /z/raylet/raylet.py").is_raylet
