"""Copies of root disks, of guests that run and of those that are off."""

import subprocess
from pathlib import Path

import pytest

from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.model.instance import InstanceRecord, PowerState
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually


def copied(host: HostUnderTest, record: InstanceRecord, sequence: int = 2) -> Path:
    """The copy, once it is whole."""
    host.hypervisor.begin_copy(record, sequence)
    eventually("the copy is whole", lambda: host.hypervisor.copy_done(record.id, sequence))
    return host.hypervisor.copy_path(record.id, sequence)


def write_mark(host: HostUnderTest, record: InstanceRecord) -> None:
    """Write into the disk, as its guest would."""
    command = ["qemu-io", "-f", "qcow2", "-c", "write -P 0xa5 4k 4k", str(host.disk(record))]
    subprocess.run(command, check=True, capture_output=True)


def has_mark(copy: Path) -> bool:
    command = ["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0xa5 4k 4k", str(copy)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return "verification failed" not in done.stdout


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
def test_a_copy_stands_by_itself(host: HostUnderTest, running: bool) -> None:
    record = records.instance()
    host.hypervisor.ensure_disk(record, host.base)
    if not host.settings.is_test:
        write_mark(host, record)
    host.run(record)
    if not running:
        host.hypervisor.force_off(record.id)
    copy = copied(host, record)
    header = Qcow2Header.read(copy)
    assert not header.backing
    assert header.virtual_size >= record.source.virtual_size
    if not host.settings.is_test:
        assert has_mark(copy)
        power = host.hypervisor.power_state(record.id)
        assert power is (PowerState.RUNNING if running else PowerState.SHUTDOWN)


def test_a_copy_begun_twice_is_one(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    copy = copied(host, record)
    made = copy.stat().st_ino
    assert copied(host, record) == copy
    assert copy.stat().st_ino == made


def test_a_copy_whose_maker_was_lost_is_made_anew(host: HostUnderTest) -> None:
    """Another process: it knows nothing of the job that may still run."""
    record = records.instance()
    host.boot(record)
    host.hypervisor.begin_copy(record, 2)
    host.hypervisor._copies = LibvirtHypervisor(host.settings)._copies
    assert Qcow2Header.read(copied(host, record)).virtual_size > 0


def test_an_end_leaves_nothing(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    before = set(host.settings.instances_dir.joinpath(record.id).iterdir())
    host.hypervisor.begin_copy(record, 2)
    for _ in range(2):
        host.hypervisor.end_copy(record.id, 2)
    assert set(host.settings.instances_dir.joinpath(record.id).iterdir()) == before
    assert copied(host, record, 3).exists()
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert not host.settings.instances_dir.joinpath(record.id).exists()


def test_the_next_copy_removes_what_was_cut_off(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    folder = host.settings.instances_dir / record.id
    host.hypervisor.begin_copy(record, 2)
    assert copied(host, record, 3).exists()
    assert [path.name for path in folder.glob("copy-*")] == ["copy-3.qcow2"]


def test_a_copy_ends_with_its_disk(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    host.hypervisor.force_off(record.id)
    host.hypervisor.begin_copy(record, 2)
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert not (host.settings.instances_dir / record.id).exists()
    assert host.hypervisor._jobs.offline() == ()
