"""The links of this host, over a netlink socket that stays open (rtnetlink(7))."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Protocol, TypeVar, cast

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from actors.hostnet.command import refused
from actors.model.errors import HypervisorRefused

#: Where VXLAN is at home (RFC 7348 5). Linux' own default is another, older one.
VXLAN_PORT: Final = 4789

_IFF_UP: Final = 1
#: Of the entries that say where frames for everybody go, and for whom nobody knows.
_ALL: Final = "00:00:00:00:00:00"

Result = TypeVar("Result")


class _Message(Protocol):
    """What the kernel says of one link or address."""

    def get(self, key: str | tuple[str, ...]) -> object: ...


class _Netlink(Protocol):
    """The part of pyroute2's IPRoute that is used here."""

    def link(self, command: str, **attributes: object) -> tuple[_Message, ...]: ...

    def brport(self, command: str, **attributes: object) -> object: ...

    def get_links(self, **attributes: object) -> Iterable[_Message]: ...

    def get_addr(self, **attributes: object) -> Iterable[_Message]: ...

    def fdb(self, command: str, **attributes: object) -> Iterable[_Message]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel describes it."""

    index: int
    name: str
    kind: str
    mac: str
    alias: str
    mtu: int
    up: bool
    #: The bridge it is a port of; 0 when none.
    master: int
    #: Index of a veth's other end.
    peer: int
    #: A VXLAN's number, and the address that it is at here; 0 and empty for other links.
    vni: int
    local: str


@dataclass(frozen=True, slots=True)
class Forwarded:
    """An entry of a VXLAN link's forwarding table: which host frames for a MAC go to."""

    mac: str
    address: IPv4Address

    @property
    def floods(self) -> bool:
        """Whether frames for everybody go there."""
        return self.mac == _ALL


class Links:
    """Reads and changes links.

    pyroute2 opens a socket and an event loop for each thread that uses it, and closes those of
    other threads never. So one thread of ours does all the talking; it belongs to the network
    namespace of its first caller.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "netlink")
        self._socket: _Netlink | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        """Close the socket. The links stay."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def find(self, name: str) -> Link | None:
        """The link of this name, or None."""
        return self._ask(lambda netlink: _find(netlink, name))

    def ports(self, bridge: Link) -> tuple[str, ...]:
        """Names of the links on a bridge."""

        def ask(netlink: _Netlink) -> tuple[str, ...]:
            links = netlink.get_links(master=bridge.index)
            return tuple(str(link.get("ifname")) for link in links)

        return self._ask(ask)

    def has_address(self, link: Link) -> bool:
        """Whether the link carries an IPv4 address."""
        return self._ask(lambda netlink: any(netlink.get_addr(index=link.index, family=2)))

    def add_bridge(self, name: str, mac: str) -> Link:
        """A bridge that forwards at once, without spanning tree and snooping."""
        return self._add(
            name,
            kind="bridge",
            address=mac,
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,
        )

    def add_veth(
        self, name: str, mac: str, peer: str, peer_mac: str, namespace: os.PathLike[str]
    ) -> Link:
        """A veth pair whose other end is in ``namespace`` from the first moment (veth(4))."""
        opened = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            other = {"ifname": peer, "address": peer_mac, "net_ns_fd": opened}
            return self._add(name, kind="veth", address=mac, peer=other)
        finally:
            os.close(opened)

    def add_vxlan(self, name: str, mac: str, vni: int, local: IPv4Address) -> Link:
        """A VXLAN link that reaches nobody yet, and learns who is where from what comes.

        Raises:
            HypervisorRefused: Another VXLAN link has this number.
        """
        try:
            return self._add(
                name,
                kind="vxlan",
                address=mac,
                vxlan_id=vni,
                vxlan_local=str(local),
                vxlan_port=VXLAN_PORT,
                vxlan_learning=True,
            )
        except HypervisorRefused as error:
            if getattr(error.__cause__, "code", 0) == errno.EEXIST:
                raise refused(
                    f"a link that is not ours has VXLAN {vni} at port {VXLAN_PORT}"
                ) from error
            raise

    def mtu_at(self, address: IPv4Address) -> int:
        """The MTU of the link that has this address; 0 where none has it."""

        def ask(netlink: _Netlink) -> int:
            for found in netlink.get_addr(local=str(address)):
                (link,) = netlink.link("get", index=_number(found, "index"))
                return _number(link, "mtu")
            return 0

        return self._ask(ask)

    def forwarded(self, link: Link) -> tuple[Forwarded, ...]:
        """A VXLAN link's forwarding table."""

        def ask(netlink: _Netlink) -> tuple[Forwarded, ...]:
            return tuple(
                Forwarded(str(entry.get("lladdr")), IPv4Address(str(entry.get("dst"))))
                for entry in netlink.fdb("dump", ifindex=link.index)
                if entry.get("dst")
            )

        return self._ask(ask)

    def flood(self, link: Link, address: IPv4Address) -> None:
        """Send frames for everybody to this host too."""
        self._ask(
            lambda netlink: netlink.fdb("append", ifindex=link.index, lladdr=_ALL, dst=str(address))
        )

    def forget(self, link: Link, entry: Forwarded) -> None:
        """Take an entry away. One that is gone is no error."""

        def ask(netlink: _Netlink) -> None:
            try:
                netlink.fdb("del", ifindex=link.index, lladdr=entry.mac, dst=str(entry.address))
            except NetlinkError as error:
                if error.code != errno.ENOENT:
                    raise

        self._ask(ask)

    def change(self, link: Link, **changes: object) -> None:
        """Set attributes: ``ifalias``, ``mtu``, ``state``, ``master``."""
        self._ask(lambda netlink: netlink.link("set", index=link.index, **changes))

    def isolate(self, port: Link) -> None:
        """Let a bridge's port talk to no other isolated port (bridge(8), ``isolated``)."""
        self._ask(lambda netlink: netlink.brport("set", index=port.index, isolated=True))

    def delete(self, link: Link) -> None:
        """Delete a link. One that is gone is no error."""

        def ask(netlink: _Netlink) -> None:
            try:
                netlink.link("del", index=link.index)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise

        self._ask(ask)

    def _add(self, name: str, **attributes: object) -> Link:
        def ask(netlink: _Netlink) -> Link:
            netlink.link("add", ifname=name, **attributes)
            added = _find(netlink, name)
            assert added is not None
            return added

        return self._ask(ask)

    def _ask(self, ask: Callable[[_Netlink], Result]) -> Result:
        def talk() -> Result:
            return ask(self._open())

        try:
            return self._thread.submit(talk).result()
        except (NetlinkError, OSError) as error:
            raise refused(f"netlink: {error}") from error

    def _open(self) -> _Netlink:
        if self._socket is None:
            # Not the process's own kind of loop: Ray's actors have uvloop, which opens no netlink.
            self._event_loop = asyncio.SelectorEventLoop()
            route = IPRoute(use_event_loop=self._event_loop)  # type: ignore[no-untyped-call]
            self._socket = cast("_Netlink", route)
        return self._socket

    def _close(self) -> None:
        if self._socket is not None and self._event_loop is not None:
            self._socket.close()
            # What closing has left to be done.
            self._event_loop.run_until_complete(self._event_loop.shutdown_asyncgens())
            self._event_loop.close()
            self._socket = None


def _find(netlink: _Netlink, name: str) -> Link | None:
    try:
        (link,) = netlink.link("get", ifname=name)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise
    return Link(
        index=_number(link, "index"),
        name=name,
        kind=str(link.get(("linkinfo", "kind")) or ""),
        mac=str(link.get("address") or ""),
        alias=str(link.get("ifalias") or ""),
        mtu=_number(link, "mtu"),
        up=bool(_number(link, "flags") & _IFF_UP),
        master=_number(link, "master"),
        peer=_number(link, "link"),
        vni=_number(link, ("linkinfo", "data", "vxlan_id")),
        local=str(link.get(("linkinfo", "data", "vxlan_local")) or ""),
    )


def _number(message: _Message, key: str | tuple[str, ...]) -> int:
    value = message.get(key)
    return value if isinstance(value, int) else 0
