"""One link to libvirt: a connection that hears events, and those that calls are made on.

Two rules of libvirt's C library shape it:

* virConnectClose frees a connection although another thread may be in the middle of a call on it.
So
  whoever calls borrows a connection, and it is closed when it is given back.
* Threads that share a remote connection take turns in reading its socket, and up to libvirt 10.3
the
  next one may then use memory of the last (CVE-2024-4418): a libvirtd that dies while two threads
  call takes this process with it. So a remote connection serves one thread at a time
  (``docs/decisions/0013``).
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import libvirt

#: Remote connections kept for the next call; opening one costs 2 ms.
_MOST_IDLE: Final = 8


class Calls(Protocol):
    """Where the connections for calls come from."""

    def borrow(self) -> libvirt.virConnect | None:
        """A connection for one call; None where the link is retired."""
        ...

    def give_back(self, conn: libvirt.virConnect) -> None:
        """The call is over."""
        ...

    def retire(self) -> None:
        """Lend no more, and close each connection when it is given back."""
        ...


class SharedCalls:
    """All calls on one connection: the test driver's domains are private to it, in this process."""

    def __init__(self, conn: libvirt.virConnect) -> None:
        self._conn = conn
        self._lock = threading.Lock()
        #: The link itself is the first.
        self._users = 1
        self._retired = False

    def borrow(self) -> libvirt.virConnect | None:
        """The connection."""
        with self._lock:
            if self._retired:
                return None
            self._users += 1
            return self._conn

    def give_back(self, conn: libvirt.virConnect) -> None:
        """Count one user less; the last of a retired link closes the connection."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            _close(conn)

    def retire(self) -> None:
        """The last to give the connection back closes it."""
        with self._lock:
            self._retired = True


class PooledCalls:
    """Each call on a connection that nobody else uses meanwhile."""

    def __init__(self, connect: Callable[[], libvirt.virConnect]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[libvirt.virConnect] = []
        self._retired = False

    def borrow(self) -> libvirt.virConnect | None:
        """The connection used last, or a new one.

        Raises:
            libvirtError: A new one cannot be opened.
        """
        with self._lock:
            if self._retired:
                return None
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def give_back(self, conn: libvirt.virConnect) -> None:
        """Keep the connection for the next call, unless there are enough."""
        with self._lock:
            keep = not self._retired and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append(conn)
        if not keep:
            _close(conn)

    def retire(self) -> None:
        """Close all idle connections; the others are closed when they are given back."""
        with self._lock:
            self._retired = True
            idle, self._idle = self._idle, []
        for conn in idle:
            _close(conn)


class Link:
    """A connection that callbacks are registered on, and the connections for calls beside it.

    The former is its owner thread's alone.
    """

    def __init__(self, conn: libvirt.virConnect, calls: Calls) -> None:
        self.conn = conn
        self.calls = calls
        #: Set when the link is dead, or to be cleared away.
        self.lost = threading.Event()
        #: Of the lifecycle events; None before they are registered.
        self.callback: int | None = None

    def retire(self) -> None:
        """Deregister, and close all that nobody uses any more."""
        # Each on its own: on a dead connection they fail after they have let go of our callbacks,
        # and a callback that stays holds the connection with its socket and pipe.
        if self.callback is not None:
            with suppress(libvirt.libvirtError):
                self.conn.domainEventDeregisterAny(self.callback)
        with suppress(libvirt.libvirtError):
            self.conn.unregisterCloseCallback()
        self.calls.retire()
        self.calls.give_back(self.conn)


def _close(conn: libvirt.virConnect) -> None:
    with suppress(libvirt.libvirtError):
        conn.close()
