"""Disks that take another's place, for good or for a while: what every hypervisor keeps to."""

from dataclasses import replace
from pathlib import Path

import pytest

from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.pool_disks import POOL
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.libvirt.storage_xml import Volume
from actors.model.errors import Conflict
from actors.model.instance import InstanceRecord, PowerState, Rescue
from actors.ports.hypervisor import BootFiles
from tests.contract import records
from tests.contract.hosts import HostUnderTest


def disks_of(host: HostUnderTest, record: InstanceRecord) -> dict[str, str]:
    """The instance's disks: the file below each, by name. As libvirt's test driver has them too."""
    if not host.settings.is_test:
        folder = host.disk(record).parent
        return {
            str(path.relative_to(folder)): Qcow2Header.read(path).backing
            for path in folder.rglob("*.qcow2")
        }
    with host.raw() as conn:
        volumes = conn.storagePoolLookupByName(POOL).listAllVolumes()
        found = [Volume.from_text(volume.XMLDesc(0)) for volume in volumes]
    return {
        volume.name.removeprefix(f"{record.id}."): volume.backing or ""
        for volume in found
        if volume.name.startswith(record.id)
    }


def another(host: HostUnderTest) -> Path:
    """Another base image."""
    path = host.base.with_name(f"another-{host.base.name}")
    path.write_bytes(host.base.read_bytes() if host.base.exists() else b"")
    return path


def test_disks_are_put_aside_and_back(host: HostUnderTest) -> None:
    record, hypervisor, other = records.instance(), host.hypervisor, another(host)
    host.boot(record)
    with pytest.raises(Conflict) as refusal:
        hypervisor.put_disks_aside(record.id, 7)
    assert refusal.value.reason == "INSTANCE_RUNS"
    hypervisor.force_off(record.id)
    before = disks_of(host, record)
    for _ in range(2):
        hypervisor.put_disks_aside(record.id, 7)
        hypervisor.ensure_disk(record, other)
    assert len(disks_of(host, record)) == 2
    assert str(other) in disks_of(host, record).values()
    host.run(record, 7)
    # Asked again when the new guest runs already: that one stays.
    hypervisor.put_disks_aside(record.id, 7)
    hypervisor.ensure_absent(record.id)
    for _ in range(2):
        hypervisor.put_disks_back(record.id, 7)
        assert disks_of(host, record) == before
    assert host.run(record, 7) is PowerState.RUNNING


def test_what_was_put_aside_is_forgotten(host: HostUnderTest) -> None:
    record, hypervisor, other = records.instance(), host.hypervisor, another(host)
    hypervisor.ensure_disk(record, host.base)
    hypervisor.put_disks_aside(record.id, 7)
    hypervisor.ensure_disk(record, other)
    for _ in range(2):
        hypervisor.forget_old_disks(record.id, 7)
    assert list(disks_of(host, record).values()) == [str(other)]
    # Nothing was put aside by this one.
    hypervisor.put_disks_back(record.id, 8)
    assert list(disks_of(host, record).values()) == [str(other)]
    hypervisor.put_disks_aside(record.id, 9)
    hypervisor.remove_disk(record.id)
    assert disks_of(host, record) == {}


def test_a_rescued_one_boots_another_disk_before_its_own(host: HostUnderTest) -> None:
    record, hypervisor, other = records.instance(), host.hypervisor, another(host)
    host.boot(record)
    before = disks_of(host, record)
    hypervisor.force_off(record.id)
    rescued = record.evolve(rescue=Rescue(source=records.source(virtual_size=8 * records.MIB)))
    files = replace(host.files, rescue=BootFiles(other))
    for _ in range(2):
        hypervisor.ensure_rescue_disk(rescued, other)
        hypervisor.ensure_running(rescued, 2, files, {})
    domain = Domain.from_text(host.domain_of(record).XMLDesc())
    first, second = domain.disks[:2]
    assert (first.target, second.target) == ("vda", "vdb")
    assert second.source == str(host.disk(record)) or host.settings.is_test
    assert first.backing is not None
    assert first.backing.source == str(other)
    assert len(disks_of(host, record)) == 2
    hypervisor.force_off(record.id)
    host.run(record, 3)
    for _ in range(2):
        hypervisor.remove_rescue_disk(record.id)
    domain = Domain.from_text(host.domain_of(record).XMLDesc())
    assert [disk.target for disk in domain.disks] == ["vda"]
    assert disks_of(host, record) == before
