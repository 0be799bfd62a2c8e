"""Images up and down over a connection that breaks; what is asked of the server, and what not."""

import hashlib
import json
import os
from pathlib import Path

import grpc
import pytest

from gateway.cli import transfer
from protos.novaray.v1 import images_pb2 as pb
from tests.gateway.cli.cloud import IMAGES, UEC, Cloud, refusal
from tests.gateway.cli.conftest import Nova

QCOW2 = b"QFI\xfb" + bytes(2_999_996)
HALF = len(QCOW2) // 2


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(transfer, "PART", 100_000)
    monkeypatch.setattr(transfer, "STREAM", 2_500_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "disk.qcow2"
    made.write_bytes(QCOW2)
    return made


def give(cloud: Cloud, content: bytes) -> pb.Image:
    """The first image's bytes."""
    image = cloud.images[-1]
    image.size_bytes = len(content)
    image.sha256 = hashlib.sha256(content).hexdigest()
    cloud.contents[image.name] = content
    return image


def test_an_upload_says_what_it_is_and_brings_every_byte(
    cloud: Cloud, nova: Nova, file: Path
) -> None:
    options = ("--min-disk", "2", "--min-ram", "64", "--property", "os_type=linux", "--public")
    companions = ("--kernel", f"{UEC}-kernel", "--ramdisk", f"{UEC}-ramdisk")
    ran = nova("image-upload", "--file", str(file), *options, *companions, "mine")
    assert "| status               | ACTIVE" in ran.ok
    (created,) = cloud.requests("CreateImage")
    assert created.image.disk_format == pb.Image.DISK_FORMAT_QCOW2
    assert (created.image.min_disk_gb, created.image.min_memory_mb) == (2, 64)
    assert dict(created.image.properties) == {"os_type": "linux"}
    assert created.image.public
    assert created.image.kernel == f"images/{IMAGES[1][0]}"
    assert created.image.ramdisk == f"images/{IMAGES[2][0]}"
    assert created.request_id
    first, second = cloud.requests("UploadImage")
    assert (first.offset, second.offset) == (0, 2_500_000)
    assert first.sha256 == hashlib.sha256(QCOW2).hexdigest()
    assert cloud.contents[created.image.name] == QCOW2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(0x202) + b"HdrS", "AKI"),
        (b"\x1f\x8b\x08", "ARI"),
        (b"070701", "ARI"),
        (bytes(2000), "RAW"),
    ],
)
def test_the_format_is_told_from_the_content(
    cloud: Cloud, nova: Nova, file: Path, content: bytes, expected: str
) -> None:
    file.write_bytes(content)
    nova("image-upload", "--file", str(file), "mine")
    nova("image-upload", "--file", str(file), "--disk-format", "qcow2", "other")
    told, said = (request.image.disk_format for request in cloud.requests("CreateImage"))
    assert pb.Image.DiskFormat.Name(told) == f"DISK_FORMAT_{expected}"
    assert said == pb.Image.DISK_FORMAT_QCOW2


def test_an_upload_goes_on_after_a_lost_connection(cloud: Cloud, nova: Nova, file: Path) -> None:
    cloud.cuts = [1_000_000, 1_000_001, 1_700_000]
    assert nova("image-upload", "--file", str(file), "mine").code == 0
    assert cloud.requests("UploadImage")[0].offset == 0
    assert len(cloud.requests("UploadImage")) >= 4
    assert cloud.contents[cloud.images[-1].name] == QCOW2


def test_the_same_command_line_goes_on_where_it_was(cloud: Cloud, nova: Nova, file: Path) -> None:
    started = pb.Image(
        name="images/22222222-2222-4333-8444-555555555555",
        display_name="mine",
        disk_format=pb.Image.DISK_FORMAT_QCOW2,
        state=pb.Image.STATE_SAVING,
        uploaded_size_bytes=HALF,
    )
    cloud.images.append(started)
    cloud.contents[started.name] = QCOW2[:HALF]
    ran = nova("image-upload", "--file", str(file), "mine")
    assert ran.err == "Going on with image 22222222-2222-4333-8444-555555555555.\n"
    assert not cloud.requests("CreateImage")
    assert cloud.requests("UploadImage")[0].offset == HALF
    assert cloud.contents[started.name] == QCOW2


def test_an_upload_that_gets_nowhere_ends(
    cloud: Cloud, nova: Nova, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 0.05)
    cloud.refuse["UploadImage"] = [grpc.StatusCode.DEADLINE_EXCEEDED] * 100
    assert nova("image-upload", "--file", str(file), "mine").code == 1
    assert len(cloud.requests("UploadImage")) < 100
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 60.0)
    cloud.refuse["UploadImage"] = [grpc.StatusCode.DEADLINE_EXCEEDED]
    assert nova("image-upload", "--file", str(file), "mine").code == 0


def test_a_gateway_that_stays_away_ends_it_with_what_to_do(
    cloud: Cloud, nova: Nova, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 0.0)
    cloud.cuts = [1_000_000]
    cloud.refuse["GetImage"] = [grpc.StatusCode.UNAVAILABLE] * 8
    ran = nova("image-upload", "--file", str(file), "mine")
    assert ran.code != 0
    assert "Hint: The same command line goes on where it was." in ran.err
    assert not cloud.requests("DeleteImage")


def test_an_image_that_is_refused_leaves_none(cloud: Cloud, nova: Nova, file: Path) -> None:
    why = "The image has a backing file. Flatten it (qemu-img convert) first."
    cloud.refuse["UploadImage"] = [refusal(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_FORMAT", why)]
    before = len(cloud.images)
    ran = nova("image-upload", "--file", str(file), "mine")
    assert ran.code == 1
    assert f"ERROR (IMAGE_FORMAT): {why}" in ran.err
    assert len(cloud.images) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("image-upload", "--file", "missing", "mine"),
        ("image-upload", "--file", ".", "mine"),
    ],
)
def test_a_file_that_cannot_be_read(cloud: Cloud, nova: Nova, arguments: tuple[str, ...]) -> None:
    ran = nova(*arguments)
    assert "FILE_UNREADABLE" in ran.err
    assert not cloud.asked


def test_a_download_is_what_was_uploaded(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    content = os.urandom(12_345)
    give(cloud, content)
    cloud.cuts = [5_000, 9_000]
    target = tmp_path / "back"
    assert nova("image-download", "--file", str(target), UEC).ok == ""
    assert target.read_bytes() == content
    assert [request.offset for request in cloud.requests("DownloadImage")] == [0, 5_000, 9_000]
    ran = nova("image-download", "--file", str(target), UEC)
    assert (ran.code, "FILE_EXISTS" in ran.err) == (1, True)
    target.write_bytes(b"old")
    assert nova("image-download", "--force", "--file", str(target), UEC).ok == ""
    assert target.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_download_to_standard_output(cloud: Cloud, nova: Nova) -> None:
    give(cloud, b"some bytes")
    assert nova("image-download", "--file", "-", UEC).ok == "some bytes"


def test_other_bytes_do_not_get_the_name(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    give(cloud, b"some bytes").sha256 = "0" * 64
    target = tmp_path / "back"
    ran = nova("image-download", "--file", str(target), UEC)
    assert "ERROR (IMAGE_CHECKSUM_MISMATCH)" in ran.err
    assert ran.code == 1
    assert not target.exists()
    target.write_bytes(b"mine")
    nova("image-download", "--force", "--file", str(target), UEC)
    assert target.read_bytes() == b"mine"


def test_metadata_is_set_and_deleted_and_the_rest_stays(cloud: Cloud, nova: Nova) -> None:
    image = cloud.images[-1]
    image.properties["os_type"] = "linux"
    image.etag = 'W/"7"'
    assert nova("image-meta", UEC, "set", "a=1", "b=x=y").ok == ""
    assert dict(image.properties) == {"os_type": "linux", "a": "1", "b": "x=y"}
    assert nova("image-meta", UEC, "delete", "os_type", "a=", "none").ok == ""
    assert dict(image.properties) == {"b": "x=y"}
    first, *_ = cloud.requests("UpdateImage")
    assert first.image.etag == 'W/"7"'
    assert list(first.update_mask.paths) == ["properties"]
    assert nova("image-meta", UEC, "delete", "kernel_id").ok == ""
    assert image.kernel == ""
    assert nova("image-meta", UEC, "set", f"kernel_id={UEC}-kernel").ok == ""
    assert image.kernel == f"images/{IMAGES[1][0]}"
    assert nova("image-meta", UEC, "set", "a").code == 2


def test_an_update_changes_what_is_said(cloud: Cloud, nova: Nova) -> None:
    out = nova("image-update", UEC, "--name", "new", "--protected", "--format", "json").ok
    assert (json.loads(out)["name"], json.loads(out)["protected"]) == ("new", True)
    (request,) = cloud.requests("UpdateImage")
    assert list(request.update_mask.paths) == ["display_name", "protected"]
    assert nova("image-update", "new").code == 2


def test_several_images_are_deleted_also_after_one_that_fails(cloud: Cloud, nova: Nova) -> None:
    ran = nova("image-delete", f"{UEC}-kernel", "none", IMAGES[2][0])
    assert (ran.code, ran.out) == (1, "")
    assert "No image with a name or ID of 'none' exists." in ran.err
    assert [image.display_name for image in cloud.images] == [UEC]
    (deleted,) = json.loads(nova("image-delete", UEC, "--format", "json").ok)
    assert deleted["name"] == UEC
