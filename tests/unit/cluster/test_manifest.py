"""The image manifest: read, resolved by name, registered once."""

import json
from pathlib import Path
from typing import cast

import pytest

from actors.model.ids import ProjectId
from actors.model.image import DiskFormat, Image
from actors.ports.images import Images
from cluster.manifest import read_manifest, register
from cluster.trouble import Trouble

PROJECT = ProjectId("admin")


class Registry:
    """``ports.images.Images``, as far as registering needs it."""

    def __init__(self) -> None:
        self.known: list[Image] = []

    async def images(self) -> tuple[Image, ...]:
        return tuple(self.known)

    async def register(self, image: Image, path: str) -> Image:
        for known in self.known:
            if known.name == image.name:
                return known
        self.known.append(image)
        return image


def registry() -> Images:
    return cast("Images", Registry())


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "vmlinuz").write_bytes(b"kernel")
    (tmp_path / "root.qcow2").write_bytes(b"disk")
    images = [
        {"name": "k", "file": "vmlinuz", "disk_format": "aki", "min_disk": 0, "min_ram": 96},
        {
            "name": "d",
            "file": "root.qcow2",
            "disk_format": "qcow2",
            "min_disk": 1,
            "min_ram": 96,
            "properties": {"kernel_id": "k", "os_command_line": "quiet"},
        },
    ]
    path = tmp_path / "images.json"
    path.write_text(json.dumps({"images": images}))
    return path


async def test_a_kernel_is_found_by_name(manifest: Path) -> None:
    images = registry()
    made = [await register(images, PROJECT, entry) for entry in read_manifest(manifest)]
    (kernel, _), (disk, new) = made
    assert new
    assert disk.kernel_id == kernel.id
    assert disk.ramdisk_id is None
    assert disk.disk_format is DiskFormat.QCOW2
    assert (disk.min_disk_gb, disk.min_memory_mb) == (1, 96)
    assert disk.properties == {"os_command_line": "quiet"}


async def test_twice_is_once(manifest: Path) -> None:
    images = registry()
    for entry in read_manifest(manifest):
        await register(images, PROJECT, entry)
    again = [await register(images, PROJECT, entry) for entry in read_manifest(manifest)]
    assert [new for _, new in again] == [False, False]
    assert len(await images.images()) == 2


async def test_a_kernel_nobody_knows_is_told_of(manifest: Path) -> None:
    _, disk = read_manifest(manifest)
    with pytest.raises(Trouble, match="Image k is not registered"):
        await register(registry(), PROJECT, disk)


async def test_a_missing_file_is_told_of(manifest: Path) -> None:
    (manifest.parent / "vmlinuz").unlink()
    kernel, _ = read_manifest(manifest)
    with pytest.raises(Trouble, match="There is no file"):
        await register(registry(), PROJECT, kernel)


@pytest.mark.parametrize("text", ["", "[]", '{"images": [{}]}', '{"images": [1]}'])
def test_what_is_no_manifest_is_told_of(tmp_path: Path, text: str) -> None:
    path = tmp_path / "images.json"
    path.write_text(text)
    with pytest.raises(Trouble, match="no image manifest"):
        read_manifest(path)


def test_a_manifest_that_is_not_there_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="make guest-image"):
        read_manifest(tmp_path / "images.json")
