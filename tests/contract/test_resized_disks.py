"""Disks of another size: copies of the former ones, which stay as they were until the end."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from actors.drivers.libvirt import disks_resized
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.model.errors import Conflict
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.ids import HostId
from actors.model.instance import Former, InstanceRecord, VmState
from tests.contract import records
from tests.contract.hosts import HostUnderTest

SEQUENCE = 2
GIB = 1 << 30
#: The new flavor has an ephemeral disk as well.
LARGER = {"disk.qcow2", "disk.eph0"}
HERE = HostId("44444444-4444-4444-8444-444444444444")


def resized(record: InstanceRecord) -> InstanceRecord:
    """The record in the middle of a resize to 20 GiB, with an ephemeral disk."""
    former = Former(
        sequence=SEQUENCE, flavor=record.flavor, host_id=HERE, host="h1", vm_state=VmState.ACTIVE
    )
    return record.evolve(flavor=DEFAULT_FLAVORS[1].evolve(ephemeral_gb=1), former=former)


@pytest.fixture
def record(host: HostUnderTest) -> InstanceRecord:
    """An instance whose disk has something on it; its guest is off."""
    if host.settings.is_test:
        pytest.skip("the test driver's disks have no content")
    made = records.instance()
    host.hypervisor.ensure_disk(made, host.base)
    io(host.disk(made), "write -P 0xa5 4k 4k")
    return made


def io(disk: Path, command: str) -> str:
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", command, str(disk)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def has(disk: Path, pattern: str) -> bool:
    return "verification failed" not in io(disk, f"read -P {pattern} 4k 4k")


def names(host: HostUnderTest, record: InstanceRecord) -> set[str]:
    return {path.name for path in host.disk(record).parent.iterdir()}


def size(host: HostUnderTest, record: InstanceRecord) -> int:
    return Qcow2Header.read(host.disk(record)).virtual_size


def test_a_disk_grows_and_goes_back(host: HostUnderTest, record: InstanceRecord) -> None:
    before, larger = size(host, record), resized(record)
    for _ in range(2):
        host.hypervisor.resize_disks(larger, host.base, None)
        assert host.hypervisor.has_resized_disks(larger)
        assert size(host, record) == 20 * GIB
        assert has(host.disk(record), "0xa5")
        io(host.disk(record), "write -P 0x11 4k 4k")
        io(host.disk(record), "write -P 0xa5 4k 4k")
    io(host.disk(record), "write -P 0x11 4k 4k")
    for _ in range(2):
        host.hypervisor.put_disks_back(record.id, SEQUENCE)
        assert size(host, record) == before
        assert has(host.disk(record), "0xa5")
        assert names(host, record) == {"disk.qcow2"}


def test_a_disk_grows_for_good(host: HostUnderTest, record: InstanceRecord) -> None:
    host.hypervisor.resize_disks(resized(record), host.base, None)
    for _ in range(2):
        host.hypervisor.forget_old_disks(record.id, SEQUENCE)
        assert names(host, record) == LARGER
    assert size(host, record) == 20 * GIB
    assert has(host.disk(record), "0xa5")
    assert Path(Qcow2Header.read(host.disk(record)).backing) == host.base


def test_a_disk_never_shrinks(host: HostUnderTest, record: InstanceRecord) -> None:
    subprocess.run(["qemu-img", "resize", "-q", str(host.disk(record)), "30G"], check=True)
    host.hypervisor.resize_disks(resized(record), host.base, None)
    assert size(host, record) == 30 * GIB


@pytest.mark.parametrize("step", ["settle", "grow", "_copy"])
def test_a_resize_that_was_cut_off_begins_again(
    host: HostUnderTest, record: InstanceRecord, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cut_off(*_: Any) -> None:
        raise KeyboardInterrupt

    larger = resized(record)
    with monkeypatch.context() as patch:
        patch.setattr(disks_resized, step, cut_off)
        with pytest.raises(KeyboardInterrupt):
            host.hypervisor.resize_disks(larger, host.base, None)
    assert not host.hypervisor.has_resized_disks(larger)
    host.hypervisor.resize_disks(larger, host.base, None)
    assert size(host, record) == 20 * GIB
    assert has(host.disk(record), "0xa5")
    assert names(host, record) == {*LARGER, f"old-{SEQUENCE}", f"resized-{SEQUENCE}"}


def test_a_disk_from_another_host_lies_on_this_one_s_base(
    host: HostUnderTest, record: InstanceRecord, tmp_path: Path
) -> None:
    (from_there,) = host.hypervisor.disk_files(record.id)
    incoming = host.hypervisor.incoming_path(record.id, SEQUENCE)
    incoming.mkdir()
    # There it lay on a file of another name.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(host.base.read_bytes())
    form = str(record.source.disk.disk_format)
    rebase = ["qemu-img", "rebase", "-u", "-F", form, "-b", str(elsewhere), str(from_there)]
    subprocess.run(rebase, check=True)
    from_there.rename(incoming / from_there.name)
    elsewhere.unlink()
    host.hypervisor.resize_disks(resized(record), host.base, incoming)
    assert not incoming.exists()
    assert Path(Qcow2Header.read(host.disk(record)).backing) == host.base
    assert size(host, record) == 20 * GIB
    assert has(host.disk(record), "0xa5")
    host.hypervisor.forget_old_disks(record.id, SEQUENCE)
    assert names(host, record) == LARGER


def test_what_runs_is_neither_resized_nor_read(host: HostUnderTest) -> None:
    made = records.instance()
    host.boot(made)
    with pytest.raises(Conflict):
        host.hypervisor.resize_disks(resized(made), host.base, None)
    with pytest.raises(Conflict):
        host.hypervisor.disk_files(made.id)


def test_a_disk_on_layers_grows_where_it_lies(host: HostUnderTest, record: InstanceRecord) -> None:
    """What it shares with a clone, it shares still; and it goes back to where it was."""
    clone = records.instance()
    host.hypervisor.clone_disk(clone, record.id, host.base)
    larger = resized(record)
    host.hypervisor.resize_disks(larger, host.base, None)
    layer = Qcow2Header.read(host.disk(clone)).backing
    assert Qcow2Header.read(host.disk(record)).backing == layer
    assert size(host, record) == 20 * GIB
    assert has(host.disk(record), "0xa5")
    host.hypervisor.put_disks_back(record.id, SEQUENCE)
    assert names(host, record) == {"disk.qcow2"}
    assert has(host.disk(record), "0xa5")


def test_a_disk_on_layers_leaves_its_host_without_them(
    host: HostUnderTest, record: InstanceRecord
) -> None:
    host.hypervisor.clone_disk(records.instance(), record.id, host.base)
    host.hypervisor.flatten_disk(record, host.base)
    (disk,) = host.hypervisor.disk_files(record.id)
    assert Qcow2Header.read(disk).backing == str(host.base)
    assert has(disk, "0xa5")
