"""Volumes as files, and as disks of guests."""

import subprocess
import uuid
from pathlib import Path

import pytest

from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.libvirt.volume_files import VolumeFiles
from actors.model.errors import HypervisorRefused, NotFound
from actors.model.ids import SnapshotId, VolumeId
from actors.model.instance import AttachedVolume, InstanceRecord
from tests.contract import records
from tests.contract.hosts import HostUnderTest

GIB = 1024**3


def volume(**changes: object) -> AttachedVolume:
    made = AttachedVolume(volume=VolumeId(str(uuid.uuid4())), target="vdb", size_gb=1)
    return made.evolve(**changes)


def of(files: VolumeFiles, one: AttachedVolume) -> Path:
    return files.path(one.volume)


def write(path: Path) -> None:
    command = ["qemu-io", "-f", "qcow2", "-c", "write -P 0xa5 0 64k", str(path)]
    subprocess.run(command, check=True, capture_output=True)


def is_written(path: Path) -> bool:
    command = ["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0xa5 0 64k", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return "verification failed" not in done.stdout


@pytest.fixture
def files(tmp_path: Path) -> VolumeFiles:
    return VolumeFiles(tmp_path / "volumes")


def test_a_volume_is_made_once_and_grows(files: VolumeFiles) -> None:
    one = volume()
    files.ensure(one, None)
    write(of(files, one))
    made = of(files, one).stat().st_ino
    files.ensure(one, None)
    files.ensure(one.evolve(size_gb=3), None)
    files.ensure(one, None)  # an older word does not shrink it
    assert of(files, one).stat().st_ino == made
    assert Qcow2Header.read(of(files, one)).virtual_size == 3 * GIB
    assert is_written(of(files, one))


def test_a_volume_from_an_image_stands_by_itself(files: VolumeFiles, tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "16M"], check=True)
    write(base)
    one = volume(source=records.instance().source)
    with pytest.raises(NotFound):
        files.ensure(one, None)
    files.ensure(one, base)
    base.unlink()
    header = Qcow2Header.read(of(files, one))
    assert not header.backing
    assert header.virtual_size == GIB
    assert is_written(of(files, one))


def test_a_snapshot_outlives_the_volume(files: VolumeFiles) -> None:
    one, snapshot = volume(), SnapshotId(str(uuid.uuid4()))
    with pytest.raises(NotFound):
        files.copy(one.volume, snapshot)
    files.ensure(one, None)
    write(of(files, one))
    for _ in range(2):
        files.copy(one.volume, snapshot)
        files.remove(one.volume)
    again = volume(snapshot=snapshot, size_gb=2)
    files.ensure(again, None)
    assert is_written(of(files, again))
    assert Qcow2Header.read(of(files, again)).virtual_size == 2 * GIB
    for _ in range(2):
        files.remove_snapshot(snapshot)
    assert is_written(of(files, again))


def test_what_qemu_img_refuses_leaves_nothing(files: VolumeFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken.qcow2"
    broken.write_bytes(b"QFI\xfb" + b"\0" * 600)
    one = volume(source=records.instance().source)
    with pytest.raises(HypervisorRefused):
        files.ensure(one, broken)
    assert list(tmp_path.joinpath("volumes").iterdir()) == []


def disks(host: HostUnderTest, record: InstanceRecord) -> dict[str, str | None]:
    domain = Domain.from_text(host.domain_of(record).XMLDesc())
    return {disk.target: disk.serial for disk in domain.disks}


def test_a_guest_that_runs_is_given_a_volume(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    one = volume()
    host.hypervisor.ensure_volume(one, None)
    record = record.evolve(volumes=(one,))
    for _ in range(2):
        assert host.hypervisor.plug(record, True)
    if not host.settings.is_test:  # whose domains cannot be changed while they run
        assert disks(host, record) == {"vda": None, "vdb": one.volume}
    host.hypervisor.force_off(record.id)
    host.run(record, 2)
    assert disks(host, record) == {"vda": None, "vdb": one.volume}
    host.hypervisor.force_off(record.id)
    assert host.hypervisor.plug(record.evolve(volumes=()), True)
    host.run(record.evolve(volumes=()), 3)
    assert disks(host, record) == {"vda": None}


def test_an_instance_boots_from_a_volume(host: HostUnderTest) -> None:
    one = volume(target="vda")
    record = records.instance().evolve(volumes=(one,))
    host.hypervisor.ensure_volume(one, None)
    host.hypervisor.ensure_disk(record, host.base)
    assert not host.disk(record).exists()
    host.run(record)
    assert disks(host, record) == {"vda": one.volume}
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert host.hypervisor.has_volume(one.volume)
