"""Images from outside: what is refused, and why."""

from pathlib import Path

import pytest

from actors.drivers.disk_format import virtual_size
from actors.model.errors import Invalid
from actors.model.image import DiskFormat
from tests.fakes.image_files import MIB, extension, qcow2


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


@pytest.mark.parametrize("disk_format", [DiskFormat.AKI, DiskFormat.ARI])
def test_a_kernel_has_no_virtual_size(tmp_path: Path, disk_format: DiskFormat) -> None:
    assert seen(tmp_path, b"MZ", disk_format) == 0


def test_a_raw_disk_is_as_large_as_its_file(tmp_path: Path) -> None:
    assert seen(tmp_path, bytes(1000), DiskFormat.RAW) == 1000


@pytest.mark.parametrize("disk_format", DiskFormat)
def test_nothing_is_empty(tmp_path: Path, disk_format: DiskFormat) -> None:
    with pytest.raises(Invalid, match="empty"):
        seen(tmp_path, b"", disk_format)


@pytest.mark.parametrize(
    ("content", "name"),
    [(qcow2(), "qcow2"), (b"KDMV" + bytes(600), "vmdk"), (b"QED\0", "qed")],
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
