"""libvirt's own event loop: one daemon thread for the whole process."""

import logging
import threading

import libvirt

_log = logging.getLogger(__name__)


class _Loop:
    """Started at most once; libvirt's default implementation cannot be taken back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        with self._lock:
            if self._started:
                return
            # Errors are raised anyway; libvirt would print each to stderr as well.
            libvirt.registerErrorHandler(_quiet, None)
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run, name="libvirt-events", daemon=True).start()
            self._started = True


def _quiet(_context: object, _error: object) -> None:
    return


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            _log.exception("libvirt's event loop failed; it goes on")


_LOOP = _Loop()


def start_event_loop() -> None:
    """Start the loop unless it runs. Must come before the first connection is opened."""
    _LOOP.start()
