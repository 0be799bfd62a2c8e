"""Disks that are kept as they are, and gone back to."""

from pathlib import Path

import pytest

from actors.drivers.libvirt import disks, disks_aside
from actors.drivers.libvirt.root_disk import newest
from actors.model.errors import Conflict, HypervisorRefused, NotFound
from actors.model.instance import InstanceRecord, PowerState
from tests.contract import records
from tests.contract.hosts import HostUnderTest
from tests.contract.test_clones import booted, files, layer_names, live_chain, qemu, reads, write

MONDAY, TUESDAY = (f"5a9e0000-0000-4000-8000-00000000000{day}" for day in (1, 2))


def top(host: HostUnderTest, record: InstanceRecord) -> Path:
    """The file that the guest writes into."""
    found = newest(host.disk(record).parent)
    assert found is not None
    return found


def restored(host: HostUnderTest, record: InstanceRecord, layer: str, sequence: int) -> None:
    host.hypervisor.force_off(record.id)
    host.hypervisor.restore_disk(record, layer, host.base, sequence)


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
def test_a_snapshot_is_gone_back_to(host: HostUnderTest, running: bool) -> None:
    record = booted(host)
    if not running:
        host.hypervisor.force_off(record.id)
    for _ in range(2):
        host.hypervisor.keep_disk(record.id, MONDAY)
    expected = PowerState.RUNNING if running else PowerState.SHUTDOWN
    assert host.hypervisor.power_state(record.id) is expected
    host.hypervisor.force_off(record.id)
    if not host.settings.is_test:
        write(top(host, record), 2)
    for _ in range(2):
        restored(host, record, MONDAY, 3)
    assert host.run(record, 3) is PowerState.RUNNING
    # Asked again when the guest runs on it: it stays.
    host.hypervisor.restore_disk(record, MONDAY, host.base, 3)
    host.hypervisor.forget_old_disks(record.id, 3)
    if not host.settings.is_test:
        assert reads(host.disk(record), 1)
        assert live_chain(host, record) == ["disk.qcow2", f"{MONDAY}.qcow2", "base.qcow2"]


@qemu
def test_a_restore_that_fails_is_taken_back(host: HostUnderTest) -> None:
    record = booted(host)
    host.hypervisor.keep_disk(record.id, MONDAY)
    host.hypervisor.force_off(record.id)
    write(top(host, record), 2)
    restored(host, record, MONDAY, 3)
    write(host.disk(record), 3)
    for _ in range(2):
        host.hypervisor.put_disks_back(record.id, 3)
    assert reads(host.disk(record), 2)
    host.hypervisor.sweep_layers()
    assert host.run(record, 4) is PowerState.RUNNING


@pytest.mark.parametrize("cut", ["put_aside", "make_overlay"])
@pytest.mark.parametrize("then", ["again", "back"])
@qemu
def test_a_restore_cut_off_anywhere(
    host: HostUnderTest, cut: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = booted(host)
    host.hypervisor.keep_disk(record.id, MONDAY)
    host.hypervisor.force_off(record.id)
    write(top(host, record), 2)

    def killed(*_: object) -> None:
        raise HypervisorRefused("killed", "TEST")

    with monkeypatch.context() as patch:
        patch.setattr(disks_aside if cut == "put_aside" else disks, cut, killed)
        with pytest.raises(HypervisorRefused, match="killed"):
            host.hypervisor.restore_disk(record, MONDAY, host.base, 3)
    host.hypervisor.sweep_layers()
    if then == "again":
        restored(host, record, MONDAY, 3)
    else:
        host.hypervisor.put_disks_back(record.id, 3)
    assert reads(host.disk(record), 1 if then == "again" else 2)
    assert host.run(record, 4) is PowerState.RUNNING


@qemu
def test_snapshots_are_independent(host: HostUnderTest) -> None:
    """Each is kept for itself: forth, back, and after the other is gone."""
    record = booted(host)
    host.hypervisor.keep_disk(record.id, MONDAY)
    host.hypervisor.force_off(record.id)
    write(top(host, record), 2)
    host.hypervisor.keep_disk(record.id, TUESDAY)
    for sequence, layer, pattern in ((3, MONDAY, 1), (4, TUESDAY, 2), (5, MONDAY, 1)):
        restored(host, record, layer, sequence)
        host.hypervisor.forget_old_disks(record.id, sequence)
        assert reads(host.disk(record), pattern)
    for _ in range(2):
        host.hypervisor.forget_kept_disk(record.id, MONDAY)
    # Both the disk and the other snapshot lie on it.
    assert layer_names(host) == [MONDAY, TUESDAY]
    host.hypervisor.forget_kept_disk(record.id, TUESDAY)
    assert layer_names(host) == [MONDAY]
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert layer_names(host) == []


@qemu
def test_a_snapshot_outlives_its_instance_s_own_disk(host: HostUnderTest) -> None:
    """Whatever becomes of the disk: what is kept is kept."""
    record = booted(host)
    host.hypervisor.keep_disk(record.id, MONDAY)
    host.hypervisor.force_off(record.id)
    restored(host, record, MONDAY, 3)
    host.hypervisor.forget_old_disks(record.id, 3)
    for path in host.disk(record).parent.glob("disk*"):
        path.unlink()
    host.hypervisor.sweep_layers()
    host.hypervisor.ensure_disk(record, host.base)
    restored(host, record, MONDAY, 4)
    assert reads(host.disk(record), 1)


@qemu
def test_other_disks_are_not_gone_back_to(host: HostUnderTest) -> None:
    record = records.instance(size=records.flavor().model_copy(update={"swap_mb": 1}))
    host.boot(record)
    host.hypervisor.keep_disk(record.id, MONDAY)
    host.hypervisor.force_off(record.id)
    swap = host.disk(record).with_name("disk.swap")
    swap.write_bytes(b"later" + swap.read_bytes()[5:])
    restored(host, record, MONDAY, 3)
    assert swap.read_bytes().startswith(b"later")
    host.hypervisor.forget_old_disks(record.id, 3)
    assert files(host, record) == ["disk.qcow2", "disk.swap"]
    assert host.run(record, 3) is PowerState.RUNNING


@qemu
def test_what_is_not_kept_is_not_gone_back_to(host: HostUnderTest) -> None:
    record = booted(host)
    with pytest.raises(Conflict):
        host.hypervisor.restore_disk(record, MONDAY, host.base, 3)
    host.hypervisor.force_off(record.id)
    with pytest.raises(NotFound):
        host.hypervisor.restore_disk(record, MONDAY, host.base, 3)
    assert reads(host.disk(record), 1)
