"""The guest's root filesystem: Debian's programs, our scripts, and who owns what."""

import re
from collections.abc import Iterable
from typing import Final

from tools.guest_image import tree
from tools.guest_image.tree import Tree

#: The version that the guest's banner and the image names give.
VERSION: Final = "0.3.4"

_USER: Final = 1000
_LIBRARY_FOLDER: Final = "lib/x86_64-linux-gnu"
_LIBRARIES: Final = (
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libcrypt.so.1",
    "libgmp.so.10",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libz.so.1",
)

#: Set-uid: busybox for `ping` and `su` (it drops the right for the rest), really for `sudo`.
_PROGRAMS: Final = {
    "busybox": 0o4755,
    "dbclient": 0o755,
    "dropbear": 0o755,
    "dropbearkey": 0o755,
    "really": 0o4755,
}

#: Folders that no file implies, and links by which one folder serves for all programs.
_LAYOUT: Final[Tree] = {
    **{name: tree.folder() for name in ("dev", "mnt", "proc", "run", "sys", "var/log")},
    "bin/ssh": tree.link("dbclient"),
    "etc/dropbear": tree.folder(0o700),
    "home/cirros": tree.folder(uid=_USER, gid=_USER),
    "lib64": tree.link(_LIBRARY_FOLDER),
    "root": tree.folder(0o700),
    "sbin": tree.link("bin"),
    "tmp": tree.folder(0o1777),
    "usr/bin": tree.link("../bin"),
    "usr/sbin": tree.link("../bin"),
    "var/lib/cloud": tree.folder(0o700),
}


def is_program_or_library(path: str) -> bool:
    """Say whether a path in a package may hold what `assemble` takes."""
    return re.fullmatch(rf"(usr/)?(s?bin|{_LIBRARY_FOLDER})/[^/]+", path) is not None


def assemble(programs: Tree, applets: Iterable[str], scripts: Tree) -> Tree:
    """Return the root filesystem.

    Args:
        programs: The programs and libraries of the packages.
        applets: The commands that busybox answers to.
        scripts: Our own files, which win over everything else.
    """
    files = dict(_LAYOUT)
    files |= {f"bin/{name}": tree.link("busybox") for name in applets if name != "busybox"}
    for name, mode in _PROGRAMS.items():
        files[f"bin/{name}"] = tree.file(tree.find(programs, name).content, mode)
    for name in _LIBRARIES:
        path = f"{_LIBRARY_FOLDER}/{name}"
        files[path] = tree.file(tree.find(programs, name).content, 0o755)
    files |= scripts
    files["etc/cirros-version"] = tree.file(f"{VERSION}\n".encode())
    files["etc/shadow"] = tree.file(files["etc/shadow"].content, 0o600)
    # `really` lets in whoever may write to inittab.
    files["etc/inittab"] = tree.file(files["etc/inittab"].content, 0o664, gid=_USER)
    return files
