"""The host's cache: one download, checked, and what is left after each way of failing."""

import asyncio
import errno
import fcntl
import hashlib
import os
import struct
from pathlib import Path

import pytest

from actors.drivers.contents import CHUNK
from actors.drivers.image_cache import ImageCache
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.part_file import PartFile
from actors.model.errors import (
    ComputeError,
    Exhausted,
    HypervisorRefused,
    Invalid,
    NotFound,
    Unavailable,
)
from actors.model.ids import ImageId
from actors.model.image import BootFile, BootSource, DiskFormat

BYTES = bytes(range(256)) * 40_000  # two chunks and a half


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Served:
    """Images by checksum, and what was asked for."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {sha(content): content for content in contents}
        self.asked: list[int] = []
        self.fails_at: dict[int, ComputeError] = {}

    async def read(self, sha256: str, offset: int, length: int) -> bytes:
        await asyncio.sleep(0)
        self.asked.append(offset)
        if offset in self.fails_at:
            raise self.fails_at.pop(offset)
        if sha256 not in self.contents:
            raise NotFound("gone")
        return self.contents[sha256][offset : offset + length]


def boot_file(content: bytes, disk_format: DiskFormat = DiskFormat.RAW) -> BootFile:
    return BootFile(
        image=ImageId("image"), sha256=sha(content), size=len(content), disk_format=disk_format
    )


def source(content: bytes = BYTES) -> BootSource:
    return BootSource(
        image=ImageId("image"), image_name="disk", disk=boot_file(content), virtual_size=1
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "cache"
    made.mkdir()
    return made


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


async def test_files_are_fetched_checked_and_found_again(directory: Path) -> None:
    images = Served(BYTES, b"kernel", b"ramdisk")
    cache = ImageCache(directory, images)
    wanted = source().evolve(
        kernel=boot_file(b"kernel", DiskFormat.AKI), ramdisk=boot_file(b"ramdisk", DiskFormat.ARI)
    )
    files = await cache.ensure(wanted)
    assert files.disk == directory / sha(BYTES)
    assert files.disk.read_bytes() == BYTES
    assert files.disk.stat().st_mode & 0o777 == 0o444
    assert files.kernel is not None
    assert files.kernel.read_bytes() == b"kernel"
    assert files.ramdisk == directory / sha(b"ramdisk")
    asked = len(images.asked)
    assert await cache.ensure(wanted) == files
    assert await ImageCache(directory, images).ensure(wanted) == files
    assert len(images.asked) == asked
    assert len(names(directory)) == 3


async def test_the_directory_is_made_and_a_disk_without_a_kernel_is_enough(
    directory: Path,
) -> None:
    files = await ImageCache(directory / "new", Served(BYTES)).ensure(source())
    assert (files.kernel, files.ramdisk) == (None, None)


async def test_pieces_are_of_one_chunk(directory: Path) -> None:
    images = Served(BYTES)
    await ImageCache(directory, images).ensure(source())
    assert images.asked == [0, CHUNK, 2 * CHUNK]


async def test_many_instances_are_one_download(directory: Path) -> None:
    images = Served(BYTES)
    cache = ImageCache(directory, images)
    files = await asyncio.gather(*(cache.ensure(source()) for _ in range(20)))
    assert len(set(files)) == 1
    assert images.asked == [0, CHUNK, 2 * CHUNK]
    assert repr(cache).endswith("0 downloads)")


async def test_one_that_is_cancelled_does_not_stop_the_others(directory: Path) -> None:
    cache = ImageCache(directory, Served(BYTES))
    gone, waits = (asyncio.create_task(cache.ensure(source())) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await waits).disk.read_bytes() == BYTES


async def test_a_download_that_was_cut_off_goes_on_where_it_stopped(directory: Path) -> None:
    images = Served(BYTES)
    images.fails_at[CHUNK] = Unavailable("away")
    with pytest.raises(Unavailable):
        await ImageCache(directory, images).ensure(source())
    assert names(directory) == {f".{sha(BYTES)}.part"}
    images.asked.clear()
    files = await ImageCache(directory, images).ensure(source())
    assert images.asked == [CHUNK, 2 * CHUNK]
    assert files.disk.read_bytes() == BYTES
    assert names(directory) == {sha(BYTES)}


@pytest.mark.parametrize("left", [b"spoilt", BYTES + b"more", bytes(len(BYTES))])
async def test_what_a_crash_spoilt_is_fetched_anew(directory: Path, left: bytes) -> None:
    (directory / f".{sha(BYTES)}.part").write_bytes(left)
    files = await ImageCache(directory, Served(BYTES)).ensure(source())
    assert files.disk.read_bytes() == BYTES
    assert names(directory) == {sha(BYTES)}


async def test_a_cached_file_of_the_wrong_size_is_fetched_again(directory: Path) -> None:
    (directory / sha(BYTES)).write_bytes(b"short")
    files = await ImageCache(directory, Served(BYTES)).ensure(source())
    assert files.disk.read_bytes() == BYTES


@pytest.mark.parametrize("served", [b"x" * len(BYTES), BYTES[:-1], b""])
async def test_bytes_with_another_checksum_are_refused(directory: Path, served: bytes) -> None:
    images = Served()
    images.contents[sha(BYTES)] = served
    with pytest.raises(HypervisorRefused) as raised:
        await ImageCache(directory, images).ensure(source())
    assert raised.value.reason == "IMAGE_CHECKSUM_MISMATCH"
    assert names(directory) == set()


async def test_an_image_that_is_gone_is_not_found(directory: Path) -> None:
    with pytest.raises(NotFound) as raised:
        await ImageCache(directory, Served()).ensure(source())
    assert raised.value.reason == "IMAGE_NOT_FOUND"
    assert raised.value.metadata == {"image": "image"}
    assert names(directory) == set()


@pytest.mark.parametrize(
    ("number", "expected", "reason"),
    [
        (errno.ENOSPC, Exhausted, "DISK_FULL"),
        (errno.EIO, HypervisorRefused, "IMAGE_CACHE_FAILED"),
    ],
)
async def test_a_disk_that_fails_leaves_no_part(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[ComputeError],
    reason: str,
) -> None:
    def fails(part: object, piece: bytes) -> None:
        raise OSError(number, "broken")

    monkeypatch.setattr(PartFile, "append", fails)
    with pytest.raises(expected) as raised:
        await ImageCache(directory, Served(BYTES)).ensure(source())
    assert raised.value.reason == reason
    assert names(directory) == set()


async def test_another_process_that_fetches_it_is_left_alone(directory: Path) -> None:
    part = directory / f".{sha(BYTES)}.part"
    with part.open("wb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(Unavailable):
            await ImageCache(directory, Served(BYTES)).ensure(source())
        assert part.exists()
    files = await ImageCache(directory, Served(BYTES)).ensure(source())
    assert files.disk.read_bytes() == BYTES


async def test_what_is_no_checksum_never_becomes_a_path(directory: Path) -> None:
    wrong = source().evolve(disk=boot_file(BYTES).evolve(sha256="../../etc/passwd"))
    with pytest.raises(Invalid):
        await ImageCache(directory, Served(BYTES)).ensure(wrong)


# --- what nobody needs any more ----------------------------------------------------------------

DAY = 86_400.0


def aged(path: Path, seconds: float, content: bytes = b"") -> Path:
    if content:
        path.write_bytes(content)
    os.utime(path, (NOW - seconds, NOW - seconds))
    return path


NOW = 1_800_000_000.0


async def test_what_nobody_used_for_a_day_goes(directory: Path) -> None:
    cache = ImageCache(directory, Served())
    for content, age in ((b"old", DAY + 1), (b"young", DAY - 1), (b"placed", 9 * DAY)):
        aged(directory / sha(content), age, content)
    await cache.sweep([source(b"placed")], directory.parent, NOW, DAY)
    assert names(directory) == {sha(b"young"), sha(b"placed")}


async def test_kernel_and_ramdisk_of_an_instance_stay(directory: Path) -> None:
    wanted = source(b"disk").evolve(kernel=boot_file(b"kernel"), ramdisk=boot_file(b"ramdisk"))
    for content in (b"disk", b"kernel", b"ramdisk", b"other"):
        aged(directory / sha(content), 9 * DAY, content)
    await ImageCache(directory, Served()).sweep([wanted], directory.parent, NOW, DAY)
    assert names(directory) == {sha(b"disk"), sha(b"kernel"), sha(b"ramdisk")}


@pytest.mark.parametrize("spelled", ["{}", "json:{{'file.filename': '{}'}}"])
async def test_a_backing_file_stays_whatever_the_records_say(directory: Path, spelled: str) -> None:
    base = aged(directory / sha(b"base"), 9 * DAY, b"base")
    disk = directory.parent / "instances" / "vm" / "aside" / "disk.qcow2"
    disk.parent.mkdir(parents=True)
    name = spelled.format(base).encode()
    header = struct.pack(">4sIQIIQI", b"QFI\xfb", 3, 112, len(name), 16, 1 << 20, 0)
    disk.write_bytes(header.ljust(112, b"\0") + name)
    await ImageCache(directory, Served()).sweep([], directory.parent, NOW, DAY)
    assert names(directory) == {base.name}
    disk.unlink()
    await ImageCache(directory, Served()).sweep([], directory.parent, NOW, DAY)
    assert names(directory) == set()


async def test_what_an_instance_asks_for_is_used(directory: Path) -> None:
    path = aged(directory / sha(BYTES), 9 * DAY, BYTES)
    cache = ImageCache(directory, Served())
    await cache.ensure(source())
    await cache.sweep([], directory.parent, path.stat().st_mtime + 1, DAY)
    assert names(directory) == {path.name}


async def test_downloads_that_were_given_up_go_and_others_go_on(directory: Path) -> None:
    aged(directory / f".{sha(b'a')}.part", 3601, b"half")
    young = aged(directory / f".{sha(b'b')}.part", 3599, b"half")
    aged(directory / f".going-{sha(b'c')}", 1, b"swept when a crash came")
    await ImageCache(directory, Served()).sweep([], directory.parent, NOW, DAY)
    assert names(directory) == {young.name}


async def test_a_disk_that_cannot_be_read_keeps_everything(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = aged(directory / sha(b"base"), 9 * DAY, b"base")
    (directory.parent / "disk.qcow2").write_bytes(b"?")

    def unreadable(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Qcow2Header, "read", unreadable)
    with pytest.raises(PermissionError):
        await ImageCache(directory, Served()).sweep([], directory.parent, NOW, DAY)
    assert names(directory) == {base.name}
    await ImageCache(directory / "none", Served()).sweep([], directory, NOW, DAY)
