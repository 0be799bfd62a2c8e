"""Disks that start as others' disks are: of guests that run and of those that are off."""

import subprocess
from pathlib import Path

import libvirt
import pytest

from actors.drivers.libvirt import domains, layers
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.model.errors import Conflict, HypervisorRefused, NotFound
from actors.model.instance import InstanceRecord, PowerState
from tests.contract import records
from tests.contract.hosts import HostUnderTest

qemu = pytest.mark.parametrize(
    "host", [pytest.param("qemu", marks=pytest.mark.live)], indirect=True
)


def write(disk: Path, pattern: int, at: str = "4k") -> None:
    """Write into a disk that is off, as its guest would."""
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {at} 4k", str(disk)]
    subprocess.run(command, check=True, capture_output=True)


def reads(disk: Path, pattern: int, at: str = "4k") -> bool:
    """Whether this is what stands there."""
    command = ["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {pattern} {at} 4k", str(disk)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return "verification failed" not in done.stdout


def booted(host: HostUnderTest, pattern: int = 1) -> InstanceRecord:
    """A guest that runs, with something on its disk."""
    record = records.instance()
    host.hypervisor.ensure_disk(record, host.base)
    if not host.settings.is_test:
        write(host.disk(record), pattern)
    host.run(record)
    return record


def cloned(host: HostUnderTest, origin: InstanceRecord) -> InstanceRecord:
    record = records.instance()
    host.hypervisor.clone_disk(record, origin.id, host.base)
    return record


def files(host: HostUnderTest, record: InstanceRecord) -> list[str]:
    return sorted(path.name for path in host.disk(record).parent.glob("disk*"))


def layer_names(host: HostUnderTest) -> list[str]:
    return sorted(path.stem for path in (host.settings.state_dir / "layers").glob("*"))


def live_chain(host: HostUnderTest, record: InstanceRecord) -> list[str]:
    """What libvirt says that the guest runs on, by names."""
    root = libvirt_xml(host, record).split("<target")[0]
    return [part.split("'")[0].rsplit("/", 1)[1] for part in root.split("<source file='")[1:]]


def libvirt_xml(host: HostUnderTest, record: InstanceRecord) -> str:
    return host.domain_of(record).XMLDesc(0).partition("<disk ")[2]


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
def test_a_clone_boots_from_what_its_origin_has(host: HostUnderTest, running: bool) -> None:
    origin = booted(host)
    if not running:
        host.hypervisor.force_off(origin.id)
    clone = cloned(host, origin)
    assert host.run(clone) is PowerState.RUNNING
    expected = PowerState.RUNNING if running else PowerState.SHUTDOWN
    assert host.hypervisor.power_state(origin.id) is expected
    if not host.settings.is_test:
        assert reads(host.disk(clone), 1)


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
@qemu
def test_neither_sees_what_the_other_writes(host: HostUnderTest, running: bool) -> None:
    origin = booted(host)
    if not running:
        host.hypervisor.force_off(origin.id)
    clone = cloned(host, origin)
    host.hypervisor.force_off(origin.id)
    host.run(origin)  # and off again: the disk has its plain name
    host.hypervisor.force_off(origin.id)
    assert files(host, origin) == ["disk.qcow2"]
    write(host.disk(origin), 2)
    write(host.disk(clone), 3)
    assert reads(host.disk(origin), 2)
    assert reads(host.disk(clone), 3)
    for record in (origin, clone):
        assert host.run(record) is PowerState.RUNNING
        assert live_chain(host, record) == ["disk.qcow2", f"{clone.id}.qcow2", "base.qcow2"]


@qemu
def test_a_running_guest_goes_on_in_files_that_libvirt_names(host: HostUnderTest) -> None:
    """The one it writes into now, and those it was opened with, under names that are there."""
    origin = booted(host)
    first, second = cloned(host, origin), cloned(host, origin)
    assert live_chain(host, origin) == ["disk.2.qcow2", "disk.1.qcow2", "disk.qcow2", "base.qcow2"]
    folder = host.disk(origin).parent
    assert Qcow2Header.read(folder / "disk.2.qcow2").backing.endswith(f"{second.id}.qcow2")
    assert Qcow2Header.read(folder / "disk.1.qcow2").backing.endswith(f"{first.id}.qcow2")
    assert host.hypervisor.suspend(origin.id) is PowerState.SUSPENDED
    assert host.run(origin, 2) is PowerState.RUNNING
    assert live_chain(host, origin)[0] == "disk.2.qcow2"


@qemu
def test_clones_of_a_disk_that_is_off_share_one_layer(host: HostUnderTest) -> None:
    """Until it is written to."""
    origin = booted(host)
    host.hypervisor.force_off(origin.id)
    first, second = cloned(host, origin), cloned(host, origin)
    assert layer_names(host) == [first.id]
    host.hypervisor.force_off(origin.id)
    write(host.disk(origin).with_name("disk.1.qcow2"), 2)
    third = cloned(host, origin)
    assert layer_names(host) == sorted([first.id, third.id])
    assert reads(host.disk(second), 1)
    assert reads(host.disk(third), 2)


@qemu
def test_a_clone_of_a_clone(host: HostUnderTest) -> None:
    origin = booted(host)
    clone = cloned(host, origin)
    host.run(clone)
    grandchild = cloned(host, clone)
    host.run(grandchild)
    assert live_chain(host, grandchild) == [
        "disk.qcow2", f"{grandchild.id}.qcow2", f"{clone.id}.qcow2", "base.qcow2",
    ]  # fmt: skip


@pytest.mark.parametrize("running", [True, False], ids=["running", "off"])
def test_a_clone_begun_twice_is_one(host: HostUnderTest, running: bool) -> None:
    origin = booted(host)
    if not running:
        host.hypervisor.force_off(origin.id)
    clone = records.instance()
    for _ in range(2):
        host.hypervisor.clone_disk(clone, origin.id, host.base)
    if not host.settings.is_test:
        assert layer_names(host) == [clone.id]
        assert files(host, origin) == ["disk.1.qcow2", "disk.qcow2"]


@pytest.mark.parametrize("cut", ["make_overlay", "_go_on_in"])
@pytest.mark.parametrize("then", ["again", "other", "off"])
@qemu
def test_a_clone_cut_off_anywhere_goes_on(
    host: HostUnderTest, cut: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun again, or another's first, or after the guest has been off and on."""
    origin, clone = booted(host), records.instance()
    real = getattr(layers, cut)

    def killed(*arguments: object) -> None:
        if cut == "_go_on_in" and files(host, origin) == ["disk.qcow2"]:
            real(*arguments)  # the look at what an earlier one left
            return
        raise HypervisorRefused("killed", "TEST")

    with monkeypatch.context() as patch:
        patch.setattr(layers, cut, killed)
        with pytest.raises(HypervisorRefused, match="killed"):
            host.hypervisor.clone_disk(clone, origin.id, host.base)
    assert host.hypervisor.power_state(origin.id) is PowerState.RUNNING
    host.hypervisor.sweep_layers()
    if then == "other":
        assert reads(host.disk(cloned(host, origin)), 1)
    if then == "off":
        host.hypervisor.force_off(origin.id)
        host.run(origin, 2)
    host.hypervisor.clone_disk(clone, origin.id, host.base)
    assert reads(host.disk(clone), 1)
    host.hypervisor.force_off(origin.id)
    host.run(origin, 3)
    host.run(clone)
    assert live_chain(host, origin)[-1] == "base.qcow2"
    assert files(host, origin) == ["disk.qcow2"]


@qemu
def test_a_layer_goes_with_the_last_disk_on_it(host: HostUnderTest) -> None:
    origin = booted(host)
    first, second = cloned(host, origin), cloned(host, origin)
    host.hypervisor.ensure_absent(origin.id)
    host.hypervisor.remove_disk(origin.id)
    assert layer_names(host) == sorted([first.id, second.id])
    assert host.run(second) is PowerState.RUNNING
    host.hypervisor.remove_disk(first.id)
    # The second layer lies on the first.
    assert layer_names(host) == sorted([first.id, second.id])
    host.hypervisor.ensure_absent(second.id)
    host.hypervisor.remove_disk(second.id)
    assert layer_names(host) == []


@qemu
def test_a_flat_disk_lies_on_its_base_alone(host: HostUnderTest) -> None:
    origin = booted(host)
    clone = cloned(host, origin)
    write(host.disk(clone), 2, "64k")
    for _ in range(2):
        host.hypervisor.flatten_disk(clone, host.base)
    disk = host.disk(clone)
    assert Qcow2Header.read(disk).backing == str(host.base)
    assert reads(disk, 1)
    assert reads(disk, 2, "64k")
    with pytest.raises(Conflict):
        host.hypervisor.flatten_disk(origin, host.base)
    host.hypervisor.force_off(origin.id)
    host.hypervisor.flatten_disk(origin, host.base)
    assert files(host, origin) == ["disk.qcow2"]
    assert layer_names(host) == []
    assert reads(host.disk(origin), 1)


@qemu
def test_disks_on_layers_are_copied_put_aside_and_resized(host: HostUnderTest) -> None:
    """What other operations do with a root disk, they do with the newest file of it."""
    origin = booted(host)
    clone = cloned(host, origin)
    host.hypervisor.force_off(origin.id)
    write(host.disk(origin).with_name("disk.1.qcow2"), 2)
    for sequence in (2, 3):  # off; then running
        host.hypervisor.begin_copy(origin, sequence)
        while not host.hypervisor.copy_done(origin.id, sequence):
            pass
        copy = host.hypervisor.copy_path(origin.id, sequence)
        assert not Qcow2Header.read(copy).backing
        assert reads(copy, 2)
        host.run(origin, sequence)
    host.hypervisor.force_off(origin.id)
    host.hypervisor.put_disks_aside(origin.id, 4)
    host.hypervisor.ensure_disk(origin, host.base)
    assert reads(host.disk(origin), 0)
    host.hypervisor.sweep_layers()
    host.hypervisor.put_disks_back(origin.id, 4)
    assert reads(host.disk(origin), 2)
    assert layer_names(host) == [clone.id]


def test_what_is_gone_cannot_be_cloned(host: HostUnderTest) -> None:
    with pytest.raises(NotFound):
        cloned(host, records.instance())


@qemu
def test_what_is_suspended_or_made_anew_cannot_be_cloned(host: HostUnderTest) -> None:
    origin = booted(host)
    other = host.base.with_name("other.qcow2")
    with pytest.raises(Conflict) as error:
        host.hypervisor.clone_disk(records.instance(), origin.id, other)
    assert error.value.reason == "CLONE_SOURCE_CHANGED"
    host.hypervisor.suspend(origin.id)
    with pytest.raises(Conflict) as error:
        cloned(host, origin)
    assert error.value.reason == "INSTANCE_SUSPENDED"


@qemu
def test_a_disk_is_not_frozen_without_end(
    host: HostUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "_DEEPEST", 2)
    origin = booted(host)
    cloned(host, origin)
    cloned(host, origin)
    with pytest.raises(Conflict) as error:
        cloned(host, origin)
    assert error.value.reason == "DISK_TOO_DEEP"
    assert host.hypervisor.power_state(origin.id) is PowerState.RUNNING


@qemu
def test_a_guest_s_other_disks_are_not_frozen(host: HostUnderTest) -> None:
    record = records.instance(size=records.flavor().model_copy(update={"swap_mb": 1}))
    host.boot(record)
    cloned(host, record)
    assert files(host, record) == ["disk.1.qcow2", "disk.qcow2", "disk.swap"]
    with host.raw() as conn:
        assert isinstance(conn, libvirt.virConnect)
        targets = domains.disk_targets(conn, host.domain_of(record))
    assert targets == {"vda", "vdb"}
