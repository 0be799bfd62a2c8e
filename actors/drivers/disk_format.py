"""What a file's own bytes say it is. Images come from outside: nothing they claim is believed.

QEMU opens whatever a qcow2 header points to, with the rights of the process that asks. An image
with a backing file or an external data file could so name any file of a host as its disk
(CVE-2015-5163, CVE-2022-47951, CVE-2024-32498 in Glance, Nova and Cinder): both are refused before
a host sees them. So is an image of another format that says it is raw (CVE-2024-40767): whoever
guessed later would open it as what it is.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from actors.drivers.signatures import (
    HEAD,
    compression_in,
    disk_format_in,
    is_kernel,
    is_ramdisk,
)
from actors.model.errors import Invalid
from actors.model.image import DiskFormat

_QCOW2_MAGIC: Final = b"QFI\xfb"
#: magic, version, backing file offset and size, cluster bits, virtual size, encryption, L1 size and
#: offset. All numbers are big-endian (QEMU: docs/interop/qcow2.txt).
_HEADER: Final = struct.Struct(">4sIQIIQIIQ")
#: Version 3 goes on with: incompatible, compatible, autoclear features, refcount order, its length.
_HEADER_3: Final = struct.Struct(">QQQII")
_HEADER_3_OFFSET: Final = 72
_CORRUPT: Final = 1 << 1
_EXTERNAL_DATA: Final = 1 << 2
#: Dirty, corrupt, external data file, compression type, extended L2 entries.
_KNOWN_FEATURES: Final = 0b11111
_END_OF_EXTENSIONS: Final = 0
_EXTERNAL_DATA_NAME: Final = 0x44415441
#: The header and its extensions lie in the first cluster; none is larger.
_MAX_CLUSTER: Final = 2 * 1024 * 1024


def virtual_size(path: Path, disk_format: DiskFormat, limit: int) -> int:
    """How many bytes a guest sees of this file; 0 for a kernel or a ramdisk.

    Raises:
        Invalid: The file is not what ``disk_format`` says, it is not safe to open, or its disk is
            larger than ``limit`` bytes.
    """
    size = _virtual_size(path, disk_format)
    if size > limit:
        raise _invalid(f"The image is a disk of {size} bytes; the largest one has {limit}.")
    return size


def _virtual_size(path: Path, disk_format: DiskFormat) -> int:
    size = path.stat().st_size
    if size == 0:
        raise _invalid("The file is empty.")
    with path.open("rb") as file:
        match disk_format:
            case DiskFormat.AKI:
                _check(is_kernel(file.read(HEAD)), "a Linux kernel (bzImage, vmlinux or gzip)")
                return 0
            case DiskFormat.ARI:
                _check(is_ramdisk(file.read(HEAD)), "a ramdisk (cpio, plain or compressed)")
                return 0
            case DiskFormat.RAW:
                _check_raw(file.read(HEAD))
                return size
            case DiskFormat.QCOW2:
                return _check_qcow2(file, size)


def _check(is_that: bool, what: str) -> None:
    if not is_that:
        raise _invalid(f"The file is not {what}.")


def _check_raw(head: bytes) -> None:
    found = disk_format_in(head)
    if found is not None:
        raise _invalid(f"The file is a {found} image, not a raw one.")
    compressed = compression_in(head)
    if compressed is not None:
        raise _invalid(f"The file is compressed with {compressed}. Unpack it first.")


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    backing_offset: int
    cluster_bits: int
    virtual_size: int
    encryption: int
    l1_end: int
    features: int
    length: int


def _check_qcow2(file: BinaryIO, size: int) -> int:
    start = file.read(_MAX_CLUSTER)
    header = _parse(start)
    if header.backing_offset:
        raise _invalid("The image has a backing file. Flatten it (qemu-img convert) first.")
    if header.features & _EXTERNAL_DATA or _EXTERNAL_DATA_NAME in _extensions(start, header):
        raise _invalid("The image keeps its data in another file. Flatten it first.")
    if header.features & _CORRUPT:
        raise _invalid("The image is marked as corrupt. Repair it (qemu-img check -r all) first.")
    if header.features & ~_KNOWN_FEATURES:
        raise _invalid(f"The image has unknown features ({header.features:#x}).")
    if header.encryption:
        raise _invalid("The image is encrypted. No key would be there to open it.")
    if not header.virtual_size:
        raise _invalid("The image is a disk of 0 bytes.")
    if header.l1_end > size:
        raise _invalid("The file is cut short: its tables lie behind its end.")
    return header.virtual_size


def _parse(start: bytes) -> _Header:
    if not start.startswith(_QCOW2_MAGIC):
        found = disk_format_in(start[:HEAD]) or compression_in(start)
        what = f": it is {found}" if found else ""
        raise _invalid(f"The file is not a qcow2 image{what}.")
    if len(start) < _HEADER_3_OFFSET:
        raise _invalid("The file is cut short within its header.")
    (_, version, backing, _, cluster_bits, virtual, encryption, l1_size, l1_offset) = (
        _HEADER.unpack_from(start)
    )
    if version not in (2, 3):
        raise _invalid(f"qcow2 version {version} is not known.")
    if not 9 <= cluster_bits <= 21:  # 512 bytes to 2 MiB, as QEMU has it
        raise _invalid("The header makes no sense: cluster size.")
    features, length = 0, _HEADER_3_OFFSET
    if version == 3:
        if len(start) < _HEADER_3_OFFSET + _HEADER_3.size:
            raise _invalid("The file is cut short within its header.")
        features, _, _, _, length = _HEADER_3.unpack_from(start, _HEADER_3_OFFSET)
        if not _HEADER_3_OFFSET + _HEADER_3.size <= length <= 1 << cluster_bits:
            raise _invalid("The header makes no sense: its length.")
    return _Header(
        version,
        backing,
        cluster_bits,
        virtual,
        encryption,
        l1_offset + 8 * l1_size,
        features,
        length,
    )


def _extensions(start: bytes, header: _Header) -> set[int]:
    """The types of the header's extensions; each is type, length, data padded to 8 bytes."""
    found: set[int] = set()
    at, end = header.length, min(len(start), 1 << header.cluster_bits)
    while at + 8 <= end:
        kind, length = struct.unpack_from(">II", start, at)
        if kind == _END_OF_EXTENSIONS:
            break
        found.add(kind)
        at += 8 + (length + 7) // 8 * 8
    return found


def _invalid(what: str) -> Invalid:
    return Invalid(what, "IMAGE_FORMAT", metadata={"disk_format": what})
