"""What an image file looks like, so that nobody has to say it. The server decides."""

from typing import Final

from protos.novaray.v1.images_pb2 import Image

#: As many bytes of a file as are looked at.
HEAD: Final = 1024

FORMATS: Final = {
    "qcow2": Image.DISK_FORMAT_QCOW2,
    "raw": Image.DISK_FORMAT_RAW,
    "aki": Image.DISK_FORMAT_AKI,
    "ari": Image.DISK_FORMAT_ARI,
}

_SEEN: Final = (
    (0, b"QFI\xfb", "qcow2"),
    (0x202, b"HdrS", "aki"),
    (0, b"\x7fELF", "aki"),
    (0x38, b"ARM\x64", "aki"),
    (0, b"\x1f\x8b", "ari"),
    (0, b"07070", "ari"),
    (0, b"\xfd7zXZ\0", "ari"),
    (0, b"\x28\xb5\x2f\xfd", "ari"),
    (0, b"\x02\x21\x4c\x18", "ari"),
)


def format_seen(head: bytes) -> Image.DiskFormat.ValueType:
    """The format of a file with this head: raw where it looks like nothing else.

    A gzip file is taken for a ramdisk, though some kernels are packed so, too.
    """
    name = next((name for at, magic, name in _SEEN if head.startswith(magic, at)), "raw")
    return FORMATS[name]
