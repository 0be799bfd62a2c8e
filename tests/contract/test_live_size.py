"""The size of a guest that runs: given by the host, taken with the guest's consent."""

import libvirt
import pytest

from actors.model.errors import Conflict
from actors.model.flavor import Size
from actors.model.instance import InstanceRecord
from tests.contract import records
from tests.contract.hosts import HostUnderTest

OWN = records.flavor(32)
GROWS = OWN.evolve(extra_specs={"novaray:max_memory_mb": "288", "novaray:max_vcpus": "3"})
_SCOPES = (libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def sized(record: InstanceRecord, memory_mb: int = 32, vcpus: int = 1) -> InstanceRecord:
    return record.evolve(size=Size(vcpus=vcpus, memory_mb=memory_mb))


def modules(host: HostUnderTest, record: InstanceRecord) -> list[int]:
    """How many the guest has, and its definition."""
    flags = (0, libvirt.VIR_DOMAIN_XML_INACTIVE)
    domain = host.domain_of(record)
    return [domain.XMLDesc(flag).count("<memory model='dimm'") for flag in flags]


@pytest.mark.parametrize("host", [pytest.param("qemu", marks=pytest.mark.live)], indirect=True)
def test_a_guest_is_given_memory_and_keeps_it_until_it_is_off(host: HostUnderTest) -> None:
    """Nothing runs in it but its BIOS, which answers to nothing: as a guest that will not."""
    record = records.instance(size=GROWS)
    host.boot(record)
    assert host.hypervisor.guest_size(record) == OWN.size
    larger = sized(record, 288)
    host.hypervisor.check_size(record, larger.size_now)
    assert host.hypervisor.change_size(larger, ask=True)
    assert host.hypervisor.change_size(larger, ask=True), "again"
    assert host.hypervisor.guest_size(larger) == larger.size
    assert modules(host, record) == [2, 2]
    assert host.domain_of(record).info()[1] == 288 * 1024

    assert not host.hypervisor.change_size(record, ask=True)
    assert not host.hypervisor.change_size(record, ask=True), "asked again"
    assert not host.hypervisor.change_size(record, ask=False)
    assert host.hypervisor.guest_size(record) == larger.size, "what it has, whatever was asked"
    assert modules(host, record) == [2, 2], "the definition says what runs"
    assert host.hypervisor.change_size(larger, ask=True), "and so it goes on"

    host.hypervisor.force_off(record.id)
    assert host.hypervisor.guest_size(record) is None
    assert host.hypervisor.change_size(record, ask=True), "its next start has what the record says"
    host.run(sized(record, 160), 2)
    assert modules(host, record) == [1, 1]
    assert host.hypervisor.guest_size(record) == Size(vcpus=1, memory_mb=160)


@pytest.mark.parametrize("host", [pytest.param("qemu", marks=pytest.mark.live)], indirect=True)
def test_a_vcpu_would_crash_qemu_without_kvm(host: HostUnderTest) -> None:
    record = records.instance(size=GROWS)
    host.boot(record)
    with pytest.raises(Conflict, match=r"QEMU 7\.2 crashes") as refusal:
        host.hypervisor.check_size(record, Size(vcpus=2, memory_mb=32))
    assert refusal.value.reason == "VCPUS_FIXED_WITHOUT_KVM"
    assert host.hypervisor.change_size(sized(record, vcpus=2), ask=True)
    assert host.domain_of(record).vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE) == 1
    assert host.domain_of(record).maxVcpus() == 1, "nobody else can ask for one either"


def test_a_guest_that_was_started_without_slots(host: HostUnderTest) -> None:
    record = records.instance(size=OWN)
    host.boot(record)
    with pytest.raises(Conflict) as refusal:
        host.hypervisor.check_size(record.evolve(flavor=GROWS), Size(vcpus=1, memory_mb=160))
    assert refusal.value.reason == "SIZE_NEEDS_A_START"


@pytest.mark.parametrize("host", ["test"], indirect=True)
def test_vcpus_come_and_go(host: HostUnderTest) -> None:
    """The calls that KVM is given, on libvirt's test driver."""
    record = records.instance(size=GROWS)
    host.boot(record)
    domain = host.domain_of(record)
    for vcpus in (3, 1, 2):
        host.hypervisor.check_size(record, Size(vcpus=vcpus, memory_mb=32))
        assert host.hypervisor.change_size(sized(record, vcpus=vcpus), ask=True)
        assert [domain.vcpusFlags(scope) for scope in _SCOPES] == [vcpus, vcpus]
    assert not host.hypervisor.change_size(record, ask=False), "nothing is taken unasked"
    assert domain.maxVcpus() == 3
    host.hypervisor.force_off(record.id)
    host.run(sized(record, vcpus=2), 2)
    assert [domain.vcpusFlags(scope) for scope in _SCOPES] == [2, 2]


@pytest.mark.parametrize("host", ["test"], indirect=True)
def test_the_test_driver_has_other_memory_at_the_next_start(host: HostUnderTest) -> None:
    record = records.instance(size=GROWS)
    host.boot(record)
    assert host.hypervisor.change_size(sized(record, 288), ask=True)
    assert host.hypervisor.guest_size(record) is None, "it cannot be told"
    host.hypervisor.force_off(record.id)
    host.run(sized(record, 288), 2)
    assert host.domain_of(record).info()[1] == 288 * 1024


def test_what_does_not_run_is_given_nothing(host: HostUnderTest) -> None:
    record = records.instance(size=GROWS)
    host.hypervisor.check_size(record, Size(vcpus=2, memory_mb=288))
    assert host.hypervisor.change_size(sized(record, 288, 2), ask=True)
    assert host.hypervisor.guest_size(record) is None
