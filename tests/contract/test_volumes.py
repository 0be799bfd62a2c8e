"""Volumes as files, and as disks of guests."""

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.libvirt.volume_files import VolumeFiles
from actors.model.errors import HypervisorRefused, NotFound, Unavailable
from actors.model.ids import SnapshotId, VolumeId
from actors.model.instance import AttachedVolume, InstanceRecord, Rescue
from actors.ports.hypervisor import BootFiles
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually
from tests.contract.test_clones import qemu

GIB = 1024**3


def volume(**changes: object) -> AttachedVolume:
    made = AttachedVolume(volume=VolumeId(str(uuid.uuid4())), target="vdb", size_gb=1)
    return made.evolve(**changes)


def of(files: VolumeFiles, one: AttachedVolume) -> Path:
    return files.path(one.volume)


def write(path: Path, megabytes: int = 1) -> None:
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -P 0xa5 0 {megabytes}M", str(path)]
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


def attached(
    host: HostUnderTest, *, runs: bool = True, megabytes: int = 1
) -> tuple[InstanceRecord, AttachedVolume]:
    """An instance with a volume that has something in it."""
    one = volume(size_gb=1)
    record = records.instance().evolve(volumes=(one,))
    host.hypervisor.ensure_volume(one, None)
    write(host.hypervisor._volumes.path(one.volume), megabytes)
    host.boot(record)
    if not runs:
        host.hypervisor.force_off(record.id)
    return record, one


def size_of(host: HostUnderTest, record: InstanceRecord, one: AttachedVolume) -> int:
    """As the guest that runs sees it, or as its file says."""
    domain = host.domain_of(record)
    if domain.isActive() and not host.settings.is_test:
        return domain.blockInfo("vdb")[0]
    return Qcow2Header.read(host.hypervisor._volumes.path(one.volume)).virtual_size


@pytest.mark.parametrize("state", ["running", "paused", "off"])
def test_a_volume_grows_with_its_guest(host: HostUnderTest, state: str) -> None:
    record, one = attached(host, runs=state != "off")
    if state == "paused":
        host.hypervisor.pause(record.id)
    before = host.hypervisor.power_state(record.id)
    for size in (3, 3, 2):  # an older word does not shrink it
        host.hypervisor.grow_volume(record.id, one.volume, size)
        assert size_of(host, record, one) == 3 * GIB
    assert host.hypervisor.power_state(record.id) is before
    host.hypervisor.force_off(record.id)
    host.run(record, 2)
    assert size_of(host, record, one) == 3 * GIB


def copied(host: HostUnderTest, record: InstanceRecord, one: AttachedVolume) -> SnapshotId:
    """A snapshot, once it is whole."""
    snapshot = SnapshotId(str(uuid.uuid4()))
    for _ in range(2):
        host.hypervisor.begin_volume_copy(record.id, one.volume, snapshot)
        eventually("it is copied", lambda: done(host, record, one, snapshot))
    return snapshot


def done(
    host: HostUnderTest, record: InstanceRecord, one: AttachedVolume, snapshot: SnapshotId
) -> bool:
    return host.hypervisor.volume_copy_done(record.id, one.volume, snapshot)


@pytest.mark.parametrize("state", ["running", "paused", "suspended", "off"])
def test_a_volume_is_kept_while_its_guest_has_it(host: HostUnderTest, state: str) -> None:
    record, one = attached(host, runs=state != "off")
    if state == "paused":
        host.hypervisor.pause(record.id)
    if state == "suspended":
        host.hypervisor.suspend(record.id)
    before = host.hypervisor.power_state(record.id)
    snapshot = copied(host, record, one)
    assert host.hypervisor.power_state(record.id) is before
    again = volume(snapshot=snapshot)
    host.hypervisor.ensure_volume(again, None)
    assert is_written(host.hypervisor._volumes.path(again.volume))
    host.hypervisor.end_volume_copy(record.id, snapshot)
    host.hypervisor.remove_volume_snapshot(snapshot)
    folder = host.hypervisor._volumes.snapshot_path(snapshot).parent
    assert list(folder.iterdir()) == []


ASKED: dict[str, Callable[[HostUnderTest, InstanceRecord], object]] = {
    "suspend": lambda host, record: host.hypervisor.suspend(record.id),
    "snapshot": lambda host, record: host.hypervisor.keep_disk(record.id, str(uuid.uuid4())),
    "detach": lambda host, record: host.hypervisor.plug(record.evolve(volumes=()), True),
    "stop": lambda host, record: host.hypervisor.force_off(record.id),
    "image": lambda host, record: host.hypervisor.begin_copy(record, 2),
}


@qemu
@pytest.mark.parametrize("asked", ASKED)
def test_what_a_guest_is_asked_goes_before_the_copy(host: HostUnderTest, asked: str) -> None:
    record, one = attached(host, megabytes=256)
    snapshot = SnapshotId(str(uuid.uuid4()))
    assert host.hypervisor.begin_volume_copy(record.id, one.volume, snapshot)
    domain = host.domain_of(record)
    ASKED[asked](host, record)
    try:
        assert done(host, record, one, snapshot)
    except Unavailable as error:
        assert error.reason == "COPY_INTERRUPTED"  # noqa: PT017 - a fast machine had made it
    else:
        assert is_written(host.hypervisor._volumes.snapshot_path(snapshot))
    host.hypervisor.end_volume_copy(record.id, snapshot)
    assert not host.hypervisor._volumes.partial_path(snapshot).exists()
    if asked == "image":
        eventually("the image is copied", lambda: host.hypervisor.copy_done(record.id, 2))
    if asked == "detach":  # the guest, which has no kernel, is asked; it keeps the disk
        eventually("nobody copies it", lambda: host.hypervisor._jobs.interrupt(domain, record.id))
        assert not host.hypervisor.plug(record.evolve(volumes=()), True)


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


def test_one_that_boots_from_a_volume_is_rescued(host: HostUnderTest) -> None:
    one = volume(target="vda")
    record = records.instance().evolve(volumes=(one,))
    host.hypervisor.ensure_volume(one, None)
    host.boot(record)
    host.hypervisor.force_off(record.id)
    record = record.evolve(rescue=Rescue(source=record.source))
    host.hypervisor.ensure_rescue_disk(record, host.base)
    files = BootFiles(host.base, rescue=BootFiles(host.base))
    host.hypervisor.ensure_running(record, 2, files, {})
    assert disks(host, record) == {"vda": None, "vdb": one.volume}
    if not host.settings.is_test:
        # It grows under the name that it has for now, and nobody takes it for one too many.
        host.hypervisor.grow_volume(record.id, one.volume, 2)
        assert host.domain_of(record).blockInfo("vdb")[0] == 2 * GIB
        assert host.hypervisor.plug(record, True)
    host.hypervisor.force_off(record.id)
    host.hypervisor.remove_rescue_disk(record.id)
    host.run(record.evolve(rescue=None), 3)
    assert disks(host, record) == {"vda": one.volume}


def test_the_root_stays_when_another_is_plugged(host: HostUnderTest) -> None:
    root, other = volume(target="vda"), volume()
    record = records.instance().evolve(volumes=(root,))
    for one in (root, other):
        host.hypervisor.ensure_volume(one, None)
    host.boot(record)
    record = record.evolve(volumes=(root, other))
    for _ in range(2):
        assert host.hypervisor.plug(record, True)
    if not host.settings.is_test:
        assert disks(host, record) == {"vda": root.volume, "vdb": other.volume}
