"""The image actor: what it takes in, hands out and forgets."""

import asyncio
import errno
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from actors.drivers.contents import CHUNK
from actors.model.errors import AlreadyExists, Exhausted, Invalid, NotFound, Unavailable
from actors.model.ids import ImageId, ProjectId
from actors.model.image import DiskFormat, Image, ImageStatus
from actors.ports.images import Images
from actors.ports.store import Table
from tests.fakes.clock import FakeClock
from tests.fakes.image_files import MIB, image_actor, qcow2
from tests.fakes.memory_store import MemoryStore


def image(name: str, disk_format: DiskFormat = DiskFormat.RAW, day: int = 1) -> Image:
    return Image(
        id=ImageId(str(uuid4())),
        project=ProjectId("p"),
        name=name,
        disk_format=disk_format,
        created=datetime(2026, 1, day, tzinfo=UTC),
    )


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.files = tmp_path / "files"
        self.files.mkdir()
        self.directory = tmp_path / "images"
        self.actor = self.restart()

    def restart(self) -> Images:
        self.actor = image_actor(self.store, self.clock, str(self.directory))
        return self.actor

    def file(self, content: bytes) -> str:
        path = self.files / hashlib.sha256(content).hexdigest()[:8]
        path.write_bytes(content)
        return str(path)

    async def add(
        self, name: str, content: bytes = b"bytes", disk_format: DiskFormat = DiskFormat.RAW
    ) -> Image:
        return await self.actor.register(image(name, disk_format), self.file(content))

    def kept(self) -> set[str]:
        return {file.name for file in self.directory.iterdir()}

    def stored(self) -> list[Image]:
        rows = self.store.rows[Table.IMAGES].values()
        return [Image.model_validate_json(row.body) for row in rows]


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_an_image_is_measured_checked_and_kept_under_its_checksum(bench: Bench) -> None:
    content = qcow2(size=5 * MIB)
    added = await bench.add("disk", content, DiskFormat.QCOW2)
    assert added.status is ImageStatus.ACTIVE
    assert (added.size, added.virtual_size) == (len(content), 5 * MIB)
    assert added.sha256 == sha(content)
    assert bench.stored() == [added]
    kept = bench.directory / added.sha256
    assert kept.read_bytes() == content
    assert kept.stat().st_mode & 0o777 == 0o444
    assert bench.kept() == {added.sha256}


async def test_images_are_listed_newest_first_also_after_a_restart(bench: Bench) -> None:
    for day, name in ((2, "second"), (3, "third"), (1, "first")):
        await bench.actor.register(image(name, day=day), bench.file(name.encode()))
    for actor in (bench.actor, bench.restart()):
        assert [i.name for i in await actor.images()] == ["third", "second", "first"]


async def test_the_same_name_and_content_is_the_same_image(bench: Bench) -> None:
    first = await bench.add("disk")
    assert await bench.add("disk") == first
    assert bench.kept() == {first.sha256}


async def test_a_name_is_taken_by_other_content(bench: Bench) -> None:
    first = await bench.add("disk")
    with pytest.raises(AlreadyExists) as raised:
        await bench.add("disk", b"other")
    assert raised.value.metadata["image"] == first.id
    with pytest.raises(AlreadyExists):
        await bench.actor.register(image("kernel").evolve(id=first.id), bench.file(b"a kernel"))
    assert bench.kept() == {first.sha256}


async def test_another_project_has_names_of_its_own(bench: Bench) -> None:
    await bench.add("disk")
    theirs = image("disk").evolve(project=ProjectId("q"))
    added = await bench.actor.register(theirs, bench.file(b"other"))
    assert added.id == theirs.id


async def test_bytes_go_with_the_last_image_that_has_them(bench: Bench) -> None:
    one, two = await bench.add("one"), await bench.add("two")
    assert bench.kept() == {sha(b"bytes")}
    await bench.actor.delete(one.id)
    assert bench.kept() == {sha(b"bytes")}
    await bench.actor.delete(two.id)
    assert bench.kept() == set()
    assert bench.stored() == []
    await bench.actor.delete(two.id)


@pytest.mark.parametrize(
    ("name", "disk_format", "content"),
    [
        ("backed", DiskFormat.QCOW2, qcow2(backing=512)),
        ("raw", DiskFormat.RAW, qcow2()),
        ("kernel", DiskFormat.AKI, b""),
    ],
)
async def test_what_is_refused_leaves_nothing(
    bench: Bench, name: str, disk_format: DiskFormat, content: bytes
) -> None:
    with pytest.raises(Invalid):
        await bench.add(name, content, disk_format)
    assert bench.kept() == set()
    assert bench.stored() == []


async def test_only_plain_files_are_read(bench: Bench) -> None:
    pipe = bench.files / "pipe"
    os.mkfifo(pipe)
    for path in (bench.files, pipe, bench.files / "missing", "nul\0byte"):
        with pytest.raises(Invalid) as raised:
            await bench.actor.register(image("x"), str(path))
        assert raised.value.reason == "IMAGE_FILE_UNREADABLE"
    assert bench.kept() == set()


async def test_a_full_disk_is_exhausted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exhausted) as raised:
        await bench.add("disk")
    assert raised.value.reason == "DISK_FULL"
    assert bench.kept() == set()


async def test_pieces_are_read_up_to_the_end_and_never_more_than_a_chunk(bench: Bench) -> None:
    content = os.urandom(CHUNK + 1000)
    added = await bench.add("disk", content)
    first = await bench.actor.read(added.sha256, 0, 10 * CHUNK)
    assert first == content[:CHUNK]
    assert await bench.actor.read(added.sha256, CHUNK, CHUNK) == content[CHUNK:]
    assert await bench.actor.read(added.sha256, len(content), CHUNK) == b""
    assert await bench.actor.read(added.sha256, 3, 2) == content[3:5]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
async def test_what_is_no_checksum_never_becomes_a_path(bench: Bench, name: str) -> None:
    with pytest.raises(Invalid):
        await bench.actor.read(name, 0, 1)


async def test_content_nobody_registered_is_not_found(bench: Bench) -> None:
    await bench.add("disk")
    stray = bench.directory / sha(b"stray")
    stray.write_bytes(b"stray")
    with pytest.raises(NotFound) as raised:
        await bench.actor.read(stray.name, 0, 1)
    assert raised.value.reason == "IMAGE_NOT_FOUND"
    with pytest.raises(Invalid):
        await bench.actor.read(sha(b"bytes"), -1, 1)


async def test_lost_bytes_are_not_found(bench: Bench) -> None:
    added = await bench.add("disk")
    (bench.directory / added.sha256).unlink()
    with pytest.raises(NotFound):
        await bench.actor.read(added.sha256, 0, 1)
    await bench.actor.delete(added.id)


async def test_a_start_clears_what_was_half_copied_and_nothing_else(bench: Bench) -> None:
    added = await bench.add("disk")
    half = bench.directory / ".incoming-1234"
    half.write_bytes(b"half")
    stray = bench.directory / sha(b"stray")
    stray.write_bytes(b"stray")
    await bench.restart().images()
    assert bench.kept() == {added.sha256, stray.name}


@pytest.mark.parametrize("written", [False, True])
async def test_after_a_commit_that_failed_the_records_are_read_again(
    bench: Bench, written: bool
) -> None:
    await bench.actor.images()
    bench.store.fail_next(Unavailable("away"), after_writing=written)
    with pytest.raises(Unavailable):
        await bench.add("disk")
    assert len(await bench.actor.images()) == int(written)
    added = await bench.add("disk")
    assert bench.stored() == [added]


async def test_a_replaced_actor_stops(bench: Bench) -> None:
    added = await bench.add("disk")
    old = bench.actor
    await bench.restart().images()
    with pytest.raises(Unavailable, match="replaced"):
        await old.delete(added.id)
    with pytest.raises(Unavailable, match="replaced"):
        await old.read(added.sha256, 0, 1)
    assert bench.kept() == {added.sha256}


async def test_the_same_image_registered_by_many_at_once_is_one(bench: Bench) -> None:
    path = bench.file(b"bytes")
    added = await asyncio.gather(*(bench.actor.register(image("d"), path) for _ in range(5)))
    assert len({one.id for one in added}) == 1
    assert bench.kept() == {sha(b"bytes")}
    assert repr(bench.actor).startswith("Images(")
