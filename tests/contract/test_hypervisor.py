"""What every implementation of ``ports.hypervisor.Hypervisor`` keeps to."""

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import libvirt
import pytest

from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.model.console import ConsoleKind
from actors.model.errors import Conflict, HypervisorRefused, Invalid, Unavailable
from actors.model.ids import InstanceId
from actors.model.instance import PowerState
from actors.ports.hypervisor import Guest, Hypervisor
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually

FOREIGN = """\
<domain type="{type}"><name>{name}</name><uuid>{uuid}</uuid><memory>32768</memory>
<os><type arch="{arch}">hvm</type></os></domain>
"""


def define_foreign(host: HostUnderTest, uuid: str, name: str) -> libvirt.virDomain:
    arch = "i686" if host.settings.is_test else "x86_64"
    kind = "test" if host.settings.is_test else "qemu"
    with host.raw() as conn:
        return conn.defineXMLFlags(FOREIGN.format(type=kind, name=name, uuid=uuid, arch=arch))


def test_it_is_a_hypervisor(host: HostUnderTest) -> None:
    hypervisor: Hypervisor = host.hypervisor
    facts = hypervisor.facts()
    assert facts.driver == ("TEST" if host.settings.is_test else "QEMU")
    assert facts.virt_type == ("test" if host.settings.is_test else "qemu")
    assert facts.version > 0
    assert facts.inventory.vcpus > 0
    assert facts.inventory.memory_mb > 0
    assert facts.inventory.disk_gb > 0
    assert host.connections == [(True, "")]


def test_a_boot_runs_and_is_heard_of(host: HostUnderTest) -> None:
    record = records.instance(nics=(records.nic(),))
    assert host.boot(record) is PowerState.RUNNING
    assert host.hypervisor.power_state(record.id) is PowerState.RUNNING
    assert host.hypervisor.guests() == (Guest(record.id, record.project, 1, PowerState.RUNNING),)
    assert host.hypervisor.console_path(record.id).exists()
    eventually("the listener hears", lambda: PowerState.RUNNING in host.heard(record))


def test_each_step_twice_has_the_effect_of_once(host: HostUnderTest) -> None:
    record = records.instance()
    hypervisor = host.hypervisor
    for _ in range(2):
        hypervisor.ensure_disk(record, host.base)
    host.run(record)
    number = host.domain_of(record).ID()
    assert host.run(record) is PowerState.RUNNING
    assert host.domain_of(record).ID() == number  # the same run of it
    for _ in range(2):
        assert hypervisor.force_off(record.id) is PowerState.SHUTDOWN
    for _ in range(2):
        hypervisor.shut_down(record.id)
    for _ in range(2):
        hypervisor.ensure_absent(record.id)
    for _ in range(2):
        hypervisor.remove_disk(record.id)
    assert hypervisor.guests() == ()
    assert hypervisor.power_state(record.id) is PowerState.NOSTATE
    assert not hypervisor.console_path(record.id).parent.exists()


def test_what_is_not_there_is_no_error(host: HostUnderTest) -> None:
    record = records.instance()
    host.hypervisor.shut_down(record.id)
    assert host.hypervisor.force_off(record.id) is PowerState.NOSTATE
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)


def test_a_stopped_one_starts_with_what_the_record_says_now(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    host.hypervisor.force_off(record.id)
    grown = record.evolve(name="web-2", flavor=records.flavor(vcpus=2))
    assert host.run(grown, 2) is PowerState.RUNNING
    domain = Domain.from_text(host.domain_of(record).XMLDesc())
    assert (domain.title, domain.vcpus) == ("web-2", 2)
    assert [guest.sequence for guest in host.hypervisor.guests()] == [2]
    eventually(
        "the listener hears both starts and the stop",
        lambda: (
            host.heard(record).count(PowerState.RUNNING) >= 2
            and PowerState.SHUTDOWN in host.heard(record)
        ),
    )


def test_a_running_one_stays_but_notes_the_newer_operation(host: HostUnderTest) -> None:
    record = records.instance(name='<web> & "1" \'\x1b')
    host.boot(record)
    number = host.domain_of(record).ID()
    for sequence, noted in ((5, 5), (4, 5)):
        host.run(record, sequence)
        assert [guest.sequence for guest in host.hypervisor.guests()] == [noted]
    assert host.domain_of(record).ID() == number
    instance = Domain.from_text(host.domain_of(record).XMLDesc()).instance
    assert instance is not None
    assert instance.name == '<web> & "1" \'\ufffd'
    assert type(record).model_validate_json(instance.record) == record


def test_a_paused_one_runs_on(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    host.domain_of(record).suspend()
    assert host.hypervisor.power_state(record.id) is PowerState.PAUSED
    assert host.run(record) is PowerState.RUNNING
    eventually("the listener hears", lambda: PowerState.PAUSED in host.heard(record))


def test_somebody_elses_domain_is_left_alone(host: HostUnderTest) -> None:
    record = records.instance()
    foreign = define_foreign(host, record.id, "precious")
    try:
        foreign.createWithFlags(0)
        host.hypervisor.ensure_disk(record, host.base)
        for act in (
            lambda: host.run(record),
            lambda: host.hypervisor.force_off(record.id),
            lambda: host.hypervisor.shut_down(record.id),
            lambda: host.hypervisor.ensure_absent(record.id),
            lambda: host.hypervisor.remove_disk(record.id),
        ):
            with pytest.raises(HypervisorRefused) as refusal:
                act()
            assert refusal.value.reason == "FOREIGN_DOMAIN"
        assert foreign.isActive()
        assert host.hypervisor.guests() == ()
        assert host.heard(record) == []
    finally:
        foreign.destroy()
        foreign.undefineFlags(0)


def test_a_disk_in_use_is_not_removed(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    with pytest.raises(Conflict):
        host.hypervisor.remove_disk(record.id)
    host.hypervisor.force_off(record.id)
    host.hypervisor.remove_disk(record.id)


@pytest.mark.parametrize(("disk_gb", "size"), [(0, 4 * records.MIB), (1, 1024**3)])
def test_the_disk_is_as_large_as_flavor_or_image(
    host: HostUnderTest, disk_gb: int, size: int
) -> None:
    record = records.instance(size=records.flavor(disk_gb=disk_gb))
    host.hypervisor.ensure_disk(record, host.base)
    if host.settings.is_test:
        with host.raw() as conn:
            pool = conn.storagePoolLookupByName("novaray")
            assert pool.storageVolLookupByName(f"{record.id}.qcow2").info()[1] == size
    else:
        assert Qcow2Header.read(host.disk(record)) == Qcow2Header(size, str(host.base), False)


def test_an_id_that_is_no_uuid_reaches_nothing(host: HostUnderTest) -> None:
    for act in (host.hypervisor.remove_disk, host.hypervisor.console_path):
        with pytest.raises((Invalid, HypervisorRefused)):
            act(InstanceId("../../etc"))


def test_many_at_once(host: HostUnderTest) -> None:
    many = [records.instance() for _ in range(40 if host.settings.is_test else 4)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(host.boot, many)) == {PowerState.RUNNING}
    assert {guest.instance for guest in host.hypervisor.guests()} == {each.id for each in many}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: host.hypervisor.ensure_absent(each.id), many))
    assert host.hypervisor.guests() == ()


def test_a_closed_one_is_unavailable_at_once(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    host.hypervisor.close()
    for act in (
        host.hypervisor.facts,
        host.hypervisor.guests,
        lambda: host.run(record),
        lambda: host.hypervisor.power_state(record.id),
    ):
        with pytest.raises(Unavailable) as away:
            act()
        assert away.value.detail.startswith("libvirt: ")
    host.open()
    # The test driver's domains live in its connection.
    assert len(host.hypervisor.guests()) == (0 if host.settings.is_test else 1)


def test_a_running_guest_has_counters(host: HostUnderTest) -> None:
    record = records.instance(size=records.flavor(vcpus=2), nics=(records.nic(),))
    host.boot(record)
    found = host.hypervisor.diagnostics(record.id)
    assert found.power_state is PowerState.RUNNING
    assert found.hypervisor == ("test" if host.settings.is_test else "qemu")
    assert found.hypervisor_os == "linux"
    assert [cpu.id for cpu in found.cpus] == [0, 1]
    assert 0 < found.memory_used_mb <= found.memory_maximum_mb == record.flavor.memory_mb
    assert [disk.device for disk in found.disks] == ["vda"]
    assert [card.mac for card in found.nics] == [record.nics[0].mac]


def test_the_screen_can_be_photographed(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    picture = host.hypervisor.screenshot(record.id)
    assert picture.content_type == "image/png"
    assert picture.data.startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("kind", ConsoleKind)
def test_a_console_can_be_attached_to(host: HostUnderTest, kind: ConsoleKind) -> None:
    record = records.instance()
    host.boot(record)
    if host.settings.is_test:
        with pytest.raises(Conflict) as missing:
            host.hypervisor.open_console(record.id, kind)
        assert missing.value.reason == "CONSOLE_NOT_SUPPORTED"
        return
    fd = host.hypervisor.open_console(record.id, kind)
    try:
        assert not os.get_blocking(fd)
        assert os.isatty(fd) is (kind is ConsoleKind.SERIAL)
    finally:
        os.close(fd)


def test_a_guest_that_is_off_shows_nothing(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    host.hypervisor.force_off(record.id)
    for look in (
        host.hypervisor.diagnostics,
        host.hypervisor.screenshot,
        lambda one: host.hypervisor.open_console(one, ConsoleKind.SERIAL),
        lambda one: host.hypervisor.open_console(one, ConsoleKind.VNC),
    ):
        for one in (record.id, InstanceId(str(uuid4()))):
            with pytest.raises(Conflict) as off:
                look(one)
            assert off.value.reason == "GUEST_NOT_RUNNING"
