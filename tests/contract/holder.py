"""Holds one private libvirtd: a program that tests start (``private_libvirtd``).

    python holder.py HOME

It gets a mount namespace of its own, in which libvirtd's folders are HOME's: libvirt's paths are
compiled in, and two daemons of one user would share them. Orders come on standard input, one a
line: start, kill, stop; each is answered by a line. At the end of input, or of the process that
gave it, libvirtd and every QEMU it left are killed.
"""

import ctypes
import os
import select
import signal
import sys
from pathlib import Path

FOLDERS = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36
#: How long a child that ended may wait to be reaped: virDomainDestroy waits for it.
POLL_MS = 10

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    """Raise for a C call that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter(home: Path) -> None:
    """Make the namespace, and adopt what libvirtd leaves behind when it is killed."""
    check(_libc.unshare(CLONE_NEWNS))
    check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    for name, folder in FOLDERS.items():
        (home / name).mkdir(parents=True, exist_ok=True)
        Path(folder).mkdir(parents=True, exist_ok=True)
        check(_libc.mount(bytes(home / name), folder.encode(), None, MS_BIND, None))
    # Beside version 1 of cgroups, libvirt cannot do with a tree of version 2 without controllers.
    # Where there is none, there is nothing to unmount.
    _libc.umount2(b"/sys/fs/cgroup/unified", MNT_DETACH)
    check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def start(home: Path) -> int:
    """Start libvirtd."""
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawnp(
        "libvirtd",
        [
            "libvirtd",
            "--config",
            "/etc/libvirt/libvirtd.conf",
            "--pid-file",
            f"{home}/libvirtd.pid",
        ],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{home}/libvirtd.out", log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigdef=[signal.SIGPIPE],
    )


def children() -> list[int]:
    """Our children, and those we adopted."""
    me = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]


def reap() -> None:
    """Take note of every child that has ended."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def kill_all() -> None:
    """Kill every child until none is left: killing one may bring us its own."""
    while pids := children():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        select.select([], [], [], POLL_MS / 1000)
        reap()


def main(home: Path) -> None:
    """Carry out orders until there are no more."""
    enter(home)
    libvirtd = 0
    orders = select.poll()
    orders.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    try:
        while True:
            if not orders.poll(POLL_MS):
                reap()
                continue
            order = os.read(sys.stdin.fileno(), 100).decode().strip()
            if not order:
                return
            if order == "start":
                libvirtd = start(home)
            else:
                number = signal.SIGKILL if order == "kill" else signal.SIGTERM
                os.kill(libvirtd, number)
                os.waitpid(libvirtd, 0)
            os.write(sys.stdout.fileno(), f"{libvirtd}\n".encode())
    finally:
        kill_all()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
