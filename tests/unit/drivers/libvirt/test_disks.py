"""Sizes, headers and names of root disks."""

import struct
from pathlib import Path

import pytest

from actors.drivers.libvirt.disks import folder_of, wanted_size
from actors.drivers.libvirt.qcow2 import NotQcow2, Qcow2Header
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.model.errors import Invalid
from actors.model.ids import InstanceId
from tests.contract import records

GIB = 1024**3


def header(backing: bytes = b"", features: int = 0, size: int = GIB, version: int = 3) -> bytes:
    offset = 104 if backing else 0
    start = struct.pack(">4sIQIIQI", b"QFI\xfb", version, offset, len(backing), 16, size, 0)
    return start.ljust(72, b"\0") + struct.pack(">Q", features) + b"\0" * 24 + backing


def read(tmp_path: Path, data: bytes) -> Qcow2Header:
    path = tmp_path / "disk"
    path.write_bytes(data)
    return Qcow2Header.read(path)


def test_header(tmp_path: Path) -> None:
    assert read(tmp_path, header()) == Qcow2Header(GIB, "", False)
    assert read(tmp_path, header(b"/base")) == Qcow2Header(GIB, "/base", False)
    assert read(tmp_path, header(features=4)) == Qcow2Header(GIB, "", True)
    # Version 2 has no features: what lies there is something else.
    assert read(tmp_path, header(features=4, version=2)) == Qcow2Header(GIB, "", False)


@pytest.mark.parametrize("data", [b"", b"QFI\xfb", header()[:60], b"\0" * 512, header(b"x" * 1024)])
def test_no_header(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotQcow2):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("disk_gb", "virtual_size", "base_size", "size"),
    [
        (0, 10, 0, 10),
        (1, 10, 0, GIB),
        (1, 2 * GIB, 0, 2 * GIB),
        # The file is believed over the record: a disk smaller than its base would be cut off.
        (0, 10, 20, 20),
    ],
)
def test_size(disk_gb: int, virtual_size: int, base_size: int, size: int) -> None:
    record = records.instance(
        size=records.flavor(disk_gb=disk_gb), boot=records.source(virtual_size=virtual_size)
    )
    assert wanted_size(record, base_size) == size


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "/etc", "7d4b3a52-9f0e-5d7c-8a41-3c1f0a2b4c6d\n"]
)
def test_an_id_that_is_no_uuid_names_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        folder_of(tmp_path, InstanceId(name))


def test_the_state_directory_is_absolute() -> None:
    with pytest.raises(ValueError, match="absolute"):
        LibvirtSettings("qemu:///system", Path("state"))


@pytest.mark.parametrize(
    ("uri", "is_test"),
    [
        ("test:///default", True),
        ("test:///state/node.xml", True),
        ("test+unix:///default", True),
        ("qemu:///system", False),
        ("qemu+unix:///system?socket=/test", False),
    ],
)
def test_the_test_driver_is_told_by_its_uri(uri: str, is_test: bool) -> None:
    assert LibvirtSettings(uri, Path("/state")).is_test is is_test
