"""What a set of test hosts is: names, addresses and the record kept of it. Pure, no I/O.

A *set* is a fabric (a namespace with a bridge) and the hosts on it. Its record is written before
anything is made, and again when the holders run, so that `down` can sweep a set whose maker was
killed half-way.
"""

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any, Final, Self

from tools.testhosts.errors import HostsError

#: Hosts are cut off from the machine's own network, so a subnet need only differ from those of
#: other sets. It must differ from those: `ray start --head` refuses an address that any raylet on
#: the machine uses.
SUBNET_POOL: Final = IPv4Network("10.9.0.0/16")
SUBNET_PREFIX: Final = 24
FORMAT: Final = 1

_SET_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,22}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one with the same number by the tick at which it started."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace. The kernel reuses inode numbers; a cookie is unique until a reboot."""

    inode: int
    cookie: int


@dataclass(frozen=True, slots=True)
class Host:
    """One member of a set: a hypervisor host, or the fabric."""

    name: str
    address: str
    uuid: str
    #: Both are known once the holder runs.
    holder: Process | None = None
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class HostSet:
    """The record of a set. The registry is its only writer."""

    name: str
    #: Holds one folder per host; nothing of the set is stored elsewhere.
    folder: str
    subnet: str
    #: Marks every mount namespace of the set, so that its processes can be told from all others.
    token: str
    boot_id: str
    private_pids: bool
    fabric: Host
    hosts: tuple[Host, ...]
    #: A set that belongs to a process is swept once that process is gone; None: kept until `down`.
    owner: Process | None = None

    @property
    def members(self) -> tuple[Host, ...]:
        """The fabric and the hosts."""
        return (self.fabric, *self.hosts)

    @property
    def started(self) -> bool:
        """Whether every holder was made."""
        return all(member.holder for member in self.members)

    def host(self, name: str) -> Host:
        """Return the member of that name."""
        for member in self.members:
            if member.name == name:
                return member
        raise HostsError(f"Set {self.name} has no host {name}.")

    def with_member(self, changed: Host) -> Self:
        """Return the record with one member replaced by a newer version of itself."""
        if changed.name == self.fabric.name:
            return dataclasses.replace(self, fabric=changed)
        hosts = tuple(changed if host.name == changed.name else host for host in self.hosts)
        return dataclasses.replace(self, hosts=hosts)

    def mark(self, member: Host) -> str:
        """The mount source that marks a member's mount namespace."""
        return f"{self.marks}{member.name}"

    @property
    def marks(self) -> str:
        """What the marks of all members begin with."""
        return f"novaray-testhosts:{self.token}:"

    def member_folder(self, member: Host) -> Path:
        """The folder with a member's private files, by their paths inside the host."""
        return Path(self.folder) / self._short_name(member)

    def control_socket(self, member: Host) -> Path:
        """Where a member's holder takes orders."""
        return Path(self.folder) / f"{self._short_name(member)}.control"

    def holder_log(self, member: Host) -> Path:
        """Where a member's holder says what went wrong."""
        return Path(self.folder) / f"{self._short_name(member)}.log"

    def _short_name(self, member: Host) -> str:
        """Return the name without the set's: a socket's path may not be longer than 107 bytes."""
        return member.name.removeprefix(f"{self.name}-")

    def to_json(self) -> str:
        """Return the record as text."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a record."""
        raw: dict[str, Any] = json.loads(text)
        if raw.pop("format", None) != FORMAT:
            raise ValueError("written by another version of this tool")
        raw["fabric"] = _host(raw["fabric"])
        raw["hosts"] = tuple(_host(host) for host in raw["hosts"])
        raw["owner"] = Process(**raw["owner"]) if raw["owner"] else None
        return cls(**raw)


def _host(raw: dict[str, Any]) -> Host:
    holder = Process(**raw.pop("holder")) if raw.get("holder") else None
    network = Network(**raw.pop("network")) if raw.get("network") else None
    return Host(**{**raw, "holder": holder, "network": network})


def check_name(name: str) -> str:
    """Return a set name that is fit to begin host names with."""
    if not _SET_NAME.fullmatch(name):
        raise HostsError(
            f"{name!r} cannot name a set: use at most 24 lower-case letters, digits and hyphens, "
            "a letter first and no hyphen last."
        )
    return name


def choose_name(taken: Iterable[str]) -> str:
    """Return the first of t1, t2, … that no set has."""
    names = set(taken)
    number = 1
    while f"t{number}" in names:
        number += 1
    return f"t{number}"


def choose_subnet(wanted: str | None, count: int, taken: Iterable[str]) -> IPv4Network:
    """Return the wanted subnet, or the first free one, if the hosts and the fabric fit in."""
    used = [IPv4Network(subnet) for subnet in taken]
    if wanted is None:
        pool = SUBNET_POOL.subnets(new_prefix=SUBNET_PREFIX)
        free = next((net for net in pool if not any(net.overlaps(other) for other in used)), None)
        if free is None:
            raise HostsError(f"Every subnet of {SUBNET_POOL} is taken by a set. Take some down.")
        subnet = free
    else:
        try:
            subnet = IPv4Network(wanted)
        except (AddressValueError, NetmaskValueError, ValueError) as error:
            raise HostsError(f"{wanted!r} is not an IPv4 subnet: {error}.") from None
        if any(subnet.overlaps(other) for other in used):
            raise HostsError(f"The subnet {subnet} overlaps that of another set.")
    room = subnet.num_addresses - 3  # network, broadcast and fabric
    if not 1 <= count <= room:
        raise HostsError(f"A set in {subnet} has 1 to {room} hosts, not {count}.")
    return subnet


def addresses(subnet: IPv4Network, count: int) -> tuple[str, list[str]]:
    """Return the fabric's address (the last of the subnet) and the hosts' (the first ones)."""
    fabric = str(subnet[-2])
    return fabric, [str(subnet[number]) for number in range(1, count + 1)]
