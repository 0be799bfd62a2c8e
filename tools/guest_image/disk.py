"""Disk images: an ext4 filesystem, the same behind a partition table and GRUB, as qcow2.

Nothing is mounted and no loop device is used: mke2fs fills the filesystem from a folder, and
the boot code is laid where the BIOS looks for it.
"""

import hashlib
import struct
import uuid
from pathlib import Path
from typing import Final

from tools.guest_image import tree
from tools.guest_image.host import GuestImageError, run
from tools.guest_image.tree import Tree

#: The label by which the kernel command line names the root filesystem.
ROOT_LABEL: Final = "cirros-rootfs"
MIB: Final = 1024 * 1024

_SECTOR: Final = 512
#: Where partitions start by custom; the sectors before it hold GRUB.
FIRST_SECTOR: Final = MIB // _SECTOR
#: boot.img's code ends where the disk signature and the partition table begin.
_BOOT_CODE_SIZE: Final = 440
_PARTITION_TABLE: Final = 446
#: A cylinder, head and sector past what they can express: use the sector numbers instead.
_NO_CHS: Final = b"\xfe\xff\xff"
_LINUX: Final = 0x83

#: Of a filesystem this small nobody resizes the group table, and GRUB knows no checksums.
_FEATURES: Final = "^metadata_csum,^64bit,^resize_inode"
_GRUB_MODULES: Final = ("biosdisk", "part_msdos", "ext2", "linux")


def master_boot_record(boot_code: bytes, first: int, sectors: int) -> bytes:
    """Return sector 0: boot code, and a table of one active Linux partition.

    Args:
        boot_code: GRUB's boot.img; it loads what stands in sector 1.
        first: The first sector of the partition.
        sectors: How many sectors it has.
    """
    active = 0x80
    entry = struct.pack("<B3sB3sII", active, _NO_CHS, _LINUX, _NO_CHS, first, sectors)
    code = boot_code[:_BOOT_CODE_SIZE].ljust(_PARTITION_TABLE, b"\0")
    return (code + entry).ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


def inode_fields(files: Tree, mtime: int) -> str:
    """Return debugfs commands that set what mke2fs copies from the machine of the build.

    That is the owners, which are those of the user who builds, and the time of the last change,
    which is now.
    """
    commands = [f'set_inode_field "/" ctime @{mtime}']
    for path, node in tree.with_parents(files).items():
        for name, value in (("uid", node.uid), ("gid", node.gid), ("ctime", f"@{mtime}")):
            commands.append(f'set_inode_field "/{path}" {name} {value}')
    return "\n".join(commands) + "\n"


def make_filesystem(files: Tree, image: Path, size: int, *, mtime: int) -> None:
    """Write an ext4 filesystem of `size` bytes that holds the files."""
    source = image.with_suffix(".tree")
    source.mkdir()
    tree.write(files, source, mtime=mtime)
    clock = {"E2FSPROGS_FAKE_TIME": str(mtime)}
    identity = uuid.UUID(bytes=hashlib.sha256(repr(sorted(files)).encode()).digest()[:16])
    run(
        "mke2fs",
        "-q",
        *("-t", "ext4"),
        *("-O", _FEATURES),
        *("-L", ROOT_LABEL),
        *("-U", str(identity)),
        *("-E", f"root_owner=0:0,hash_seed={identity}"),
        *("-m", "0"),
        *("-N", "2048"),
        *("-d", source),
        image,
        f"{size // 1024}k",
        env=clock,
    )
    script = image.with_suffix(".debugfs")
    script.write_text(inode_fields(files, mtime))
    run("debugfs", "-w", "-f", script, image, env=clock)


def make_bootable(filesystem: Path, image: Path, grub: Tree, config: bytes) -> None:
    """Write a disk that the BIOS boots: GRUB, and the filesystem as its only partition.

    Args:
        filesystem: The raw filesystem, with the kernel that `config` names.
        image: The raw disk to write.
        grub: GRUB's files for a PC with a BIOS.
        config: GRUB's configuration; it is built into GRUB, which so needs no file of its own.
    """
    parts = image.with_suffix(".grub")
    parts.mkdir()
    for path, node in grub.items():
        (parts / Path(path).name).write_bytes(node.content)
    early, core = image.with_suffix(".cfg"), image.with_suffix(".core")
    early.write_bytes(config)
    run(
        "grub-mkimage",
        *("-O", "i386-pc"),
        *("-d", parts),
        *("-p", "/boot/grub"),
        *("-c", early),
        *("-o", core),
        *_GRUB_MODULES,
    )
    if core.stat().st_size > (FIRST_SECTOR - 1) * _SECTOR:
        raise GuestImageError("GRUB does not fit between the partition table and the partition.")
    sectors = filesystem.stat().st_size // _SECTOR
    boot_code = (parts / "boot.img").read_bytes()
    with image.open("wb") as disk:
        disk.write(master_boot_record(boot_code, FIRST_SECTOR, sectors))
        disk.write(core.read_bytes())
        disk.seek(FIRST_SECTOR * _SECTOR)
        disk.write(filesystem.read_bytes())


def compress(raw: Path, image: Path) -> None:
    """Convert a raw disk to a compressed qcow2 image."""
    run("qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", raw, image)
