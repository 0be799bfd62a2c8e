"""The ramdisk: drivers in the order they load, and the archive format the kernel unpacks."""

import gzip
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from tools.guest_image import tree
from tools.guest_image.host import GuestImageError
from tools.guest_image.tree import Node, Tree

#: Drivers for what a hypervisor shows the guest. ext4 is built into Debian's cloud kernel.
DRIVERS: Final = (
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_scsi",
    "sd_mod",
    # An IDE CD-ROM carries the config drive, as ISO 9660 or as FAT.
    "ata_piix",
    "sr_mod",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859_1",
    # The power button reaches acpid as an input event.
    "button",
    "evdev",
    "virtio_rng",
    "virtio_balloon",
    "virtio_console",
)

#: What the guest needs before it has its root disk; the shell's built-in commands do the rest.
_EARLY_COMMANDS: Final = (
    "findfs",
    "insmod",
    "mount",
    "sh",
    "sleep",
    "switch_root",
    "umount",
)


def driver_name(path: str) -> str:
    """Return the kernel's name of a module file: `virtio-rng.ko` is `virtio_rng`."""
    return PurePosixPath(path).name.removesuffix(".ko").replace("-", "_")


def dependencies(module: bytes) -> list[str]:
    """Return the modules that a module file names as needed."""
    field = re.search(rb"\0depends=([^\0]*)\0", module)
    return field[1].decode().split(",") if field and field[1] else []


def load_order(wanted: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the wanted modules and all they need, each after what it needs.

    Args:
        wanted: Module names, in the order to prefer.
        needs: For each module of the kernel, the modules it needs.
    """
    order: dict[str, None] = {}

    def add(name: str) -> None:
        if name in order:
            return
        if name not in needs:
            raise GuestImageError(f"The kernel has no module {name}.")
        for need in needs[name]:
            add(need)
        order[name] = None

    for name in wanted:
        add(name)
    return list(order)


def drivers(kernel: Tree) -> Tree:
    """Return the modules the guest loads, and `order`, which lists them for /init."""
    modules = {driver_name(path): node for path, node in kernel.items() if path.endswith(".ko")}
    order = load_order(
        DRIVERS, {name: dependencies(node.content) for name, node in modules.items()}
    )
    found = {f"lib/modules/{name}.ko": modules[name] for name in order}
    listing = "".join(f"{name}.ko\n" for name in order)
    return {**found, "lib/modules/order": tree.file(listing.encode())}


def early_userland(busybox: Node) -> Tree:
    """Return just enough to load drivers and hand over to a root disk."""
    folders = {name: tree.folder() for name in ("dev", "mnt", "proc", "sys")}
    commands = {f"bin/{name}": tree.link("busybox") for name in _EARLY_COMMANDS}
    return {**folders, **commands, "bin/busybox": busybox, "sbin": tree.link("bin")}


def archive(files: Tree, *, mtime: int) -> bytes:
    """Return the tree as a gzipped cpio archive, the same bytes for the same tree."""
    packed = bytearray()
    for number, (path, node) in enumerate(tree.with_parents(files).items(), start=1):
        packed += _record(number, path, node, mtime)
    packed += _record(0, "TRAILER!!!", Node(0), 0)
    return gzip.compress(bytes(packed), compresslevel=6, mtime=0)


def _record(inode: int, path: str, node: Node, mtime: int) -> bytes:
    """Return one file in cpio's "newc" form: 13 hexadecimal fields, the name, the content."""
    name = path.encode() + b"\0"
    links, devices, checksum = 1, (0, 0, 0, 0), 0
    numbers = (inode, node.mode, node.uid, node.gid, links, mtime, len(node.content))
    fields = (*numbers, *devices, len(name), checksum)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(node.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
