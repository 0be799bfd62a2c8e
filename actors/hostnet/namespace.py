"""Named network namespaces (ip-netns(8)).

Made and entered by ``ip`` and ``nsenter`` and not by pyroute2, which forks this process to do it:
under Ray and gRPC it has threads, and only an exec is safe after such a fork.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.hostnet.command import run

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

    def enter(self, command: Sequence[str]) -> tuple[str, ...]:
        """The command that runs ``command`` inside (nsenter(1)).

        Unlike ``ip netns exec`` it makes no mount namespace, whose copy of our mounts would keep
        them busy.
        """
        return ("nsenter", f"--net={self.path}", "--", *command)


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
