"""What the first bytes of a file say it is. Pure.

The disk formats are those that QEMU would take a file for if it were left to guess (the ``_probe``
functions in its ``block/``), and with them those of OpenStack's ``format_inspector`` (oslo.utils).
ISO 9660 is none of them: to QEMU it is a raw disk like others, nothing in it is interpreted, and
Nova boots it as raw, too.
"""

from typing import Final

#: As many bytes of a file as are looked at.
HEAD: Final = 4096

#: Where, what, whose.
_DISKS: Final = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"conectix", "vhd"),
    (0, b"vhdxfile", "vhdx"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop", "cloop"),
)
_GZIP: Final = b"\x1f\x8b"
#: Compressed as a whole: no disk begins so.
_COMPRESSED: Final = (
    (0, _GZIP, "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
)
_KERNELS: Final = (
    (0x202, b"HdrS", "bzImage"),  # Linux: Documentation/arch/x86/boot.rst
    (0, b"\x7fELF", "vmlinux"),
    (0, _GZIP, "gzip"),
    (0x38, b"ARM\x64", "arm64"),  # Linux: Documentation/arch/arm64/booting.rst
)
#: Linux: ``lib/decompress.c``, and cpio as ``init/initramfs.c`` reads it.
_RAMDISKS: Final = (
    *_COMPRESSED,
    (0, b"070701", "cpio"),
    (0, b"070702", "cpio"),
    (0, b"\x02\x21\x4c\x18", "lz4"),
    (0, b"\x5d\0\0", "lzma"),
    (0, b"\x89LZO\0\r\n\x1a\n", "lzo"),
)


def disk_format_in(head: bytes) -> str | None:
    """The disk format that a file with this head has, None for plain bytes."""
    if _is_vmdk_text(head):
        return "vmdk"
    return _first(_DISKS, head)


def compression_in(head: bytes) -> str | None:
    """What the file is compressed with."""
    return _first(_COMPRESSED, head)


def is_kernel(head: bytes) -> bool:
    """Whether it looks like a kernel that QEMU or its firmware can start."""
    return _first(_KERNELS, head) is not None


def is_ramdisk(head: bytes) -> bool:
    """Whether it looks like a ramdisk that Linux can unpack."""
    return _first(_RAMDISKS, head) is not None


def _first(known: tuple[tuple[int, bytes, str], ...], head: bytes) -> str | None:
    return next((name for at, magic, name in known if head.startswith(magic, at)), None)


def _is_vmdk_text(head: bytes) -> bool:
    """Whether it is a descriptor that names other files: comments, then a version.

    As QEMU's ``vmdk_probe`` has it, which does not ask for the usual first line.
    """
    if not head.startswith(b"#"):
        return False
    lines = (line.rstrip(b"\r") for line in head.split(b"\n"))
    text = next((line for line in lines if line.strip() and not line.startswith(b"#")), b"")
    return text.startswith((b"version=1", b"version=2", b"version=3")) or head.startswith(
        b"# Disk DescriptorFile"
    )
