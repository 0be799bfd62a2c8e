"""When a host writes an instance's config drive, and when it leaves it alone."""

from pathlib import Path

import pytest

from actors.drivers.config_drive import ConfigDrives
from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.model.instance import InstanceRecord, PowerState
from tests.contract import records
from tests.contract.hosts import HostUnderTest
from tests.unit.guestdata import guests


@pytest.fixture
def driving(host: HostUnderTest) -> HostUnderTest:
    """A host that writes config drives."""
    host.hypervisor.close()
    host.hypervisor = LibvirtHypervisor(host.settings, ConfigDrives(guests.SHARE))
    host.open()
    return host


def drive(host: HostUnderTest, record: InstanceRecord) -> Path:
    """Where it lies."""
    return host.settings.instances_dir / record.id / "config.iso"


def start(host: HostUnderTest, record: InstanceRecord, sequence: int) -> PowerState:
    return host.hypervisor.ensure_running(
        record, sequence, host.files, {}, guests.data(record) if record.guest_data else None
    )


def test_a_drive_says_what_the_record_said_at_the_start(driving: HostUnderTest) -> None:
    record = records.instance().evolve(config_drive=True, hostname="before")
    driving.hypervisor.ensure_disk(record, driving.base)
    assert start(driving, record, 1) is PowerState.RUNNING
    first = drive(driving, record).read_bytes()
    assert b"before.novalocal" in first
    assert 'device="cdrom"' in driving.domain_of(record).XMLDesc(0).replace("'", '"')

    renamed = record.evolve(hostname="after")
    start(driving, renamed, 2)
    assert drive(driving, record).read_bytes() == first, "a guest that runs keeps its drive"
    driving.hypervisor.suspend(record.id)
    start(driving, renamed, 3)
    assert drive(driving, record).read_bytes() == first, "a guest that slept keeps its drive"
    driving.hypervisor.force_off(record.id)
    start(driving, renamed, 4)
    assert b"after.novalocal" in drive(driving, record).read_bytes()

    driving.hypervisor.ensure_absent(record.id)
    driving.hypervisor.remove_disk(record.id)
    assert not drive(driving, record).exists()


def test_without_a_drive_there_is_none(driving: HostUnderTest) -> None:
    record = records.instance()
    driving.hypervisor.ensure_disk(record, driving.base)
    start(driving, record, 1)
    assert not drive(driving, record).exists()
    assert "cdrom" not in driving.domain_of(record).XMLDesc(0)
