"""Named network namespaces (ip-netns(8)).

Made and entered by ``ip`` and ``nsenter`` and not by pyroute2, which forks this process to do it:
under Ray and gRPC it has threads, and only an exec is safe after such a fork.
"""

import ctypes
import json
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.hostnet.command import refused, run

_CLONE_NEWNET: Final = 0x40000000
_BACKLOG: Final = 128

_NAMES: Final = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Device:
    """A link inside a namespace."""

    name: str
    mac: str
    mtu: int
    up: bool
    #: Index of a veth's other end; 0 when it has none.
    peer: int
    #: IPv4 addresses with prefix lengths.
    addresses: tuple[str, ...]


class Namespace:
    """One named namespace, existing or not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = _NAMES / name

    def __repr__(self) -> str:
        return f"Namespace({self.name})"

    @property
    def inode(self) -> int:
        """What tells this namespace from all others (namespaces(7)); 0 when there is none."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return 0

    def add(self) -> None:
        """Make it."""
        run(("ip", "netns", "add", self.name))

    def delete(self) -> None:
        """Take its name away. It ends with the last process in it. None to delete is no error."""
        if self.inode:
            run(("ip", "netns", "delete", self.name))

    def devices(self) -> dict[str, Device]:
        """Its links by name.

        Raises:
            HypervisorRefused: It is not there, or the name is left over from one that is gone.
        """
        links = json.loads(run(("ip", "-n", self.name, "-json", "address", "show")))
        return {link["ifname"]: _device(link) for link in links if "ifname" in link}

    def configure(self, commands: Sequence[str]) -> None:
        """Give ``ip`` these commands inside (ip(8), ``-batch``)."""
        run(("ip", "-n", self.name, "-batch", "-"), "".join(f"{line}\n" for line in commands))

    def listen(self, address: str, port: int) -> socket.socket:
        """A socket that listens inside. It stays there, whoever takes its connections.

        Raises:
            HypervisorRefused: Somebody listens there already, or there is no such namespace.
        """
        # A namespace is a thread's own (setns(2)). This thread ends when it has done its work.
        with ThreadPoolExecutor(1, "netns") as thread:
            return thread.submit(self._listen, address, port).result()

    def _listen(self, address: str, port: int) -> socket.socket:
        listener: socket.socket | None = None
        try:
            with self.path.open("rb") as handle:
                _set_namespace(handle.fileno())
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            if listener is not None:
                listener.close()
            raise refused(f"cannot listen at {address}:{port} in {self.name}: {error}") from error
        return listener

    def enter(self, command: Sequence[str]) -> tuple[str, ...]:
        """The command that runs ``command`` inside (nsenter(1)).

        Unlike ``ip netns exec`` it makes no mount namespace, whose copy of our mounts would keep
        them busy.
        """
        return ("nsenter", f"--net={self.path}", "--", *command)


def _set_namespace(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _device(link: dict[str, object]) -> Device:
    flags, found = link["flags"], link.get("addr_info", [])
    assert isinstance(flags, list)
    assert isinstance(found, list)
    return Device(
        name=str(link["ifname"]),
        mac=str(link.get("address", "")),
        mtu=int(str(link["mtu"])),
        up="UP" in flags,
        peer=int(str(link.get("link_index", 0))),
        addresses=tuple(
            f"{one['local']}/{one['prefixlen']}" for one in found if one.get("family") == "inet"
        ),
    )
