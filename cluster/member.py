"""Which cluster this node belongs to, where it is not the head itself."""

import socket
from ipaddress import ip_address
from pathlib import Path

from cluster.config import Settings
from cluster.files import write_private
from cluster.trouble import Trouble


def head_address(settings: Settings) -> str:
    """Where the head is: what this node has joined, or else itself."""
    try:
        return _file(settings).read_text(encoding="ascii").strip() or settings.ray_address
    except FileNotFoundError:
        return settings.ray_address


def has_joined(settings: Settings) -> bool:
    """Whether this node belongs to another one's cluster."""
    return _file(settings).exists()


def is_head(settings: Settings) -> bool:
    """Whether this node keeps a cluster's record."""
    return settings.database.exists()


def remember_head(settings: Settings, address: str) -> None:
    """This node belongs to that head from now on."""
    write_private(_file(settings), f"{address}\n", mode=0o644)


def forget_head(settings: Settings) -> None:
    """This node belongs to nobody."""
    _file(settings).unlink(missing_ok=True)


def facing(settings: Settings, head: str) -> Settings:
    """The settings with the address that this node has towards the head, where none is set.

    Raises:
        Trouble: There is no way to the head.
    """
    if not ip_address(settings.node_address).is_loopback:
        return settings
    host, _, port = head.rpartition(":")
    if not (host and port.isdecimal()):
        raise Trouble(f"{head!r} is not HOST:PORT.", "An example: 192.0.2.1:6379.")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))  # sends nothing
        except OSError as error:
            raise Trouble(
                f"There is no way to {host}: {error.strerror}.", "Is the address right?"
            ) from None
        address: str = probe.getsockname()[0]
    return settings.model_copy(update={"node_address": address})


def _file(settings: Settings) -> Path:
    return settings.state_dir / "head-address"
