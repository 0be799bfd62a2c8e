"""One connection to libvirt that comes back by itself.

One thread owns it: it opens, registers callbacks, waits until the connection is lost or closed,
clears it away and opens again. Everybody else borrows it (``use``) and gets ``Unavailable`` at once
while it is away.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import libvirt

from actors.drivers.libvirt.errors import away, from_libvirt, from_os, is_connection_error
from actors.drivers.libvirt.event_loop import start_event_loop
from actors.drivers.libvirt.link import Link, PooledCalls, SharedCalls
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.ports.hypervisor import ConnectionListener

_log = logging.getLogger(__name__)

#: Called from libvirt's event thread: the domain, virDomainEventType and its detail.
DomainListener = Callable[[libvirt.virDomain, int, int], None]

_CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "the connection failed",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirtd closed the connection",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirtd does not answer",
}


class Connection:
    """Opens once, closes once; between them it reconnects as often as it must."""

    def __init__(
        self, settings: LibvirtSettings, domains: DomainListener, listener: ConnectionListener
    ) -> None:
        self._settings = settings
        self._domains = domains
        self._listener = listener
        self._link: Link | None = None
        self._why = "libvirt: not connected yet"
        self._closing = threading.Event()
        self._tried = threading.Event()
        #: Set when the thread has something to look at: the connection is lost, or is to be closed.
        self._look = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="libvirt-connection", daemon=True)

    def open(self) -> None:
        """Start, and wait for the first try; if libvirtd is away, the tries go on behind."""
        start_event_loop()
        self._thread.start()
        self._tried.wait(self._settings.open_timeout)

    def close(self) -> None:
        """Disconnect for good. A thread that hangs in a dead libvirtd is left to end by itself."""
        self._closing.set()
        self._look.set()
        if threading.current_thread() is not self._thread:  # a listener of ours may close
            self._thread.join(self._settings.open_timeout)

    @contextmanager
    def use(self, action: str) -> Iterator[libvirt.virConnect]:
        """The connection; libvirt's errors and the file system's leave as ours.

        Args:
            action: What is tried, to follow "could not": ``start instance 3f…``.

        Raises:
            Unavailable: libvirtd is away, or went away meanwhile.
            ComputeError: What ``errors`` makes of libvirt's error.
        """
        link = self._link
        if link is None:
            raise away(self._why)
        conn = None
        try:
            conn = link.calls.borrow()
            if conn is None:
                raise away(self._why)
            yield conn
        except libvirt.libvirtError as error:
            if is_connection_error(error):
                self._suspect(link, conn)
            raise from_libvirt(error, action) from error
        except OSError as error:
            raise from_os(error, action) from error
        finally:
            if conn is not None:
                link.calls.give_back(conn)

    def _suspect(self, link: Link, conn: libvirt.virConnect | None) -> None:
        """A call failed as calls on a lost connection do; the close callback may come later."""
        with suppress(libvirt.libvirtError):
            if conn is not None and conn.isAlive():
                return
        self._lose(link.lost, "the connection broke")

    def _lose(self, lost: threading.Event, why: str) -> None:
        """Any thread: this connection is gone. Clearing it away is the owner thread's work."""
        link = self._link
        if link is not None and link.lost is lost:
            self._link = None
        self._why = f"libvirt: {why}"
        lost.set()
        self._look.set()

    def _keep(self) -> None:
        """The owner thread."""
        pause = self._settings.reconnect_first
        while not self._closing.is_set():
            link = self._connect()
            if link is None:
                self._tried.set()
                self._closing.wait(pause)
                pause = min(pause * 2, self._settings.reconnect_most)
                continue
            if self._closing.is_set():  # libvirtd hung, and meanwhile nobody waits for it any more
                link.retire()
                return
            pause = self._settings.reconnect_first
            self._link = link
            self._tell(True, "")
            self._tried.set()
            while not (link.lost.is_set() or self._closing.is_set()):
                self._look.wait()
                self._look.clear()
            self._link = None
            link.retire()
            if not self._closing.is_set():
                self._tell(False, self._why)

    def _connect(self) -> Link | None:
        try:
            conn = self._open()
        except libvirt.libvirtError as error:
            self._report_away(error)
            return None
        link = Link(conn, SharedCalls(conn) if self._settings.is_test else PooledCalls(self._open))
        try:
            self._register(link)
        except libvirt.libvirtError as error:
            self._report_away(error)
            link.retire()
            return None
        return link

    def _open(self) -> libvirt.virConnect:
        settings = self._settings
        conn = libvirt.open(settings.uri)
        # The test driver lives in this process: nothing to keep alive.
        if not settings.is_test:
            conn.setKeepAlive(settings.keepalive_seconds, settings.keepalive_count)
        return conn

    def _register(self, link: Link) -> None:
        link.conn.registerCloseCallback(self._on_close, link.lost)
        link.callback = link.conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_event, None
        )

    def _report_away(self, error: libvirt.libvirtError) -> None:
        self._why = f"libvirt: {error.get_error_message() or error}"
        if not self._tried.is_set():
            self._tell(False, self._why)

    def _tell(self, up: bool, why: str) -> None:
        try:
            self._listener(up, why)
        except Exception:  # noqa: BLE001 - the owner thread must outlive a listener's bug
            _log.exception("the connection listener failed")

    def _on_close(self, _conn: libvirt.virConnect, reason: int, lost: threading.Event) -> None:
        """``virConnectCloseFunc``, in libvirt's event thread: only take note."""
        self._lose(lost, _CLOSE_REASONS.get(reason, "the connection was closed"))

    def _on_event(
        self,
        _conn: libvirt.virConnect,
        domain: libvirt.virDomain,
        event: int,
        detail: int,
        _: object,
    ) -> None:
        """``virConnectDomainEventCallback``, in libvirt's event thread."""
        try:
            self._domains(domain, event, detail)
        except Exception:  # noqa: BLE001 - libvirt's thread must outlive a listener's bug
            _log.exception("the domain listener failed")
