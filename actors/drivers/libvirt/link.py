"""One open connection, counted: it is closed when nobody uses it any more."""

import threading
from contextlib import suppress

import libvirt


class Link:
    """A virConnect and what was registered on it.

    libvirt frees a connection at virConnectClose although another thread may be in the middle of a
    call on it; so whoever uses it borrows it, and the last to give it back after ``retire`` closes
    it.
    """

    def __init__(self, conn: libvirt.virConnect, lost: threading.Event) -> None:
        self.conn = conn
        #: Set when the connection is dead, or to be cleared away.
        self.lost = lost
        #: Of the lifecycle events; None before they are registered.
        self.callback: int | None = None
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    def borrow(self) -> bool:
        """Count one more user, unless the connection is being cleared away."""
        with self._lock:
            if self._retired:
                return False
            self._users += 1
            return True

    def give_back(self) -> None:
        """Count one user less; the last of a retired connection closes it."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close()

    def retire(self) -> None:
        """Deregister, let nobody borrow it any more, and close it once nobody uses it."""
        # Each on its own: on a dead connection they fail after they have let go of our callbacks,
        # and a callback that stays holds the connection with its socket and pipe.
        if self.callback is not None:
            with suppress(libvirt.libvirtError):
                self.conn.domainEventDeregisterAny(self.callback)
        with suppress(libvirt.libvirtError):
            self.conn.unregisterCloseCallback()
        with self._lock:
            self._retired = True
            idle = self._users == 0
        if idle:
            self._close()

    def _close(self) -> None:
        with suppress(libvirt.libvirtError):
            self.conn.close()
