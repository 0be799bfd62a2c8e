"""Test hosts as tests use them."""
# ruff: noqa: PT028 - `test_hosts` is no test

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar, overload

from tools.testhosts import control, lifecycle, processes
from tools.testhosts.config import LIBVIRT_SOCKET
from tools.testhosts.errors import HostsError
from tools.testhosts.plan import Host, HostSet
from tools.testhosts.registry import Registry

#: Options of nsenter, with the files in /proc/PID/ns.
_NAMESPACES: Final = {"net": "net", "uts": "uts", "mount": "mnt"}

_F = TypeVar("_F", bound=Callable[..., object])


def entering(record: HostSet, member: Host, folder: Path | None = None) -> list[str]:
    """Return the command that enters a member's namespaces; the command to run there follows it.

    It stays in the folder if the host has it, and begins in / else. Nothing stands between the
    caller and the command, so signals, descriptors and the exit code are the command's own. Only a
    private process namespace needs a parent outside; then the command ends with that.

    Raises:
        HostsError: when the holder is gone.
    """
    holder = member.holder
    if holder is None or record.boot_id != processes.boot_id() or not processes.is_alive(holder):
        raise HostsError(
            f"The holder of {member.name} is gone. Remove the set: "
            f"python -m tools.testhosts down --name {record.name}"
        )
    proc = f"/proc/{holder.pid}"
    folder = folder or Path.cwd()
    inside = folder if Path(f"{proc}/root{folder}").is_dir() else Path("/")
    command = ["nsenter", f"--wdns={inside}"]
    command += [f"--{option}={proc}/ns/{file}" for option, file in _NAMESPACES.items()]
    if not record.private_pids:
        return [*command, "--"]
    return [*command, f"--pid={proc}/ns/pid", "--", "setpriv", "--pdeathsig", "TERM", "--"]


class TestHost:
    """One host of a set, or its fabric."""

    __test__ = False  # pytest: not a class of tests

    def __init__(self, record: HostSet, member: Host) -> None:
        self._record = record
        self._member = member

    @property
    def name(self) -> str:
        """Its host name."""
        return self._member.name

    @property
    def address(self) -> str:
        """Its address on the fabric. It can be reached from hosts of the set only."""
        return self._member.address

    @property
    def uuid(self) -> str:
        """The host UUID that its libvirtd has."""
        return self._member.uuid

    @property
    def holder_pid(self) -> int:
        """The process that keeps its namespaces."""
        assert self._member.holder
        return self._member.holder.pid

    @property
    def folder(self) -> Path:
        """Where its private files are, seen from outside, below their paths inside."""
        return self._record.member_folder(self._member)

    @property
    def libvirt_socket(self) -> Path:
        """The socket of its libvirtd, seen from outside."""
        return Path(f"{self.folder}{LIBVIRT_SOCKET}")

    @property
    def libvirt_uri(self) -> str:
        """What to open with libvirt outside; inside the host it is `qemu:///system`."""
        return f"qemu+unix:///system?socket={self.libvirt_socket}"

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        check: bool = False,
        stdin: str = "",
        timeout: float | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host and wait for it, not for daemons it leaves there.

        `cwd` is a folder inside the host. `env` replaces the environment, as in `subprocess.run`.
        """
        # A daemon may keep the command's output open. A pipe would wait for it; a file does not.
        with tempfile.TemporaryFile("w+") as given, _output() as out, _output() as err:
            given.write(stdin)
            given.seek(0)
            done = subprocess.run(
                self._command(command, cwd),
                check=False, stdin=given, stdout=out, stderr=err, timeout=timeout, env=env,
            )  # fmt: skip
            result = subprocess.CompletedProcess(
                [os.fspath(word) for word in command], done.returncode, _text(out), _text(err)
            )
        if check:
            result.check_returncode()
        return result

    def popen(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path | None = None,
        **options: Any,  # noqa: ANN401 - whatever Popen takes
    ) -> "subprocess.Popen[Any]":
        """Start a command in the host; options as for `subprocess.Popen`."""
        return subprocess.Popen(self._command(command, cwd), **options)

    def stop_libvirtd(self, *, kill: bool = False) -> None:
        """End libvirtd (`kill`: by SIGKILL). Guests run on; it stays away until it is started."""
        self._ask(control.KILL_LIBVIRTD if kill else control.STOP_LIBVIRTD)

    def start_libvirtd(self) -> None:
        """Start libvirtd if it does not run, and wait until it takes connections."""
        self._ask(control.START_LIBVIRTD)

    @property
    def libvirtd_runs(self) -> bool:
        """Whether libvirtd runs."""
        return self._ask(control.STATUS).libvirtd is not None

    def kill_processes(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal processes of that name (a shell pattern), wait for their end, count them."""
        scope = lifecycle.scope_of(self._record, self._member)
        return processes.end_named(scope, name, number)

    def _ask(self, order: str) -> control.Answer:
        if self._member == self._record.fabric:
            raise HostsError(f"{self.name} is the fabric: it has no libvirtd.")
        return control.ask(self._record.control_socket(self._member), order)

    def _command(
        self, command: Sequence[str | os.PathLike[str]], cwd: Path | None
    ) -> list[str | os.PathLike[str]]:
        return [*entering(self._record, self._member, cwd), *command]


class TestHosts(Sequence[TestHost]):
    """A set of hosts: `hosts[0]`, `len(hosts)`, `for host in hosts`."""

    __test__ = False

    def __init__(self, record: HostSet, registry: Registry) -> None:
        self._record = record
        self._registry = registry
        self._hosts = tuple(TestHost(record, host) for host in record.hosts)
        #: The namespace with the bridge: the world outside the hosts.
        self.fabric = TestHost(record, record.fabric)

    @property
    def name(self) -> str:
        """The set's name, which its host names begin with."""
        return self._record.name

    @property
    def subnet(self) -> IPv4Network:
        """The subnet of the fabric."""
        return IPv4Network(self._record.subnet)

    @overload
    def __getitem__(self, index: int) -> TestHost: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TestHost]: ...
    def __getitem__(self, index: int | slice) -> TestHost | Sequence[TestHost]:
        return self._hosts[index]

    def __len__(self) -> int:
        return len(self._hosts)

    def down(self) -> None:
        """Remove the set without a trace; nothing happens when it is gone."""
        if self._registry.get(self.name):
            lifecycle.down(self.name, self._registry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()


def _not_a_test(function: _F) -> _F:
    function.__dict__["__test__"] = False
    return function


@_not_a_test
@contextlib.contextmanager
def test_hosts(
    count: int = 2,
    *,
    name: str | None = None,
    subnet: str | None = None,
    state: Path | None = None,
    libvirtd: bool = True,
    private_pids: bool = False,
) -> Iterator[TestHosts]:
    """Make hosts for the time of a `with` block; on its end nothing is left of them.

    A set whose process was killed before that is swept when the next set is made.

    Args:
        count: how many hosts.
        name: what their names begin with; by default the first free one of t1, t2, …
        subnet: their IPv4 subnet; by default a free one of 10.9.0.0/16.
        state: the folder to make the set's folder in.
        libvirtd: whether to start it.
        private_pids: give each host process numbers of its own, so that what looks for processes
            inside a host, as `ray stop` does, finds no others. Killing the holder kills the host.
    """
    registry = Registry()
    wish = lifecycle.Wish(
        count, name, subnet, state, libvirtd, private_pids, owner=processes.myself()
    )
    with TestHosts(lifecycle.up(wish, registry), registry) as hosts:
        yield hosts


def _output() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
