"""Image files for tests: qcow2 headers made by hand, and an image actor without Ray."""

import struct
from typing import cast

from actors.image import ImageActor
from actors.ports.clock import Clock
from actors.ports.images import Images
from actors.ports.store import Store

MIB = 1024 * 1024


def qcow2(
    *,
    version: int = 3,
    size: int = 64 * MIB,
    backing: int = 0,
    cluster_bits: int = 16,
    encryption: int = 0,
    features: int = 0,
    header_length: int = 104,
    l1_size: int = 1,
    extensions: bytes = b"",
) -> bytes:
    """An empty disk: a header, and an L1 table in the second of three clusters."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        backing,
        9 if backing else 0,
        cluster_bits,
        size,
        encryption,
        l1_size,
        65536,
        0,
        0,
        0,
        0,
    )
    if version >= 3:
        header += struct.pack(">QQQII", features, 0, 0, 4, header_length)
    return (header + extensions).ljust(3 * 65536, b"\0")


def extension(kind: int, data: bytes) -> bytes:
    """One header extension."""
    return struct.pack(">II", kind, len(data)) + data.ljust((len(data) + 7) // 8 * 8, b"\0")


def bz_image() -> bytes:
    """As much of a kernel as tells that it is one."""
    return bytes(0x202) + b"HdrS" + bytes(500)


def ramdisk() -> bytes:
    """As much of a ramdisk."""
    return b"070701" + bytes(500)


def image_actor(store: Store, clock: Clock, directory: str) -> Images:
    """An actor in this process. Needs a running loop."""
    return cast("Images", ImageActor(store, clock, directory))
