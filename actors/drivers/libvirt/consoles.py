"""Ways to a guest's consoles: each ends in a file descriptor, or in a picture (ADR 0014).

No session keeps a libvirt connection or a thread, and libvirtd may come and go under it.
"""

import os
import tty
import xml.etree.ElementTree as ET
from typing import Final

import libvirt

from actors.model.console import ConsoleKind, Screenshot
from actors.model.errors import Conflict, TooLarge
from actors.model.ids import InstanceId

#: A screen of 2560 x 1600 with nothing but noise on it is 12 MB.
_MOST_SCREENSHOT_BYTES: Final = 16 << 20
_PIECE: Final = 1 << 16


def open_console(conn: libvirt.virConnect, instance: InstanceId, kind: ConsoleKind) -> int:
    """A descriptor that does not block; whoever gets it closes it.

    Raises:
        Conflict: ``CONSOLE_NOT_SUPPORTED``: the guest was started without such a console.
            ``GUEST_NOT_RUNNING``: it went away meanwhile.
    """
    if kind is ConsoleKind.VNC:
        return _open_vnc(conn, instance)
    return _open_serial(conn, instance)


def screenshot(conn: libvirt.virConnect, instance: InstanceId) -> Screenshot:
    """The first screen (virDomainScreenshot).

    Raises:
        Conflict: ``CONSOLE_NOT_SUPPORTED``: the guest has no screen.
        TooLarge: ``SCREENSHOT_TOO_LARGE``.
    """
    domain = conn.lookupByUUIDString(instance)
    if _description(domain).find("devices/video") is None:
        raise _not_supported(instance, "screen")
    stream = conn.newStream()
    content_type = domain.screenshot(stream, 0)
    data = bytearray()
    while piece := stream.recv(_PIECE):
        data += piece
        if len(data) > _MOST_SCREENSHOT_BYTES:
            stream.abort()
            raise TooLarge(
                f"The screen of instance {instance} is larger than "
                f"{_MOST_SCREENSHOT_BYTES >> 20} MiB as a picture.",
                "SCREENSHOT_TOO_LARGE",
                "",
                {"instance": instance, "limit": str(_MOST_SCREENSHOT_BYTES)},
            )
    stream.finish()
    return Screenshot(content_type, bytes(data))


def _open_serial(conn: libvirt.virConnect, instance: InstanceId) -> int:
    before = _serial(conn, instance)
    if before is None:
        raise _not_supported(instance, "serial console to attach to")
    fd = os.open(before[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # The kernel gives a number out again as soon as its pty is gone, perhaps to another
        # tenant's guest. The same run of this guest has held it all the time: then it is this
        # guest's.
        if _serial(conn, instance) != before:
            raise gone(instance)
        tty.setraw(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _serial(conn: libvirt.virConnect, instance: InstanceId) -> tuple[int, str] | None:
    """The number of the guest's run, and its pty."""
    domain = conn.lookupByUUIDString(instance)
    source = _description(domain).find("devices/serial[@type='pty']/source")
    path = None if source is None else source.get("path")
    return None if path is None else (domain.ID(), path)


def _open_vnc(conn: libvirt.virConnect, instance: InstanceId) -> int:
    domain = conn.lookupByUUIDString(instance)
    if _description(domain).find("devices/graphics") is None or conn.getType() == "TEST":
        raise _not_supported(instance, "VNC console")
    fd = domain.openGraphicsFD(0, 0)
    os.set_blocking(fd, False)
    return fd


def _description(domain: libvirt.virDomain) -> ET.Element:
    """As libvirt has it now. Not through our elements: guests of older releases lack some."""
    return ET.fromstring(domain.XMLDesc())  # noqa: S314 - written by libvirt


def gone(instance: InstanceId) -> Conflict:
    """There is no guest to attach to."""
    return Conflict(
        f"Instance {instance} has no console now: its guest does not run.",
        "GUEST_NOT_RUNNING",
        "",
        {"instance": instance},
    )


def _not_supported(instance: InstanceId, what: str) -> Conflict:
    return Conflict(
        f"Instance {instance} has no {what}: its hypervisor offers none, or it was started by an "
        "older release; then stop and start it.",
        "CONSOLE_NOT_SUPPORTED",
        "",
        {"instance": instance},
    )
