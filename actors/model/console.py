"""Consoles of a guest: which there are, a session on one, a picture of the screen."""

from dataclasses import dataclass
from enum import StrEnum

from actors.model.ids import HostId


class ConsoleKind(StrEnum):
    """What can be attached to."""

    #: The first serial port: bytes as they come. One session at a time.
    SERIAL = "serial"
    #: Screen, keyboard and mouse: the RFB protocol (RFC 6143). Several may look at once.
    VNC = "vnc"


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """An open session. It ends when nobody reads from it for some seconds."""

    host_id: HostId
    #: Known to that host's actor only: a new actor has none of its predecessor's.
    id: str


@dataclass(frozen=True, slots=True)
class Screenshot:
    """What the guest's screen shows."""

    #: ``image/png``.
    content_type: str
    data: bytes
