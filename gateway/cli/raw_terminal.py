"""A person's terminal, lent to a guest: every key goes there, and none means anything here."""

import os
import queue
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

#: Ctrl-], as in virsh and telnet.
ESCAPE: Final = b"\x1d"
_PIECE: Final = 4096
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Raw mode on standard input; as it was afterwards, however this ends but by SIGKILL."""
    before = termios.tcgetattr(sys.stdin)
    handlers = {number: signal.signal(number, _leave) for number in _ENDS}
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, _: FrameType | None) -> None:
    # As a shell has it. Unlike the signal's own effect, this passes every finally.
    raise SystemExit(128 + number)


class Keys:
    """What is typed, up to Ctrl-]."""

    def __init__(self) -> None:
        self._typed: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A read of a terminal cannot be called off: the thread ends with the process.
        self._reader = threading.Thread(target=self._read, name="keys", daemon=True)

    def begin(self) -> None:
        """Take keys from now on: those before were meant for another program."""
        self._reader.start()

    def __iter__(self) -> Iterator[bytes]:
        """Each piece, as it comes."""
        while data := self._typed.get():
            yield data

    def _read(self) -> None:
        while data := os.read(sys.stdin.fileno(), _PIECE):
            typed, escape, _ = data.partition(ESCAPE)
            if typed:
                self._typed.put(typed)
            if escape:
                break
        self._typed.put(b"")
