"""The walkthrough that the project began with: its command lines, as they are written there.

Left out is `nova network-create`: the cluster is made with its network. Ids and addresses are
those of this cluster. Waited for is what a reader of the walkthrough waits for: a guest that can
shut down by itself has to have come up before.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.live.stack import sight
from tests.live.stack.client import Instance
from tests.live.stack.cloud import UEC, Cloud, Guest, eventually, inside
from tools.testhosts import TestHost

pytestmark = pytest.mark.timeout(900)

NAME: Final = "MyFirstInstance"
BOOT: Final = r"""
nova boot --image cirros-0.3.4-x86_64-uec \
  --flavor m1.tiny MyFirstInstance
"""
INJECT: Final = r"""
nova boot --user-data ./test.file --image cirros-0.3.4-x86_64-uec \
--flavor m1.tiny injectTest
"""
SSH: Final = r"""
sudo ip netns exec \
  {namespace} ssh cirros@{address}
"""
FLAVORS: Final = """\
ID	Name	Memory_MB	Disk	Ephemeral	Swap	VCPUs	RXTX_Factor	Is_Public
1	m1.tiny	512	1	0		1	1.0	True
2	m1.small	2048	20	0		1	1.0	True
3	m1.medium	4096	40	0		2	1.0	True
4	m1.large	8192	80	0		4	1.0	True
42	m1.nano	64	0	0		1	1.0	True
5	m1.xlarge	16384	160	0		8	1.0	True
84	m1.micro	128	0	0		1	1.0	True
"""
REBUILT: Final = """\
OS-DCF:diskConfig accessIPv4 accessIPv6 adminPass created flavor hostId id image metadata name
progress status tenant_id updated user_id
"""
BOOTED: Final = """\
OS-DCF:diskConfig OS-EXT-AZ:availability_zone OS-EXT-STS:power_state OS-EXT-STS:task_state
OS-EXT-STS:vm_state OS-SRV-USG:launched_at OS-SRV-USG:terminated_at accessIPv4 accessIPv6 adminPass
config_drive created flavor hostId id image key_name metadata name
os-extended-volumes:volumes_attached progress security_groups status tenant_id updated user_id
"""
#: A guest takes its time beside others under emulation.
_BOOT_SECONDS: Final = 300
_LINE_SECONDS: Final = 180
_PATH: Final = "/run/walkthrough"
_CREDENTIALS: Final = "/run/novaray-user/credentials.toml"
_TOOLS: Final = {
    # Who runs this is root already.
    "sudo": 'exec "$@"',
    # Guests of other runs had the same addresses and other keys.
    "ssh": 'exec /usr/bin/ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$@"',
}


class Terminal:
    """A user's shell on a host."""

    def __init__(self, host: TestHost) -> None:
        self._host = host
        tools = Path(f"{self._host.folder}{_PATH}")
        tools.mkdir(exist_ok=True)
        for name, line in _TOOLS.items():
            (tools / name).write_text(f"#!/bin/sh\n{line}\n")
            (tools / name).chmod(0o755)
        path = f"{_PATH}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "NOVARAY_CREDENTIALS": _CREDENTIALS}

    def types(self, line: str) -> str:
        """What a command line says; it ends well."""
        done = self._host.run(
            ["bash", "-c", line.strip()],
            cwd=Path("/tmp"),
            env=self._environment,
            timeout=_LINE_SECONDS,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        assert not done.stderr, done.stderr
        return done.stdout

    @contextmanager
    def at(self, line: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A command line that asks for more, on a terminal."""
        process = self._host.popen(
            ["script", "-qec", line.strip(), "/dev/null"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def until(process: "subprocess.Popen[bytes]", text: bytes) -> bytes:
    """What a process says, up to this text."""
    assert process.stdout is not None
    said = b""
    while not said.endswith(text):
        more = process.stdout.read(1)
        assert more, said
        said += more
    return said


def rows(table: str) -> list[list[str]]:
    """The cells of a table, its head first."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def properties(table: str) -> dict[str, str]:
    """The rows of a table of two columns."""
    assert rows(table)[0] == ["Property", "Value"]
    return {row[0]: row[1] for row in rows(table)[1:]}


class Walk:
    """A reader of the walkthrough, and the server that it is about."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.types = Terminal(cloud.head).types
        self.name = ""

    @property
    def guest(self) -> Guest:
        """Where it is now."""
        return self.cloud.guest(self.name)

    def becomes(self, state: "Instance.State.ValueType") -> None:
        """Wait as a reader does who looks with `nova show`."""

        def is_so() -> bool:
            found = self.cloud.client.get(self.name)
            return found.state == state and not found.task_state

        eventually(is_so, f"{Instance.State.Name(state)}", _BOOT_SECONDS)

    def comes_up(self) -> None:
        """Wait until the guest runs, and who logs in is let in."""
        self.becomes(Instance.STATE_ACTIVE)
        eventually(lambda: "at home" in inside(self.guest, "echo at home"), "ssh", _BOOT_SECONDS)

    def booted(self, line: str, name: str) -> dict[str, str]:
        """What a boot shows."""
        shown = properties(self.types(line))
        assert set(BOOTED.split()) <= set(shown)
        assert shown["name"] == name
        assert (shown["status"], shown["flavor"]) == ("BUILD", "m1.tiny (1)")
        assert shown["image"].startswith(f"{UEC} (")
        assert re.fullmatch(r"[a-zA-Z0-9]{12}", shown["adminPass"])
        (self.name,) = (n for n in self.cloud.client.instances() if n.endswith(shown["id"]))
        return shown


def test_every_command_line_of_the_walkthrough(cloud: Cloud) -> None:
    walk = Walk(cloud)
    types = walk.types

    # Listing images and flavors.
    head, *images = rows(types("nova image-list"))
    assert head == ["ID", "Name", "Status", "Server"]
    for part in ("", "-kernel", "-ramdisk"):
        assert [f"{UEC}{part}", "ACTIVE", ""] in [row[1:] for row in images]
    assert rows(types("nova flavor-list")) == [line.split("\t") for line in FLAVORS.splitlines()]

    # Boot instances.
    walk.booted(BOOT, NAME)
    walk.comes_up()
    guest = walk.guest
    head, *servers = rows(types("nova list"))
    assert head == ["ID", "Name", "Status", "Task State", "Power State", "Networks"]
    assert [guest.id, NAME, "ACTIVE", "-", "Running", f"private={guest.address}"] in servers

    # Login to instance.
    terminal = Terminal(guest.host)
    namespace = sight.namespace(guest.host)
    assert namespace in terminal.types("ip netns")
    with terminal.at(SSH.format(namespace=namespace, address=guest.address)) as session:
        assert session.stdin is not None
        until(session, b"password: ")
        session.stdin.write(b"cubswin:)\n")
        session.stdin.flush()
        until(session, b"$ ")
        session.stdin.write(b"hostname; exit\n")
        session.stdin.flush()
        until(session, b"myfirstinstance\r\n")

    # Show details of the instances, view console log of instances.
    shown = properties(types("nova show MyFirstInstance"))
    assert {*BOOTED.split(), "private network"} - {"adminPass"} <= set(shown)
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("ACTIVE", "active")
    assert (shown["OS-EXT-STS:power_state"], shown["private network"]) == ("1", guest.address)
    console = types("nova console-log MyFirstInstance")
    assert "login as 'cirros' user. default password: 'cubswin:)'" in console
    assert "launch-index: 0" in console
    assert "myfirstinstance login:" in console

    # To pause/unpause/suspend/unsuspend, etc.
    types("nova pause MyFirstInstance")
    walk.becomes(Instance.STATE_PAUSED)
    types("nova unpause MyFirstInstance")
    walk.becomes(Instance.STATE_ACTIVE)
    types("nova suspend MyFirstInstance")
    walk.becomes(Instance.STATE_SUSPENDED)
    types("nova resume MyFirstInstance")
    walk.becomes(Instance.STATE_ACTIVE)
    assert "stop server MyFirstInstance has been accepted." in types("nova stop MyFirstInstance")
    walk.becomes(Instance.STATE_SHUTOFF)
    assert "start server MyFirstInstance has been accepted." in types("nova start MyFirstInstance")
    walk.comes_up()

    # Rebuild the server.
    line = "nova rebuild MyFirstInstance cirros-0.3.4-x86_64-uec-kernel"
    shown = properties(types(line))
    assert set(REBUILT.split()) <= set(shown)
    assert (shown["status"], shown["private network"]) == ("REBUILD", guest.address)
    assert shown["image"].startswith(f"{UEC}-kernel (")
    walk.comes_up()

    # Resize the server capacity.
    types("nova resize MyFirstInstance m1.small")
    walk.becomes(Instance.STATE_VERIFY_RESIZE)
    types("nova resize confirm MyFirstInstance")
    walk.comes_up()
    assert re.search(r"MemTotal: +(1[89]|20)\d{5} kB", inside(walk.guest, "cat /proc/meminfo"))

    # Rescue instance.
    assert re.fullmatch(
        r"[a-zA-Z0-9]{12}", properties(types("nova rescue MyFirstInstance"))["adminPass"]
    )
    walk.becomes(Instance.STATE_RESCUE)
    eventually(lambda: "vdb" in inside(walk.guest, "ls /sys/block"), "a rescue", _BOOT_SECONDS)
    # The walkthrough leaves it so. Who reads on needs it back.
    types("nova unrescue MyFirstInstance")
    walk.comes_up()

    # Reboot. The server there has another name.
    types("nova rename MyFirstInstance OSIC-work")
    pid = walk.guest.pid
    types("nova reboot OSIC-work")
    walk.comes_up()
    assert walk.guest.pid != pid
    types("nova delete OSIC-work")

    # Inject.
    types('echo "My user data goes here" > test.file')
    walk.booted(INJECT, "injectTest")
    walk.comes_up()
    found = inside(walk.guest, "wget -q -O - http://169.254.169.254/latest/user-data")
    assert "My user data goes here" in found
