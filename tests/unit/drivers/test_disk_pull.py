"""Disks that come from another host: whole, checked, and not twice."""

import hashlib
import os
from pathlib import Path

import pytest

from actors.drivers import disk_pull
from actors.drivers.disk_pull import pull
from actors.model.errors import Cancelled, HypervisorRefused, Unavailable
from actors.model.ids import InstanceId
from actors.ports.host import DiskFile

INSTANCE = InstanceId("381f0bec-3c55-5baa-adba-265d5f2a1c7e")
ROOT = bytes(range(256)) * 40
SWAP = b"swap" * 9
PIECE = 4096


class There:
    """The other host."""

    def __init__(self, **files: bytes) -> None:
        self.files = {name.replace("_", "."): content for name, content in files.items()}
        self.measured = {
            name: DiskFile(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in self.files.items()
        }
        #: Pieces that still come before it is away.
        self.left = 1000
        self.read: list[tuple[str, int]] = []

    async def disk_files(self, instance: InstanceId) -> tuple[DiskFile, ...]:
        assert instance == INSTANCE
        return tuple(self.measured.values())

    async def read_disk(self, instance: InstanceId, name: str, offset: int, length: int) -> bytes:
        if not self.left:
            raise Unavailable("The actor is away.", "ACTOR_UNAVAILABLE")
        self.left -= 1
        self.read.append((name, offset))
        return self.files[name][offset : offset + length]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_pull, "CHUNK", PIECE)


async def pulled(there: There, folder: Path) -> dict[str, bytes]:
    paths = await pull(there, INSTANCE, folder, lambda: None)  # type: ignore[arg-type]
    return {path.name: path.read_bytes() for path in paths}


async def test_all_files_come_once(tmp_path: Path) -> None:
    there = There(disk_qcow2=ROOT, disk_swap=SWAP)
    whole = {"disk.qcow2": ROOT, "disk.swap": SWAP}
    assert await pulled(there, tmp_path / "in") == whole
    assert there.read == [
        ("disk.qcow2", 0),
        ("disk.qcow2", PIECE),
        ("disk.qcow2", 2 * PIECE),
        ("disk.swap", 0),
    ]
    assert await pulled(there, tmp_path / "in") == whole
    assert len(there.read) == 4
    assert {path.name for path in (tmp_path / "in").iterdir()} == set(whole)


async def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    there = There(disk_qcow2=ROOT)
    there.left = 2
    with pytest.raises(Unavailable):
        await pulled(there, tmp_path)
    there.left = 1
    assert await pulled(there, tmp_path) == {"disk.qcow2": ROOT}
    assert [offset for _, offset in there.read] == [0, PIECE, 2 * PIECE]


@pytest.mark.parametrize("harm", ["other", "short"])
async def test_what_is_not_what_was_measured_is_refused(tmp_path: Path, harm: str) -> None:
    there = There(disk_qcow2=ROOT)
    there.files["disk.qcow2"] = ROOT[:-1] + b"x" if harm == "other" else ROOT[:-1]
    with pytest.raises(HypervisorRefused) as refusal:
        await pulled(there, tmp_path)
    assert refusal.value.reason == "DISK_TRANSFER_FAILED"
    assert os.listdir(tmp_path) == []
    there.files["disk.qcow2"] = ROOT
    assert await pulled(there, tmp_path) == {"disk.qcow2": ROOT}


async def test_a_newer_operation_ends_it(tmp_path: Path) -> None:
    there = There(disk_qcow2=ROOT)

    def check() -> None:
        if there.read:
            raise Cancelled("A newer operation has taken over.", "SUPERSEDED")

    with pytest.raises(Cancelled):
        await pull(there, INSTANCE, tmp_path, check)  # type: ignore[arg-type]
    assert len(there.read) == 1


async def test_a_disk_that_changed_meanwhile_comes_anew(tmp_path: Path) -> None:
    there = There(disk_qcow2=ROOT)
    there.left = 1
    with pytest.raises(Unavailable):
        await pulled(there, tmp_path)
    again = There(disk_qcow2=SWAP)
    assert await pulled(again, tmp_path) == {"disk.qcow2": SWAP}
    assert again.read == [("disk.qcow2", 0)]
