"""Ports for clusters of tests."""

import os
import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports that are free now; outside the range from which the kernel gives ports to others."""
    found: list[int] = []
    with ExitStack() as sockets:
        for port in range(20_000 + os.getpid() % 5_000, 32_000):
            probe = sockets.enter_context(socket.socket())
            try:
                probe.bind(("", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports")
