"""The process that keeps a host's namespaces and runs its libvirtd.

`python -m tools.testhosts.holder NAME` reads its spec, forks, so that the holder is nobody's child,
moves into new namespaces and says who it is. It goes on when it reads `run`: if its maker ends
before it has written the holder down, the end of standard input ends the holder too, and the
namespaces with it.

The holder adopts the orphans of its descendants, guests above all: the first process of some
machines reaps slowly, and libvirt waits for that when it destroys a domain. A guest does not end
with libvirtd, nor with the holder.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from tools.testhosts import control, namespaces
from tools.testhosts.libvirtd import Libvirtd
from tools.testhosts.plan import Network, Process
from tools.testhosts.processes import started

_BACKLOG: Final = 16
_ORDER_TIMEOUT: Final = 5.0
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a holder is told."""

    name: str
    mark: str
    control: str
    #: Where private folders and files come from: a mirror of the host's own tree.
    tree: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    private_pids: bool
    libvirtd: bool
    forward: bool

    def to_json(self) -> str:
        """Return the spec as it is passed."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec."""
        raw: dict[str, Any] = json.loads(text)
        lists = {"folders": tuple(raw["folders"]), "files": tuple(raw["files"])}
        return cls(**raw | lists)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a holder says when its namespaces are made."""

    holder: Process
    network: Network

    def to_line(self) -> str:
        """Return it as it is sent."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read it."""
        raw: dict[str, Any] = json.loads(line)
        return cls(Process(**raw["holder"]), Network(**raw["network"]))


def main() -> None:
    """Be the holder that the first line of standard input describes."""
    spec = Spec.from_json(sys.stdin.readline())
    os.chdir("/")
    flags = namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS
    if spec.private_pids:
        flags |= namespaces.CLONE_NEWPID
    namespaces.unshare(flags)
    if os.fork():
        os._exit(0)
    try:
        _hold(spec)
    except BaseException:  # noqa: BLE001
        # Neither half of the fork may run what an interpreter does at its end.
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _hold(spec: Spec) -> None:
    os.setsid()
    namespaces.adopt_orphans()
    # The /proc in sight is still the machine's: it tells the number by which the machine knows this
    # process.
    pid = int(os.readlink("/proc/self"))
    tick = started(pid)
    assert tick is not None
    hello = Hello(Process(pid, tick), namespaces.own_network())
    with _listen(spec.control) as listener:
        _furnish(spec)
        _say(hello.to_line())
        if sys.stdin.readline() != "run\n":
            return
        serve = _Server(listener)
        answer = serve.obey(control.START_LIBVIRTD) if spec.libvirtd else control.Answer()
        _say(answer.to_line().decode())
        _let_go_of_the_maker()
        serve.run()


def _say(line: str) -> None:
    # A maker that has ended reads nothing; the end of standard input says so next.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line)
        sys.stdout.flush()


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(_BACKLOG)
    return listener


def _furnish(spec: Spec) -> None:
    """Make the new namespaces look like a machine of their own."""
    namespaces.set_hostname(spec.name)
    # What is mounted here stays here, while what the machine unmounts is not kept busy by us.
    namespaces.mount("", "/", flags=namespaces.MS_REC | namespaces.MS_SLAVE)
    # A bind mount can hide the tree that the next one comes from: hold all of them open first.
    with contextlib.ExitStack() as open_files:
        sources = {}
        for target in (*spec.folders, *spec.files):
            sources[target] = os.open(spec.tree + target, os.O_PATH | os.O_CLOEXEC)
            open_files.callback(os.close, sources[target])
        for target, source in sources.items():
            # A machine may lack a file, and then the host does; every folder was seen to.
            if target in spec.folders or Path(target).exists():
                namespaces.mount(f"/proc/self/fd/{source}", target, flags=namespaces.MS_BIND)
    strict = namespaces.MS_NOSUID | namespaces.MS_NODEV
    # Not of the state folder: Ray's object store belongs in memory. Its source marks this
    # namespace.
    namespaces.mount(spec.mark, "/dev/shm", "tmpfs", strict, "mode=1777")  # noqa: S108
    strict |= namespaces.MS_NOEXEC
    # Shows the interfaces of this network namespace, and no cgroups that two hosts would share.
    namespaces.detach("/sys")
    namespaces.mount("sysfs", "/sys", "sysfs", strict)
    if spec.private_pids:
        namespaces.mount("proc", "/proc", "proc", strict)
    if spec.forward:
        # Packets that leave the subnet come back as "unreachable"; without this they vanish, and
        # callers wait.
        _FORWARDING.write_text("1")


def _let_go_of_the_maker() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


class _Server:
    """Takes orders and reaps children, one at a time."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._libvirtd = Libvirtd()

    def run(self) -> None:
        """Serve for ever."""
        children, wake = socket.socketpair()
        for end in (self._listener, children, wake):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ, self._take_order)
            selector.register(children, selectors.EVENT_READ, lambda: children.recv(4096))
            while True:
                self._libvirtd.reap()
                for key, _ in selector.select():
                    key.data()

    def obey(self, order: str) -> control.Answer:
        """Carry out an order."""
        try:
            match order:
                case control.START_LIBVIRTD:
                    self._libvirtd.start()
                case control.STOP_LIBVIRTD:
                    self._libvirtd.stop(signal.SIGTERM)
                case control.KILL_LIBVIRTD:
                    self._libvirtd.stop(signal.SIGKILL)
                case control.STATUS:
                    self._libvirtd.reap()
                case _:
                    return control.Answer(error=f"A holder does not know the order {order!r}.")
        except OSError as error:
            return control.Answer(error=f"{socket.gethostname()}: {error}")
        return control.Answer(libvirtd=self._libvirtd.pid)

    def _take_order(self) -> None:
        # A caller that is killed half-way must not take the holder with it.
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            with client:
                client.settimeout(_ORDER_TIMEOUT)
                order = client.makefile("r").readline().rstrip("\n")
                client.sendall(self.obey(order).to_line())


if __name__ == "__main__":
    main()
