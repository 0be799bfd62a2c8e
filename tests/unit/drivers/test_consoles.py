"""Sessions on consoles: a pty stands for a guest's serial port, a socket pair for its screen."""

import asyncio
import os
import pty
import socket
import tty
from collections.abc import Iterator
from contextlib import suppress

import pytest

from actors.drivers.console_session import Console
from actors.drivers.consoles import Consoles
from actors.model.console import ConsoleKind
from actors.model.errors import ComputeError, Conflict, Exhausted, Unavailable
from actors.model.ids import InstanceId

ME = InstanceId("7d4b3a52-9f0e-5d7c-8a41-3c1f0a2b4c6d")
SERIAL, VNC = Console(ME, ConsoleKind.SERIAL), Console(ME, ConsoleKind.VNC)


class Guest:
    """The other end."""

    def __init__(self) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._screens: list[socket.socket] = []

    @property
    def screen(self) -> socket.socket:
        """The latest viewer's."""
        return self._screens[-1]

    async def serial(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def vnc(self) -> int:
        screen, viewer = socket.socketpair()
        self._screens.append(screen)
        viewer.setblocking(False)
        return viewer.detach()

    def stop(self) -> None:
        """All ends of it are closed."""
        for fd in (self.master, self._slave):
            with suppress(OSError):
                os.close(fd)
        for screen in self._screens:
            screen.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def guest() -> Iterator[Guest]:
    made = Guest()
    yield made
    made.stop()


async def end_of(consoles: Consoles, session: str) -> ComputeError:
    """Read until it says why it has ended."""
    try:
        while True:
            await consoles.session(session).read(30)
    except ComputeError as why:
        return why


async def test_bytes_go_both_ways(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(SERIAL, guest.serial, force=False)
    os.write(guest.master, b"login: ")
    assert await consoles.session(session).read(30) == b"login: "
    await consoles.session(session).write(b"cirros\r")
    assert os.read(guest.master, 100) == b"cirros\r"
    assert await consoles.session(session).read(0) == b""
    consoles.close(session)
    assert not len(consoles)


async def test_who_waits_is_woken(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(SERIAL, guest.serial, force=False)
    waiting = asyncio.create_task(consoles.session(session).read(30))
    await asyncio.sleep(0)
    os.write(guest.master, b"x")
    assert await waiting == b"x"
    consoles.close(session)


async def test_one_at_a_time_unless_by_force(guest: Guest) -> None:
    consoles = Consoles()
    first = await consoles.open(SERIAL, guest.serial, force=False)
    before = descriptors()
    with pytest.raises(Conflict) as busy:
        await consoles.open(SERIAL, guest.serial, force=False)
    assert busy.value.reason == "CONSOLE_BUSY"
    assert descriptors() == before
    second = await consoles.open(SERIAL, guest.serial, force=True)
    assert (await end_of(consoles, first)).reason == "CONSOLE_TAKEN_OVER"
    with pytest.raises(Conflict):
        await consoles.session(first).write(b"late")
    assert descriptors() == before
    os.write(guest.master, b"still here")
    assert await consoles.session(second).read(30) == b"still here"
    for session in (first, second):
        consoles.close(session)
    assert (len(consoles), descriptors()) == (0, before - 1)


async def test_of_two_that_come_at_once_one_is_refused(guest: Guest) -> None:
    consoles = Consoles()
    before = descriptors()
    door = asyncio.Event()

    async def slowly() -> int:
        await door.wait()
        return await guest.serial()

    both = [asyncio.create_task(consoles.open(SERIAL, slowly, force=False)) for _ in range(2)]
    await asyncio.sleep(0)
    door.set()
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, str)
    assert isinstance(second, Conflict)
    assert descriptors() == before + 1
    consoles.close(first)


async def test_several_may_look_at_a_screen(guest: Guest) -> None:
    consoles = Consoles()
    viewers = [await consoles.open(VNC, guest.vnc, force=False) for _ in range(4)]
    with pytest.raises(Exhausted) as full:
        await consoles.open(VNC, guest.vnc, force=False)
    assert full.value.reason == "CONSOLE_LIMIT"
    for viewer in viewers:
        consoles.close(viewer)


async def test_a_host_has_a_limit(guest: Guest) -> None:
    consoles = Consoles(most=1)
    session = await consoles.open(SERIAL, guest.serial, force=False)
    with pytest.raises(Exhausted):
        await consoles.open(VNC, guest.vnc, force=True)
    consoles.close(session)


async def test_a_guest_that_stops_says_its_last_words_first(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(VNC, guest.vnc, force=False)
    guest.screen.sendall(b"last words")
    guest.screen.close()
    assert await consoles.session(session).read(30) == b"last words"
    assert (await end_of(consoles, session)).reason == "CONSOLE_ENDED"
    consoles.close(session)


async def test_a_pty_whose_guest_is_gone_ends(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(SERIAL, guest.serial, force=False)
    os.close(guest.master)
    assert (await end_of(consoles, session)).reason == "CONSOLE_ENDED"
    consoles.close(session)


async def test_a_guest_is_not_held_up_by_who_does_not_fetch(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(SERIAL, guest.serial, force=False)
    os.set_blocking(guest.master, False)
    sent = 0
    while sent < 1 << 20:
        try:
            sent += os.write(guest.master, b"%08d" % (sent // 8))
        except BlockingIOError:
            await asyncio.sleep(0)
    seen = b""
    while not seen.endswith(b"%08d" % (sent // 8 - 1)):
        seen = (seen + await consoles.session(session).read(30))[-8:]
    consoles.close(session)


async def test_a_screen_waits_for_who_does_not_fetch(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(VNC, guest.vnc, force=False)
    guest.screen.setblocking(False)
    sent, quiet = 0, 0
    while quiet < 10:
        try:
            sent += guest.screen.send(b"x" * 65536)
            quiet = 0
        except BlockingIOError:
            quiet += 1
        await asyncio.sleep(0)
    assert sent > 1 << 20
    seen = 0
    while seen < sent:
        seen += len(await consoles.session(session).read(30))
    assert seen == sent
    consoles.close(session)


async def test_input_waits_for_a_guest_that_takes_none(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(VNC, guest.vnc, force=False)
    one = consoles.session(session)
    writing = asyncio.gather(*(one.write(b"y" * 65536) for _ in range(100)))
    await asyncio.sleep(0)
    assert not writing.done()
    guest.screen.setblocking(False)
    loop = asyncio.get_running_loop()
    while not writing.done():
        assert set(await loop.sock_recv(guest.screen, 1 << 20)) == {ord("y")}
    consoles.close(session)


async def test_who_waits_to_write_hears_of_the_end(guest: Guest) -> None:
    consoles = Consoles()
    session = await consoles.open(VNC, guest.vnc, force=False)
    one = consoles.session(session)
    writing = asyncio.gather(*(one.write(b"y" * 65536) for _ in range(100)))
    await asyncio.sleep(0)
    consoles.close(session)
    with pytest.raises(Unavailable):
        await writing


@pytest.mark.parametrize("end", ["nobody asks", "the guest stops"])
async def test_nothing_is_left_of_who_has_gone(guest: Guest, end: str) -> None:
    before = descriptors()
    consoles = Consoles(idle_seconds=0.01)
    session = await consoles.open(VNC, guest.vnc, force=False)
    await consoles.session(session).read(0.05)  # longer than the limit: who waits has not gone
    assert len(consoles) == 1
    if end == "the guest stops":
        guest.screen.close()
    async with asyncio.timeout(30):
        while len(consoles):  # noqa: ASYNC110 - it is a timer that is waited for
            await asyncio.sleep(0.005)
    with pytest.raises(Unavailable) as gone:
        consoles.session(session)
    assert gone.value.reason == "CONSOLE_LOST"
    consoles.close(session)
    guest.screen.close()
    assert descriptors() <= before
