"""Images from outside: what is refused, and why."""

from pathlib import Path

import pytest

from actors.drivers.disk_format import virtual_size
from actors.model.errors import Invalid
from actors.model.image import DiskFormat
from tests.fakes.image_files import MIB, bz_image, extension, qcow2, ramdisk


def seen(tmp_path: Path, content: bytes, disk_format: DiskFormat) -> int:
    file = tmp_path / "image"
    file.write_bytes(content)
    return virtual_size(file, disk_format, 1 << 40)


@pytest.mark.parametrize(
    "content",
    [
        qcow2(),
        qcow2(version=2),
        qcow2(features=0b11001, extensions=extension(0xE2792ACA, b"raw")),
        qcow2(header_length=112),
    ],
)
def test_a_qcow2_image_says_how_large_its_disk_is(tmp_path: Path, content: bytes) -> None:
    assert seen(tmp_path, content, DiskFormat.QCOW2) == 64 * MIB


ARM64 = bytes(0x38) + b"ARM\x64"
KERNELS = [bz_image(), b"\x7fELF" + bytes(100), b"\x1f\x8b\x08" + bytes(100), ARM64]
RAMDISKS = [
    ramdisk(),
    b"070702" + bytes(100),
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x02\x21\x4c\x18",
    b"BZh9",
    b"\x5d\0\0\x80",
    b"\x89LZO\0\r\n\x1a\n",
]


@pytest.mark.parametrize(
    ("disk_format", "content"),
    [
        *((DiskFormat.AKI, content) for content in KERNELS),
        *((DiskFormat.ARI, content) for content in RAMDISKS),
    ],
)
def test_a_kernel_has_no_virtual_size(
    tmp_path: Path, disk_format: DiskFormat, content: bytes
) -> None:
    assert seen(tmp_path, content, disk_format) == 0


@pytest.mark.parametrize(
    ("disk_format", "content"),
    [
        (DiskFormat.AKI, b"MZ" + bytes(1000)),
        (DiskFormat.AKI, b"#!/bin/sh\n"),
        (DiskFormat.AKI, qcow2()),
        (DiskFormat.AKI, ramdisk()),
        (DiskFormat.ARI, bz_image()),
        (DiskFormat.ARI, bytes(1000)),
        (DiskFormat.ARI, qcow2()),
    ],
)
def test_what_is_no_kernel_or_ramdisk(
    tmp_path: Path, disk_format: DiskFormat, content: bytes
) -> None:
    with pytest.raises(Invalid, match="is not a") as raised:
        seen(tmp_path, content, disk_format)
    assert raised.value.reason == "IMAGE_FORMAT"


def test_no_disk_is_larger_than_images_may_be(tmp_path: Path) -> None:
    file = tmp_path / "image"
    for content, disk_format in (
        (qcow2(size=1 << 62), DiskFormat.QCOW2),
        (b"12345", DiskFormat.RAW),
    ):
        file.write_bytes(content)
        with pytest.raises(Invalid, match="the largest one has 4"):
            virtual_size(file, disk_format, 4)


@pytest.mark.parametrize(
    "content",
    [
        bytes(1000),
        b"# a text\nand more\n",
        bytes(510) + b"\x55\xaa",  # a partition table
        bytes(32769) + b"CD001\1",  # ISO 9660: nothing but a raw disk to QEMU
    ],
)
def test_a_raw_disk_is_as_large_as_its_file(tmp_path: Path, content: bytes) -> None:
    assert seen(tmp_path, content, DiskFormat.RAW) == len(content)


@pytest.mark.parametrize("disk_format", DiskFormat)
def test_nothing_is_empty(tmp_path: Path, disk_format: DiskFormat) -> None:
    with pytest.raises(Invalid, match="empty"):
        seen(tmp_path, b"", disk_format)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (qcow2(), "qcow2"),
        (qcow2(version=1), "qcow2"),
        (b"KDMV" + bytes(600), "vmdk"),
        (b"COWD" + bytes(600), "vmdk"),
        (b"# Disk DescriptorFile\nCID=1\n", "vmdk"),
        (b'# a comment\n\n#\nversion=1\nRW 9 FLAT "/etc/shadow"\n', "vmdk"),
        (b"QED\0", "qed"),
        (b"conectix" + bytes(600), "vhd"),
        (b"vhdxfile" + bytes(600), "vhdx"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe" + bytes(600), "vdi"),
        (b"LUKS\xba\xbe\0\x02", "luks"),
        (b"WithouFreSpacExt", "parallels"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\xfd7zXZ\0", "compressed with xz"),
    ],
)
def test_a_raw_disk_does_not_look_like_another_format(
    tmp_path: Path, content: bytes, name: str
) -> None:
    with pytest.raises(Invalid, match=name):
        seen(tmp_path, content, DiskFormat.RAW)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not an image" * 100, "not a qcow2"),
        (b"KDMV" + bytes(600), "not a qcow2 image: it is vmdk"),
        (qcow2()[:60], "cut short within its header"),
        (qcow2()[:90], "cut short within its header"),
        (qcow2()[:65536], "cut short: its tables"),
        (qcow2(version=4), "version 4"),
        (qcow2(version=1), "version 1"),
        (qcow2(backing=512), "backing file"),
        (qcow2(version=2, backing=512), "backing file"),
        (qcow2(features=0b100), "another file"),
        (qcow2(extensions=extension(0x44415441, b"/etc/shadow")), "another file"),
        (
            qcow2(extensions=extension(1, b"abc") + extension(0x44415441, b"x")),
            "another file",
        ),
        (qcow2(features=0b10), "corrupt"),
        (qcow2(features=0b100000), "unknown features"),
        (qcow2(encryption=2), "encrypted"),
        (qcow2(size=0), "0 bytes"),
        (qcow2(cluster_bits=40), "cluster size"),
        (qcow2(header_length=8), "makes no sense: its length"),
        (qcow2(l1_size=2**31), "cut short: its tables"),
    ],
)
def test_a_qcow2_image_that_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why) as raised:
        seen(tmp_path, content, DiskFormat.QCOW2)
    assert raised.value.reason == "IMAGE_FORMAT"
