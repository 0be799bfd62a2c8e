"""The command as a process: exit codes, pipes, terminals, completion, speed."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.cli.cloud import FIRST_ID, UEC, Cloud

COMMAND = (sys.executable, "-c", "from gateway.cli.main import main; main()")
BOOT = ("boot", "--image", UEC, "--flavor", "m1.tiny", "--poll", "web")


def nova(
    *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def on_a_terminal(*arguments: str, environ: dict[str, str]) -> tuple[int, str]:
    """Exit code and all that a terminal got."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, **environ},
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:
        # How Linux tells that the other end of a terminal was closed.
        pass
    finally:
        os.close(leader)
    return process.wait(50), shown.decode()


@pytest.mark.slow
@pytest.mark.usefixtures("credentials")
def test_exit_codes(cloud: Cloud) -> None:
    assert nova("list").returncode == 0
    assert nova("show", "none").returncode == 1
    assert nova("show").returncode == 2
    assert nova("--endpoint", "127.0.0.1:1", "list").returncode == 3


@pytest.mark.slow
@pytest.mark.usefixtures("credentials", "ctrl_c")
def test_ctrl_c_leaves_the_operation_alone(cloud: Cloud) -> None:
    cloud.stuck = True
    process = subprocess.Popen([*COMMAND, *BOOT], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"Building web (0%)\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 130
    last = err.decode().splitlines()[-1]
    assert last.startswith('The operation goes on. Follow it with "nova operation wait ')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("boot", "web"), "Missing option '--flavor'"),
        (("nonsense",), "No such command 'nonsense'"),
        (("list", "--limit", "0"), "--limit"),
        (("list", "--frmat", "json"), "--frmat"),
        (("boot", "--image", "i", "--flavor", "f", "--meta", "x", "web"), "'x' is not KEY=VALUE"),
        (("boot", "--image", "i", "--flavor", "f", "--request-id", "x", "web"), "not a UUID"),
    ],
)
def test_usage(arguments: tuple[str, ...], said: str) -> None:
    ran = nova(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("ERROR (USAGE): ")
    assert said in ran.stderr
    assert "--help" in ran.stderr
    in_json = nova("--format", "json", *arguments)
    assert in_json.returncode == 2
    assert in_json.stderr.startswith('{"error": {"message": ')


def test_nothing_to_do_shows_the_help() -> None:
    ran = nova()
    assert ran.returncode == 2
    assert "Usage: nova" in ran.stdout + ran.stderr


@pytest.mark.usefixtures("credentials")
def test_a_reader_that_goes_away(cloud: Cloud) -> None:
    cloud.console = b"x\n" * (1 << 20)
    command = " ".join(f"'{word}'" for word in (*COMMAND, "console-log", FIRST_ID))
    script = f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert ran.stdout.splitlines() == ["x", "141"]
    assert not ran.stderr


@pytest.mark.usefixtures("credentials")
def test_pipes_get_no_garbage(cloud: Cloud) -> None:
    ran = nova(*BOOT, environ={"TERM": "xterm-256color"})
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "\r" not in ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("credentials")
def test_a_bar_on_a_terminal(cloud: Cloud) -> None:
    code, shown = on_a_terminal(*BOOT, environ={"TERM": "xterm-256color", "COLUMNS": "100"})
    assert code == 0
    assert "Building web: disk" in shown
    assert "75%" in shown
    # What stays is the sentence, at the beginning of its line, and the cursor is there again.
    assert shown.rstrip().endswith("Server web is ACTIVE (private=10.0.0.9).")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


@pytest.mark.usefixtures("credentials")
def test_colour_on_a_terminal_that_wants_it(cloud: Cloud) -> None:
    term = {"TERM": "xterm-256color"}
    assert "\x1b[1;31mERROR\x1b[0m (" in on_a_terminal("show", "none", environ=term)[1]
    plain = on_a_terminal("show", "none", environ={**term, "NO_COLOR": "1"})[1]
    assert plain.startswith("ERROR (")
    assert "\x1b" not in plain


@pytest.mark.usefixtures("credentials")
def test_a_guest_cannot_steer_the_terminal(cloud: Cloud) -> None:
    cloud.console = b"\x1b]0;evil\x07\x1b[2Jlogin: "
    code, shown = on_a_terminal("console-log", FIRST_ID, environ={"TERM": "xterm"})
    assert (code, shown) == (0, "login: \r\n")


def test_a_bug_is_no_traceback(tmp_path: Path) -> None:
    broken = (
        "from gateway.cli import main, session\n"
        "def fail(*_): raise ZeroDivisionError('x')\n"
        "session.load_connection = fail\n"
        "main.main()\n"
    )
    for arguments, traceback in ((["list"], False), (["--debug", "list"], True)):
        ran = subprocess.run(
            [sys.executable, "-c", broken, *arguments],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert ran.returncode == 1
        assert "ERROR (CLIENT_BUG): nova itself failed: ZeroDivisionError: x" in ran.stderr
        assert ("Traceback" in ran.stderr) is traceback


@pytest.mark.usefixtures("credentials")
def test_a_name_that_the_character_set_lacks(cloud: Cloud) -> None:
    cloud.first.display_name = "服务器"
    environ = {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"}
    ran = nova("list", environ=environ)
    assert ran.returncode == 0
    assert "\\u670d" in ran.stdout


# --- completion --------------------------------------------------------------------------------


def completed(line: str, **environ: str) -> list[str]:
    """What bash would offer for a command line."""
    ran = nova(
        environ={
            "_NOVA_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            **environ,
        }
    )
    assert not ran.stderr
    return ran.stdout.split()


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nova flavor-l", ["flavor-list"]),
        ("nova show My", ["MyFirstInstance"]),
        ("nova delete web ", ["MyFirstInstance"]),
        ("nova boot --flavor m1.t", ["m1.tiny"]),
        ("nova boot --image cirros-0.3.4-x86_64-uec-k", [f"{UEC}-kernel"]),
        ("nova show x", []),
    ],
)
def test_completion(cloud: Cloud, line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_completion_without_a_server_offers_nothing() -> None:
    assert completed("nova show M", NOVARAY_CREDENTIALS="/nowhere") == []


# --- speed -------------------------------------------------------------------------------------


def test_help_imports_no_grpc() -> None:
    """What start-up time hangs on, told without a clock."""
    code = (
        "import sys\n"
        "from gateway.cli.main import run\n"
        "run(['--help'])\n"
        "print(sorted(m for m in ('grpc', 'google.protobuf', 'asyncio') if m in sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_list_imports_no_rich(credentials: Path, cloud: Cloud) -> None:
    code = (
        "import re, sys\n"
        "from gateway.cli.main import run\n"
        "assert run(['list']) == 0\n"
        "print([m for m in sys.modules if re.match('rich|grpc_status', m)])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "[]"
