"""What a holder and the commands say to each other: one line of JSON each way."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from tools.testhosts.errors import HostsError

START_LIBVIRTD: Final = "start-libvirtd"
STOP_LIBVIRTD: Final = "stop-libvirtd"
KILL_LIBVIRTD: Final = "kill-libvirtd"
STATUS: Final = "status"
#: The longest order is a libvirtd that starts on a busy machine.
_TIMEOUT: Final = 60.0
_LONGEST_LINE: Final = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What a holder says of an order. `error` is None when it was carried out."""

    error: str | None = None
    #: libvirtd's process number as the host sees it; None while it does not run.
    libvirtd: int | None = None

    def to_line(self) -> bytes:
        """Return the answer as it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes | str) -> Self:
        """Read an answer."""
        raw: dict[str, Any] = json.loads(line)
        return cls(**raw)


def ask(control: Path, order: str) -> Answer:
    """Give a holder an order and return its answer.

    Raises:
        HostsError: when the holder does not answer, or could not do it.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_TIMEOUT)
            client.connect(str(control))
            client.sendall(order.encode() + b"\n")
            line = client.makefile("rb").readline(_LONGEST_LINE)
    except OSError as error:
        raise HostsError(f"The holder behind {control} does not answer: {error}.") from None
    if not line:
        raise HostsError(f"The holder behind {control} ended while it was asked to {order}.")
    answer = Answer.from_line(line)
    if answer.error:
        raise HostsError(answer.error)
    return answer
