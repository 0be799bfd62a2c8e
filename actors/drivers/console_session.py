"""One attached console: a descriptor in the event loop, and what has come from it."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from actors.model.console import ConsoleKind
from actors.model.errors import ComputeError, Conflict, Unavailable
from actors.model.ids import InstanceId

#: Whoever attached has gone when nobody has asked for output for so long.
IDLE_SECONDS: Final = 15.0
#: At most so many bytes in one answer.
_MOST: Final = 1 << 20
#: So much of a screen waits here; the rest stays in QEMU.
_SCREEN_BYTES: Final = 1 << 20
#: So much of a serial port is kept, the newest: its guest must not be held up by who does not
#: fetch.
_SERIAL_BYTES: Final = 1 << 18
#: So much input waits for a guest that does not take it.
_INPUT_BYTES: Final = 1 << 16
_PIECE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Console:
    """Whose console, and which."""

    instance: InstanceId
    kind: ConsoleKind


class ConsoleSession:
    """Reads and writes a descriptor, which is its own from now on.

    When it has ended it still hands out what came before, then says why.
    """

    def __init__(
        self,
        console: Console,
        fd: int,
        forget: Callable[[], None],
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """Begin to read.

        Args:
            console: What it is a session of.
            fd: Not blocking.
            forget: Called once, when the session has ended and nobody asks for it any more.
            idle_seconds: How long nobody may ask.
        """
        self.console: Final = console
        self._fd = fd
        self._forget = forget
        self._idle_seconds = idle_seconds
        #: Why it has ended; None while it goes on.
        self.ended: ComputeError | None = None
        self._output = bytearray()
        self._input = bytearray()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._readers = 0
        self._loop = asyncio.get_running_loop()
        self._idle = self._loop.call_later(idle_seconds, self._leave)
        self._loop.add_reader(fd, self._readable)

    async def read(self, wait_seconds: float) -> bytes:
        """What has come since the last time; empty when nothing came within so many seconds.

        Raises:
            ComputeError: It has ended, and all that came before has been handed out.
        """
        self._idle.cancel()
        self._readers += 1
        try:
            if not self._output and self.ended is None:
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_seconds):
                        await self._news.wait()
            if not self._output and self.ended is not None:
                raise self.ended
            data = bytes(self._output[:_MOST])
            del self._output[:_MOST]
            if self.ended is None:
                self._loop.add_reader(self._fd, self._readable)
            return data
        finally:
            self._readers -= 1
            if not self._readers:
                self._idle = self._loop.call_later(self._idle_seconds, self._leave)

    async def write(self, data: bytes) -> None:
        """Give it to the guest; waits while the guest takes nothing.

        Raises:
            ComputeError: It has ended.
        """
        while len(self._input) >= _INPUT_BYTES and self.ended is None:
            self._room.clear()
            await self._room.wait()
        if self.ended is not None:
            raise self.ended
        self._input += data
        self._flush()

    def end(self, why: ComputeError) -> None:
        """Let go of the descriptor."""
        if self.ended is not None:
            return
        self.ended = why
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._input.clear()
        self._news.set()
        self._room.set()

    def close(self) -> None:
        """Nobody wants it any more."""
        self._idle.cancel()
        self._leave()

    def _leave(self) -> None:
        self.end(lost())
        self._forget()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _PIECE)
        except BlockingIOError:
            return
        except OSError:  # a pty whose guest has gone says EIO
            data = b""
        if not data:
            self.end(stopped(self.console.instance))
            return
        self._output += data
        if self.console.kind is ConsoleKind.SERIAL:
            del self._output[: max(0, len(self._output) - _SERIAL_BYTES)]
        elif len(self._output) >= _SCREEN_BYTES:
            self._loop.remove_reader(self._fd)
        self._news.set()

    def _flush(self) -> None:
        try:
            del self._input[: os.write(self._fd, self._input)]
        except BlockingIOError:
            pass
        except OSError:
            self.end(stopped(self.console.instance))
            return
        if self._input:
            self._loop.add_writer(self._fd, self._flush)
        else:
            self._loop.remove_writer(self._fd)
        if len(self._input) < _INPUT_BYTES:
            self._room.set()


def lost() -> Unavailable:
    """What the client of a session hears that nobody knows any more."""
    return Unavailable("The connection to the console was lost. Attach again.", "CONSOLE_LOST")


def stopped(instance: InstanceId) -> Conflict:
    """How a session ends with its guest."""
    return Conflict(
        f"The guest of instance {instance} has stopped, and its console with it.",
        "CONSOLE_ENDED",
        "",
        {"instance": instance},
    )
