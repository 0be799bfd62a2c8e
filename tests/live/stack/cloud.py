"""A cluster of two test hosts, made as an operator makes it, and what tests do to it."""

import os
import shlex
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from tests.live.stack import sight
from tests.live.stack.client import Boot, Client
from tools.testhosts import TestHost, TestHosts

if TYPE_CHECKING:
    import subprocess

ROOT: Final = Path(__file__).parents[3]
UEC: Final = "cirros-0.3.4-x86_64-uec"
DISK: Final = "cirros-0.3.4-x86_64-disk"
#: Boots nothing, and so costs nothing: for tests of what is around a guest.
BLANK: Final = "blank"
EMULATOR: Final = "/usr/bin/qemu-system-x86_64"
INSTANCES: Final = f"{sight.STATE}/instances"
CACHE: Final = f"{sight.STATE}/cache"
#: What tests mount something over.
COVERED: Final = (EMULATOR, INSTANCES, CACHE)
GATES: Final = f"{sight.RUN}/gates"
_USER: Final = "/run/novaray-user"
_CONFIG: Final = "/run/novaray.toml"
_SOCKET: Final = "/run/gateway.sock"
_SETTINGS: Final = """\
state_dir = "{state}"
config_dir = "{user}"
node_address = "{address}"
dashboard = false
virt_type = "qemu"
vcpus = 8
memory_mb = 8192
disk_gb = 100
heartbeat_seconds = 1
down_after_seconds = 10
reclaim_instance_seconds = {reclaim}
gates = "{gates}"
"""
#: Who is deleted, and not by force, can be restored for so long.
RECLAIM_SECONDS: Final = 30
_COMMAND_SECONDS: Final = 300
_POLL_SECONDS: Final = 0.05


class Guest(NamedTuple):
    """A guest that runs and has asked who logs in."""

    name: str
    host: TestHost
    address: str

    @property
    def id(self) -> str:
        """Its UUID, which is its domain's name."""
        return self.name.rpartition("/")[2]

    @property
    def pid(self) -> int:
        """Its process."""
        return sight.qemus(self.host)[self.id]


class Cloud:
    """The cluster. The first host keeps its record."""

    def __init__(self, hosts: TestHosts, resources: ExitStack) -> None:
        self.hosts = hosts
        self.head, self.other = hosts
        self._resources = resources
        self._images: dict[str, str] = {}
        self._guests: list[Guest] = []
        self._client: Client | None = None
        for host in hosts:
            settings = _SETTINGS.format(
                state=sight.STATE,
                user=_USER,
                address=host.address,
                reclaim=RECLAIM_SECONDS,
                gates=GATES,
            )
            Path(f"{host.folder}{_CONFIG}").write_text(settings)
            Path(f"{host.folder}{GATES}").mkdir(parents=True)

    # --- the operator's commands --------------------------------------------------------------

    def manage(self, host: TestHost, *arguments: str) -> str:
        """``nova-manage`` on a host; what it said."""
        return _said(host, str(Path(sys.executable).with_name("nova-manage")), *arguments)

    def up(self) -> str:
        """Start what does not run on the head."""
        return self.manage(self.head, "up")

    def join(self) -> str:
        """Make the other host one of the cluster."""
        token = "/tmp/token"
        secret = Path(f"{self.head.folder}{_USER}/ray-token").read_text()
        Path(f"{self.other.folder}{token}").write_text(secret)
        head = f"{self.head.address}:6379"
        return self.manage(self.other, "host", "join", "--address", head, "--token-file", token)

    def register(self, *what: str) -> None:
        """``nova-manage image register`` on the head."""
        self.manage(self.head, "image", "register", *what)

    def stop_by_handle(self, guest: Guest) -> str:
        """Stop a guest from a Python program on the head; what became of the operation."""
        return self.on_head(sys.executable, "-m", "tests.live.stack.by_handle", guest.id)

    def on_head(self, *program: str) -> str:
        """Run a program on the head with what Ray's own tools need; what it said."""
        manage = Path(sys.executable).with_name("nova-manage")
        return _said(self.head, "bash", "-c", f'eval "$({manage} env)"; exec {shlex.join(program)}')

    # --- the user's side ----------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """The administrator's, by the credentials that ``up`` wrote."""
        if self._client is None:
            relay = Path(__file__).with_name("relay.py")
            process = self.head.popen(
                [sys.executable, "-I", str(relay), _SOCKET, "127.0.0.1", "8774"]
            )
            self._resources.callback(_end, process)
            path = Path(f"{self.head.folder}{_SOCKET}")
            eventually(path.exists, "the relay's socket")
            folder = Path(f"{self.head.folder}{_USER}")
            found = tomllib.loads((folder / "credentials.toml").read_text())
            self._client = self.client_of(found["token"], found["project"])
            self._resources.callback(self._client.close)
        return self._client

    def client_of(self, token: str, project: str) -> Client:
        """Somebody else's. Who asks for it closes it."""
        ca = Path(f"{self.head.folder}{_USER}/ca.pem").read_bytes()
        return Client(Path(f"{self.head.folder}{_SOCKET}"), ca, token, project)

    def image(self, name: str) -> str:
        """An image's id. The gateway's list of images may be a moment old."""

        def listed() -> bool:
            if name not in self._images:
                self._images = self.client.images()
            return name in self._images

        eventually(listed, f"image {name}")
        return self._images[name]

    def boot(self, image: str, host: TestHost | None = None, name: str = "vm") -> Boot:
        """Ask for an instance."""
        return self.client.boot(name, self.image(image), host=host.name if host else "")

    def booted(self, image: str, host: TestHost | None = None, name: str = "vm") -> Guest:
        """An instance that runs. Nobody waited until it asks who logs in."""
        boot = self.boot(image, host, name)
        self.client.succeeded(boot.operation)
        return self.guest(boot.instance)

    def guest(self, name: str) -> Guest:
        """An instance that runs."""
        instance = self.client.get(name)
        (host,) = (host for host in self.hosts if host.name == instance.host)
        (address,) = instance.addresses
        return Guest(name, host, address.address)

    def guests(self) -> list[Guest]:
        """Four real guests that have asked who logs in, on hosts of the scheduler's choice.

        They are shared: who ends one says so with ``forget``.
        """
        boots = [self.boot(UEC) for _ in range(4 - len(self._guests))]
        if boots:
            self.client.succeeded(*(boot.operation for boot in boots))
            made = [self.guest(boot.instance) for boot in boots]
            self.client.log_in_appears([guest.name for guest in made])
            self._guests += made
        return list(self._guests)

    def guest_on(self, host: TestHost) -> Guest:
        """One of them, on this host."""
        for guest in self.guests():
            if guest.host is host:
                return guest
        guest = self.booted(UEC, host)
        self.client.log_in_appears([guest.name])
        self._guests.append(guest)
        return guest

    def forget(self, guest: Guest) -> None:
        """This one is no longer what it was."""
        self._guests.remove(guest)

    def mend(self, *, keep: bool = True) -> None:
        """Undo what a test may have left: closed gates, stopped daemons, instances of its own.

        ``keep`` spares the shared guests.
        """
        for host in self.hosts:
            open_gates(host)
            host.start_libvirtd()
            host.run(["umount", *COVERED])
        if not self._works():
            self.up()
            self.join()
        kept = {guest.name for guest in self._guests} if keep else set()
        client = self.client
        there = {**client.instances(), **client.instances("state = SOFT_DELETED")}
        found = [name for name in there if name not in kept]
        client.succeeded(*[client.delete(name).name for name in found])
        eventually(self._works, "both hosts are up")

    def _works(self) -> bool:
        try:
            return all(map(self.is_up, self.hosts))
        except grpc.RpcError:
            return False

    # --- hosts --------------------------------------------------------------------------------

    def is_up(self, host: TestHost) -> bool:
        """Whether the host can be given work."""
        found = self.client.hosts()[host.name]
        return found.state == found.STATE_UP and not found.trouble


def _said(host: TestHost, *command: str) -> str:
    environment = {**os.environ, "NOVARAY_CONFIG": _CONFIG}
    done = host.run(command, cwd=ROOT, timeout=_COMMAND_SECONDS, env=environment)
    said = f"{done.stdout}{done.stderr}"
    assert done.returncode == 0, said
    return said


def close_gate(host: TestHost, point: str) -> None:
    """Hold who comes to this point."""
    Path(f"{host.folder}{GATES}/{point}").touch()


def reached(host: TestHost, point: str, times: int = 1) -> None:
    """Wait until somebody is held there."""
    path = Path(f"{host.folder}{GATES}/{point}.reached")
    eventually(path.exists, f"{point} reached")


def open_gates(host: TestHost) -> None:
    """Let everybody pass."""
    for file in Path(f"{host.folder}{GATES}").iterdir():
        file.unlink(missing_ok=True)


def eventually(true: Callable[[], bool], what: str, seconds: float = 300) -> float:
    """Wait until it is so; how long that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - begun


@contextmanager
def cloud_of(hosts: TestHosts, manifest: Path) -> Iterator[Cloud]:
    """A cluster of these two hosts, with the images of the manifest and a blank one."""
    with ExitStack() as resources:
        made = Cloud(hosts, resources)
        made.up()
        made.join()
        made.register("--manifest", str(manifest))
        made.register(blank_file(made.head, BLANK, 1))
        yield made


def blank_file(host: TestHost, name: str, mebibytes: int) -> str:
    """A qcow2 file of nothing, on a host; each size has its own checksum."""
    path = f"/tmp/{name}.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", path, f"{mebibytes}M"]
    host.run(create, check=True)
    return path


def inside(guest: Guest, command: str, namespace: str = "") -> str:
    """Run a command in a guest, by ssh from its host's DHCP namespace.

    Which one must be said where its host has several.
    """
    answer = Path(f"{guest.host.folder}/tmp/password")
    answer.write_text("#!/bin/sh\necho 'cubswin:)'\n")
    answer.chmod(0o700)
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    ssh = ["ssh", *options, "-o", "ConnectTimeout=30", f"cirros@{guest.address}", command]
    done = guest.host.run(
        ["ip", "netns", "exec", namespace or sight.namespace(guest.host), *ssh],
        env={**os.environ, "SSH_ASKPASS": "/tmp/password", "SSH_ASKPASS_REQUIRE": "force"},
        timeout=120,
    )
    return done.stdout + done.stderr


def heard(guest: Guest, command: str, words: str, what: str) -> None:
    """Wait until a command in a guest says these words; what it said last, where it never does."""
    said = ""

    def true() -> bool:
        nonlocal said
        said = inside(guest, command)
        return words in said

    try:
        eventually(true, what)
    except AssertionError as error:
        raise AssertionError(f"{error}; {guest.address} says: {said}") from None


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(60)


def names(guests: Sequence[Guest]) -> list[str]:
    """Their resource names."""
    return [guest.name for guest in guests]
