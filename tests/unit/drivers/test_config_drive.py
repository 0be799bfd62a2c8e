"""Config drives: what is on them, read back by pycdlib."""

import io
import stat
from pathlib import Path

import pycdlib
import pytest

from actors.drivers.config_drive import LABEL, ConfigDrives, iso_image
from actors.guestdata.drive import drive_files
from tests.unit.guestdata import guests

#: busybox's findfs overlooks an image that is smaller.
LEAST = 64 * 1024


def files_of(image: bytes, naming: str) -> dict[str, bytes]:
    """The files of an image by path: by Rock Ridge (``rr_path``) or Joliet (``joliet_path``)."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    found = {}
    for folder, _, names in iso.walk(**{naming: "/"}):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{naming: path})
            found[path.lstrip("/")] = content.getvalue()
    iso.close()
    return found


@pytest.mark.parametrize("naming", ["rr_path", "joliet_path"])
@pytest.mark.parametrize("guest", [guests.full, guests.bare])
def test_a_drive_has_the_whole_tree_under_both_kinds_of_names(guest, naming: str) -> None:  # type: ignore[no-untyped-def]
    files = drive_files(guest())
    image = iso_image(files)
    assert files_of(image, naming) == files
    assert len(image) >= LEAST


def test_a_drive_is_labelled_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = drive_files(guests.full())
    image = iso_image(files)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert iso_image(files) == image
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    assert iso.pvd.volume_identifier.decode().strip() == LABEL
    iso.close()


def test_a_drive_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.iso"
    path.with_name("config.iso.new").write_bytes(b"left by a process that died")
    path.write_bytes(b"an older drive")
    guest = guests.full()
    ConfigDrives(guest.share).write(path, guest.record, guest.data)
    assert path.read_bytes() == iso_image(drive_files(guest))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["config.iso"]
