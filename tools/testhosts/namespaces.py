"""The few system calls on namespaces and mounts that Python 3.11 does not offer."""

import contextlib
import ctypes
import os
import socket
import threading
from pathlib import Path
from typing import Final

from tools.testhosts.plan import Network

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_SLAVE: Final = 0x8_0000

_MNT_DETACH: Final = 0x2
_PR_SET_CHILD_SUBREAPER: Final = 36
_SO_NETNS_COOKIE: Final = 71

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system or, with MS_BIND, a folder or file; an empty text means none."""
    texts = [text.encode() or None for text in (source, target, kind, options)]
    _check(_libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def detach(target: str) -> None:
    """Take a mount, and all that is mounted in it, out of sight."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), f"umount {target}")


def set_hostname(name: str) -> None:
    """Name the UTS namespace of this process."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname")


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def own_network() -> Network:
    """Identify the network namespace of the calling thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        cookie = probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    inode = os.stat("/proc/thread-self/ns/net").st_ino
    return Network(inode, int.from_bytes(cookie, "little"))


def network_of(namespace: Path) -> Network | None:
    """Identify a network namespace by its file in /proc; None when it is gone."""
    found: list[Network] = []

    def look() -> None:
        # The last process of the namespace may end at any moment, and the file goes with it.
        with contextlib.suppress(OSError):
            with namespace.open() as file:
                _check(_libc.setns(file.fileno(), CLONE_NEWNET), "setns")
            found.append(own_network())

    # setns() moves one thread only: this one lives no longer than the question.
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0] if found else None
