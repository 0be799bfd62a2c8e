"""Ephemeral and swap disks, as files."""

import subprocess
from pathlib import Path

import pytest

from actors.drivers.libvirt import extra_disks
from actors.drivers.libvirt.extra_disks import ensure_extra_disks
from actors.model.errors import HypervisorRefused
from actors.model.flavor import Resources
from actors.model.instance import InstanceRecord
from tests.contract import records

MIB, GIB = 1024**2, 1024**3


def sized(ephemeral_gb: int = 0, swap_mb: int = 0) -> InstanceRecord:
    size = records.flavor().evolve(ephemeral_gb=ephemeral_gb, swap_mb=swap_mb)
    return records.instance(size=size)


def names(record: InstanceRecord) -> list[tuple[str, str]]:
    return [(disk.name, disk.target) for disk in extra_disks.extra_disks(record.flavor)]


def content(path: Path) -> str:
    """What blkid finds."""
    run = subprocess.run(["blkid", "-p", str(path)], check=True, capture_output=True, text=True)
    return run.stdout


def test_their_order_is_novas() -> None:
    assert names(sized()) == []
    assert names(sized(1)) == [("disk.eph0", "vdb")]
    assert names(sized(0, 1)) == [("disk.swap", "vdb")]
    assert names(sized(1, 1)) == [("disk.eph0", "vdb"), ("disk.swap", "vdc")]


def test_they_are_made_once_and_take_little_room(tmp_path: Path) -> None:
    record = sized(20, 512)
    # What a killed process left.
    (tmp_path / "0a1b2c3d.new").touch()
    ensure_extra_disks(tmp_path, record)
    ephemeral, swap = tmp_path / "disk.eph0", tmp_path / "disk.swap"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.eph0", "disk.swap"]
    assert (ephemeral.stat().st_size, swap.stat().st_size) == (20 * GIB, 512 * MIB)
    assert 'TYPE="ext4"' in content(ephemeral)
    assert 'LABEL="ephemeral0"' in content(ephemeral)
    assert 'TYPE="swap"' in content(swap)
    for path in (ephemeral, swap):
        assert path.stat().st_blocks * 512 < 8 * MIB
        assert path.stat().st_mode & 0o777 == 0o600
    before = [path.stat().st_ino for path in (ephemeral, swap)]
    ensure_extra_disks(tmp_path, record)
    assert [path.stat().st_ino for path in (ephemeral, swap)] == before


def test_a_larger_flavor_keeps_what_is_on_the_ephemeral_disk(tmp_path: Path) -> None:
    ensure_extra_disks(tmp_path, sized(1, 16))
    ephemeral, swap = tmp_path / "disk.eph0", tmp_path / "disk.swap"
    first = content(ephemeral)
    ensure_extra_disks(tmp_path, sized(2, 32))
    assert (ephemeral.stat().st_size, swap.stat().st_size) == (2 * GIB, 32 * MIB)
    assert content(ephemeral) == first
    # Back again: swap has nothing to lose, the ephemeral disk keeps its length.
    ensure_extra_disks(tmp_path, sized(1, 16))
    assert (ephemeral.stat().st_size, swap.stat().st_size) == (2 * GIB, 16 * MIB)
    assert 'TYPE="swap"' in content(swap)


def test_one_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra_disks, "_MKFS", ("false",))
    with pytest.raises(HypervisorRefused):
        ensure_extra_disks(tmp_path, sized(1))
    assert not list(tmp_path.iterdir())


def test_a_flavor_counts_swap_in_whole_gib() -> None:
    size = records.flavor(disk_gb=5).evolve(ephemeral_gb=2, swap_mb=1025)
    assert size.resources == Resources(vcpus=1, memory_mb=32, disk_gb=9)
