"""Uploads: piece by piece, over crashes, and nothing is seen before all of it has been checked."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from actors.drivers import uploads
from actors.drivers.contents import CHUNK
from actors.image import UPLOAD_PATIENCE
from actors.model.errors import (
    AlreadyExists,
    Conflict,
    Exhausted,
    Invalid,
    NotFound,
    QuotaExceeded,
    Stale,
    TooLarge,
    Unavailable,
)
from actors.model.ids import ImageId, ProjectId
from actors.model.image import DiskFormat, Image, ImageStatus
from actors.model.image_commands import ImageChanges
from tests.fakes.image_files import MIB, bz_image, qcow2
from tests.unit.test_image import Bench, image

DISK = qcow2(size=5 * MIB)
SHA = hashlib.sha256(DISK).hexdigest()
PIECE = 50_000


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def pieces(content: bytes = DISK) -> list[tuple[int, bytes]]:
    return [(at, content[at : at + PIECE]) for at in range(0, len(content), PIECE)]


async def begun(bench: Bench, disk_format: DiskFormat = DiskFormat.QCOW2) -> Image:
    return await bench.actor.create(image("disk", disk_format))


async def upload(bench: Bench, content: bytes = DISK, **fields: object) -> Image:
    made = await bench.actor.create(image("disk", DiskFormat.QCOW2).evolve(**fields))
    for offset, data in pieces(content):
        await bench.actor.write(made.id, offset, data)
    return await bench.actor.seal(made.id, None)


async def shown(bench: Bench) -> Image:
    (one,) = await bench.actor.images()
    return one


async def test_pieces_make_an_image_once_they_are_sealed(bench: Bench) -> None:
    made = await begun(bench)
    assert (made.status, made.sha256, made.generation) == (ImageStatus.QUEUED, "", 1)
    for offset, data in pieces():
        assert await bench.actor.upload_offset(made.id) == offset
        assert await bench.actor.write(made.id, offset, data) == offset + len(data)
        assert (await shown(bench)).status is ImageStatus.SAVING
        with pytest.raises(NotFound):
            await bench.actor.read(SHA, 0, 1)
    sealed = await bench.actor.seal(made.id, SHA)
    assert sealed.status is ImageStatus.ACTIVE
    assert (sealed.size, sealed.virtual_size, sealed.sha256) == (len(DISK), 5 * MIB, SHA)
    assert bench.stored() == [sealed]
    assert bench.kept() == {SHA}
    assert (bench.directory / SHA).stat().st_mode & 0o777 == 0o444
    assert await bench.actor.read(SHA, 0, CHUNK) == DISK
    assert await bench.actor.seal(made.id, SHA) == sealed
    assert await bench.actor.upload_offset(made.id) == len(DISK)


async def test_a_repeated_piece_is_done_and_a_gap_is_refused(bench: Bench) -> None:
    made = await begun(bench)
    await bench.actor.write(made.id, 0, b"12345")
    assert await bench.actor.write(made.id, 0, b"12345") == 5
    assert await bench.actor.write(made.id, 1, b"23") == 5
    for offset in (4, 6, -1):
        with pytest.raises(Conflict) as raised:
            await bench.actor.write(made.id, offset, b"xx")
        assert raised.value.metadata["offset"] == "5"
    assert await bench.actor.upload_offset(made.id) == 5


async def test_an_upload_goes_on_where_its_file_ends_after_every_piece(bench: Bench) -> None:
    made = await begun(bench)
    for offset, data in pieces():
        await bench.restart().write(made.id, offset, data)
    assert (await bench.restart().seal(made.id, SHA)).status is ImageStatus.ACTIVE


@pytest.mark.parametrize("written", [False, True])
async def test_a_crash_between_the_bytes_and_the_record_is_made_good(
    bench: Bench, written: bool
) -> None:
    made = await begun(bench)
    for offset, data in pieces():
        await bench.actor.write(made.id, offset, data)
    bench.store.fail_next(Unavailable("away"), after_writing=written)
    with pytest.raises(Unavailable):
        await bench.actor.seal(made.id, SHA)
    bench.restart()
    if not written:
        # The bytes have their name already, so not even their uploader may add to them.
        with pytest.raises(Conflict):
            await bench.actor.write(made.id, len(DISK), b"more")
    assert (await bench.actor.seal(made.id, SHA)).status is ImageStatus.ACTIVE
    await bench.restart().images()
    assert bench.kept() == {SHA}
    assert (bench.directory / SHA).read_bytes() == DISK


async def test_a_piece_that_did_not_reach_the_disk_is_sent_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await begun(bench)
    await bench.actor.write(made.id, 0, b"12345")

    def broken(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(Exhausted):
            await bench.actor.write(made.id, 5, b"67890")
    assert await bench.actor.upload_offset(made.id) == 5
    assert await bench.actor.write(made.id, 5, b"67890") == 10


async def test_the_records_have_room_when_images_have_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await begun(bench)
    monkeypatch.setattr(uploads, "RESERVE", 1 << 60)
    with pytest.raises(Exhausted) as raised:
        await bench.actor.write(made.id, 0, b"12345")
    assert raised.value.reason == "DISK_FULL"


async def test_pieces_and_images_have_limits(bench: Bench) -> None:
    made = await begun(bench)
    with pytest.raises(Invalid):
        await bench.actor.write(made.id, 0, bytes(CHUNK + 1))
    with pytest.raises(TooLarge):
        await bench.actor.write(made.id, 1 << 40, b"1")
    assert await bench.actor.upload_offset(made.id) == 0


@pytest.mark.parametrize(
    ("content", "sha256", "reason"),
    [
        (DISK, "0" * 64, "UPLOAD_CHECKSUM_MISMATCH"),
        (qcow2(backing=512), None, "IMAGE_FORMAT"),
        (qcow2(size=1 << 60), None, "IMAGE_FORMAT"),
        (b"", None, "IMAGE_EMPTY"),
    ],
)
async def test_what_is_refused_leaves_no_bytes(
    bench: Bench, content: bytes, sha256: str | None, reason: str
) -> None:
    made = await begun(bench)
    for offset, data in pieces(content):
        await bench.actor.write(made.id, offset, data)
    with pytest.raises(Invalid) as raised:
        await bench.actor.seal(made.id, sha256)
    assert raised.value.reason == reason
    assert bench.kept() == set()
    assert (await shown(bench)).status is ImageStatus.QUEUED
    # The same image can be uploaded anew.
    for offset, data in pieces():
        await bench.actor.write(made.id, offset, data)
    assert (await bench.actor.seal(made.id, SHA)).status is ImageStatus.ACTIVE


async def test_one_content_is_stored_once(bench: Bench) -> None:
    one, two = await upload(bench), await upload(bench)
    assert one.id != two.id
    assert bench.kept() == {SHA}
    await bench.actor.delete(one.id)
    assert await bench.actor.read(SHA, 0, CHUNK) == DISK
    await bench.actor.delete(two.id)
    assert bench.kept() == set()


async def test_a_create_that_is_sent_again_is_the_same_image(bench: Bench) -> None:
    wanted = image("disk", DiskFormat.QCOW2)
    made = await bench.actor.create(wanted)
    await bench.actor.write(made.id, 0, b"12345")
    assert (await bench.restart().create(wanted)).status is ImageStatus.SAVING
    with pytest.raises(AlreadyExists):
        await bench.actor.create(wanted.evolve(project=ProjectId("q")))


async def test_a_project_has_no_more_than_its_share(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.model.image_registry.IMAGE_LIMIT", 2)
    first = await begun(bench)
    await begun(bench)
    with pytest.raises(QuotaExceeded) as raised:
        await begun(bench)
    assert raised.value.reason == "IMAGE_QUOTA_EXCEEDED"
    assert await bench.actor.create(first) == first
    await bench.actor.create(image("disk").evolve(project=ProjectId("q")))


async def test_a_deleted_image_takes_its_upload_along(bench: Bench) -> None:
    made = await begun(bench)
    await bench.actor.write(made.id, 0, b"12345")
    await bench.actor.delete(made.id)
    assert bench.kept() == set()
    for call in (
        bench.actor.write(made.id, 5, b"6"),
        bench.actor.seal(made.id, None),
        bench.actor.upload_offset(made.id),
    ):
        with pytest.raises(NotFound):
            await call


async def test_uploads_that_were_given_up_are_swept(bench: Bench) -> None:
    old, new = await begun(bench), await begun(bench)
    for one in (old, new):
        await bench.actor.write(one.id, 0, b"12345")
    now = bench.clock.now().timestamp()
    os.utime(bench.directory / f".upload-{old.id}", (now, now - UPLOAD_PATIENCE - 1))
    (bench.directory / ".upload-nobody").write_bytes(b"1")
    await begun(bench)
    assert bench.kept() == {f".upload-{new.id}"}
    assert await bench.actor.upload_offset(old.id) == 0
    (bench.directory / ".upload-nobody").write_bytes(b"1")
    await bench.restart().images()
    assert bench.kept() == {f".upload-{new.id}"}


async def test_a_complete_image_never_changes_its_bytes(bench: Bench) -> None:
    sealed = await upload(bench)
    assert await bench.actor.write(sealed.id, 0, DISK[:5]) == len(DISK)
    for offset in (len(DISK), -1):
        with pytest.raises(Conflict):
            await bench.actor.write(sealed.id, offset, b"more")
    with pytest.raises(Invalid):
        await bench.actor.seal(sealed.id, "0" * 64)


async def test_two_who_upload_one_image_do_not_mix_their_pieces(bench: Bench) -> None:
    made = await begun(bench)

    async def one() -> None:
        for offset, data in pieces():
            while True:
                try:
                    await bench.actor.write(made.id, offset, data)
                    break
                except Conflict:
                    await asyncio.sleep(0)

    await asyncio.gather(one(), one())
    assert (await bench.actor.seal(made.id, SHA)).sha256 == SHA


async def test_what_describes_an_image_can_change_also_while_it_is_uploaded(bench: Bench) -> None:
    made = await begun(bench)
    changed = await bench.actor.update(
        made.id, ImageChanges(name="new", kernel_id=ImageId("k"), properties={"a": "1"}), 1
    )
    assert (changed.name, changed.kernel_id, changed.generation) == ("new", "k", 2)
    with pytest.raises(Stale):
        await bench.actor.update(made.id, ImageChanges(name="newer"), 1)
    assert await bench.actor.update(made.id, ImageChanges(name="new"), 2) == changed
    for offset, data in pieces():
        await bench.actor.write(made.id, offset, data)
    await bench.actor.seal(made.id, SHA)
    plain = await bench.restart().update(made.id, ImageChanges(kernel_id=ImageId("")), None)
    assert (plain.kernel_id, plain.properties, plain.sha256) == (None, {"a": "1"}, SHA)
    with pytest.raises(NotFound):
        await bench.actor.update(ImageId("gone"), ImageChanges(), None)


async def test_what_is_protected_or_needed_by_others_stays(bench: Bench) -> None:
    kernel = await bench.add("kernel", bz_image(), DiskFormat.AKI)
    disk = await upload(bench, kernel_id=kernel.id)
    with pytest.raises(Conflict) as raised:
        await bench.actor.delete(kernel.id)
    assert (raised.value.reason, raised.value.metadata["used_by"]) == ("IMAGE_IN_USE", disk.id)
    await bench.actor.update(disk.id, ImageChanges(protected=True), None)
    with pytest.raises(Conflict) as raised:
        await bench.actor.delete(disk.id)
    assert raised.value.reason == "IMAGE_PROTECTED"
    await bench.actor.update(disk.id, ImageChanges(protected=False), None)
    await bench.actor.delete(disk.id)
    # What a stranger makes of it for himself does not keep it.
    await upload(bench, kernel_id=kernel.id, project=ProjectId("stranger"))
    await bench.actor.delete(kernel.id)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "x" * 65, "a\n"])
async def test_what_is_no_id_never_becomes_a_path(bench: Bench, name: str) -> None:
    made = await bench.actor.create(image("disk").evolve(id=ImageId(name)))
    with pytest.raises(Invalid):
        await bench.actor.write(made.id, 0, b"1")
