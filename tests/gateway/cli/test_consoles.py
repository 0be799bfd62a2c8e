"""console, vnc, screenshot, and the history of a server."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.cli.terminal import plain
from protos.novaray.v1 import consoles_pb2
from tests.gateway.cli.cloud import CONSOLE_TOKEN, FIRST_ID, PICTURE, Cloud, refusal
from tests.gateway.cli.conftest import Nova
from tests.gateway.cli.test_process import COMMAND

SECONDS = 50.0
ATTACHED = "Leave with Ctrl-]."


class Terminal:
    """A person at a terminal."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self._leader, self.follower = pty.openpty()
        self.before = termios.tcgetattr(self.follower)
        self.shown = ""
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=self.follower,
            stdout=self.follower,
            stderr=self.follower,
            env={**os.environ, **(environ or {})},
        )

    def types(self, keys: bytes) -> None:
        os.write(self._leader, keys)

    def sees(self, text: str) -> None:
        """Wait until it stands there."""
        while text not in self.shown:
            ready, _, _ = select.select([self._leader], [], [], SECONDS)
            assert ready, f"{text!r} does not appear: {self.shown!r}"
            self.shown += plain(os.read(self._leader, 65536))

    def ends(self) -> int:
        """The exit code; the terminal is as it was."""
        code = self.process.wait(SECONDS)
        assert termios.tcgetattr(self.follower) == self.before
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)
        os.close(self.follower)


@contextmanager
def at_a_terminal(*arguments: str, **options: Any) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, **options)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.usefixtures("credentials")
def test_a_console_takes_every_key_but_one(cloud: Cloud) -> None:
    with at_a_terminal("console", "MyFirstInstance") as terminal:
        terminal.sees(ATTACHED)
        assert termios.tcgetattr(terminal.follower) != terminal.before
        terminal.types(b"root\r")
        terminal.sees("ROOT")
        terminal.types(b"\x03\x04\x1aq")  # Ctrl-C, Ctrl-D, Ctrl-Z are the guest's
        terminal.sees("Q")
        terminal.types(b"last\x1dnever")
        terminal.sees("Detached.")
        assert terminal.ends() == 0
    (first,) = cloud.requests("AttachConsole")
    assert first == consoles_pb2.AttachConsoleRequest(
        name=cloud.first.name, kind=consoles_pb2.CONSOLE_KIND_SERIAL
    )


@pytest.mark.slow
@pytest.mark.usefixtures("credentials")
def test_a_console_ends_with_its_guest() -> None:
    with at_a_terminal("console", "--force", "MyFirstInstance") as terminal:
        terminal.sees(ATTACHED)
        terminal.types(b"halt\r")
        terminal.sees("ERROR (CONSOLE_ENDED): The guest has stopped.")
        assert terminal.ends() == 1


@pytest.mark.slow
@pytest.mark.usefixtures("credentials")
def test_a_gateway_that_hangs_keeps_nobody() -> None:
    with at_a_terminal("console", "MyFirstInstance") as terminal:
        terminal.sees(ATTACHED)
        terminal.types(b"hang\r")
        terminal.types(b"\x1d")
        terminal.sees("Detached.")
        assert terminal.ends() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("credentials")
def test_a_console_that_is_killed_leaves_the_terminal_as_it_was(number: signal.Signals) -> None:
    with at_a_terminal("console", "MyFirstInstance") as terminal:
        terminal.sees(ATTACHED)
        terminal.types(b"x")
        terminal.sees("X")
        terminal.process.send_signal(number)
        assert terminal.ends() == 128 + number


@pytest.mark.slow
def test_a_token_needs_no_account(cloud: Cloud, credentials: Path) -> None:
    lines = credentials.read_text().splitlines()
    credentials.write_text("\n".join(x for x in lines if x.startswith(("endpoint", "ca"))))
    with at_a_terminal("console", "--token", CONSOLE_TOKEN) as terminal:
        terminal.sees(ATTACHED)
        terminal.types(b"hello\x1d")
        assert terminal.ends() == 0
    assert cloud.requests("AttachConsole")[0].token == CONSOLE_TOKEN
    with at_a_terminal("console", "--token", "wrong") as terminal:
        terminal.sees("ERROR (TOKEN_UNKNOWN)")
        assert terminal.ends() != 0


def test_a_console_needs_a_terminal(nova: Nova) -> None:
    ran = nova("console", "MyFirstInstance")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("ERROR (NO_TERMINAL): ")
    assert "console-log --follow" in ran.err


@pytest.mark.parametrize("command", ["vnc"])
def test_either_a_server_or_a_token(nova: Nova, command: str) -> None:
    for arguments in ((), ("--token", "x", "web")):
        assert "either a server or --token" in nova(command, *arguments).err


@pytest.mark.slow
@pytest.mark.usefixtures("credentials", "ctrl_c")
def test_a_viewer_gets_to_the_screen(cloud: Cloud) -> None:
    process = subprocess.Popen(
        [*COMMAND, "vnc", "MyFirstInstance"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found is not None, said
        for name in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", int(found[1])), SECONDS) as viewer:
                viewer.sendall(name)
                assert viewer.recv(100) == name.upper()
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
    finally:
        process.kill()
        process.communicate()
    kinds = {first.kind for first in cloud.requests("AttachConsole")}
    assert kinds == {consoles_pb2.CONSOLE_KIND_VNC}


def test_a_port_that_is_taken(nova: Nova) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = nova("vnc", "--port", str(taken.getsockname()[1]), "MyFirstInstance")
    assert ran.code == 1
    assert ran.err.startswith("ERROR (PORT_TAKEN): ")


def test_a_screenshot(nova: Nova, tmp_path: Path) -> None:
    file = tmp_path / "screen.png"
    said = nova("screenshot", "MyFirstInstance", "--file", str(file)).ok
    assert said == f"Wrote {file}: 8 bytes of image/png.\n"
    assert file.read_bytes() == b"".join(PICTURE)
    told = nova("screenshot", "MyFirstInstance", "--file", str(file), "--format", "json").ok
    assert json.loads(told) == {"file": str(file), "content_type": "image/png", "bytes": 8}


def test_a_screenshot_that_cannot_be_written(nova: Nova, tmp_path: Path) -> None:
    ran = nova("screenshot", "MyFirstInstance", "--file", str(tmp_path))
    assert ran.code == 1
    assert ran.err.startswith("ERROR (FILE_UNWRITABLE): ")


def test_a_failed_action_says_so(cloud: Cloud, nova: Nova) -> None:
    cloud.quick = True
    cloud.outcome = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_VALID_HOST", "No host is left.")
    operation = cloud.add_operation(cloud.first, "CREATE")
    assert "| Error   |" in nova("instance-action-list", "MyFirstInstance").ok
    (told,) = json.loads(nova("instance-action-list", FIRST_ID, "--format", "json").ok)
    assert (told["message"], told["fault"]) == ("Error", "No host is left.")
    shown = nova("instance-action", "MyFirstInstance", told["request_id"]).ok
    assert "No host is left." in shown
    assert operation.name.removeprefix("operations/") in shown


def test_the_actions_of_a_deleted_server(cloud: Cloud, nova: Nova) -> None:
    cloud.quick = True
    cloud.add_operation(cloud.first, "CREATE", 1)
    cloud.add_operation(cloud.first, "DELETE", 2)
    assert not cloud.instances
    listed = json.loads(nova("instance-action-list", FIRST_ID, "--format", "json").ok)
    assert [one["action"] for one in listed] == ["create", "delete"]
    gone = nova("instance-action-list", "MyFirstInstance")
    assert gone.code == 1
    assert nova("instance-action-list", FIRST_ID.replace("8", "9")).code == 1


def test_an_action_nobody_asked_for(nova: Nova) -> None:
    ran = nova("instance-action", "MyFirstInstance", "none")
    assert ran.code == 1
    assert ran.err.startswith("ERROR (ACTION_NOT_FOUND): ")
