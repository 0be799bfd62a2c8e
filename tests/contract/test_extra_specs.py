"""What a flavor says beyond its numbers, as QEMU has it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from actors.drivers.libvirt.domain_xml import Domain
from actors.drivers.libvirt.settings import LibvirtSettings, VirtType
from actors.model.errors import HypervisorRefused
from actors.model.instance import PowerState
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually
from tests.contract.private_libvirtd import PrivateLibvirtd

Test = TypeVar("Test", bound=Callable[..., None])

#: Where guests' cgroups are made, in version 1 and 2.
CGROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


def qemu(test: Test) -> Test:
    """Of QEMU only: the test driver runs nothing."""
    marked: Test = pytest.mark.parametrize("host", ["qemu"], indirect=True)(test)
    live: Test = pytest.mark.live(marked)
    return live


@pytest.fixture
def tuned(tmp_path: Path) -> Iterator[HostUnderTest]:
    """A host whose guests are in cgroups of their own."""
    if not any((tree / "cgroup.procs").exists() and os.access(tree, os.W_OK) for tree in CGROUPS):
        pytest.skip("no cgroups can be made here")
    daemon = PrivateLibvirtd(tmp_path / "libvirtd", ("cpu",))
    try:
        daemon.start()
        settings = LibvirtSettings(daemon.uri, tmp_path / "state", VirtType.QEMU)
        settings.state_dir.mkdir()
        host = HostUnderTest(settings)
        host.open()
        yield host
        for guest in host.hypervisor.guests():
            host.hypervisor.ensure_absent(guest.instance)
        host.hypervisor.close()
    finally:
        daemon.close()


@pytest.mark.live
def test_cpu_limits_are_in_force(tuned: HostUnderTest) -> None:
    specs = {key: value for key, value in records.SPECS.items() if key.startswith("quota:cpu")}
    record = records.instance(size=records.flavor(vcpus=2).evolve(extra_specs=specs))
    assert tuned.boot(record) is PowerState.RUNNING
    # Read back from the cgroup, not from the definition.
    scheduler = tuned.domain_of(record).schedulerParameters()
    assert scheduler["cpu_shares"] == 512
    assert (scheduler["global_period"], scheduler["global_quota"]) == (50_000, 50_000)


@qemu
def test_a_host_without_cgroups_refuses_cpu_limits(host: HostUnderTest) -> None:
    # Of shares libvirt does not say so: they are nothing without somebody to share with.
    size = records.flavor().evolve(extra_specs={"quota:cpu_quota": "50000"})
    with pytest.raises(HypervisorRefused, match="cgroup"):
        host.boot(records.instance(size=size))


@qemu
def test_limits_are_in_force(host: HostUnderTest) -> None:
    specs = {key: value for key, value in records.SPECS.items() if "cpu" not in key}
    size = records.flavor().evolve(ephemeral_gb=1, swap_mb=16, extra_specs=specs)
    record = records.instance(size=size)
    assert host.boot(record) is PowerState.RUNNING
    domain = host.domain_of(record)
    # Asked of QEMU.
    for disk in ("vda", "vdb", "vdc"):
        tune = domain.blockIoTune(disk)
        assert (tune["read_bytes_sec"], tune["write_bytes_sec"], tune["total_iops_sec"]) == (
            10_485_760,
            5_242_880,
            500,
        )
    live = Domain.from_text(domain.XMLDesc())
    assert live.watchdog is not None
    assert live.watchdog.action == "reset"
    assert live.rng is not None
    assert (live.rng.rate_bytes, live.rng.rate_period) == (1024, 500)


@qemu
@pytest.mark.parametrize("action", ["none", "pause", "poweroff", "reset"])
def test_each_watchdog_starts(host: HostUnderTest, action: str) -> None:
    size = records.flavor().evolve(extra_specs={"hw:watchdog_action": action})
    assert host.boot(records.instance(size=size)) is PowerState.RUNNING


@qemu
def test_without_a_random_number_generator(host: HostUnderTest) -> None:
    size = records.flavor().evolve(extra_specs={"hw_rng:allowed": "no"})
    record = records.instance(size=size)
    assert host.boot(record) is PowerState.RUNNING
    assert Domain.from_text(host.domain_of(record).XMLDesc()).rng is None


@qemu
def test_uefi_starts_and_leaves_nothing(host: HostUnderTest) -> None:
    size = records.flavor(256).evolve(extra_specs={"hw:firmware_type": "uefi"})
    record = records.instance(size=size)
    assert host.boot(record) is PowerState.RUNNING
    folder = host.settings.instances_dir / record.id
    assert (folder / "nvram.fd").exists()
    console = host.hypervisor.console_path(record.id)
    # Its own words about a disk that nothing boots from.
    eventually("UEFI speaks", lambda: b"BdsDxe" in console.read_bytes(), 60)
    host.hypervisor.force_off(record.id)
    # The variables outlive a stop.
    before = (folder / "nvram.fd").stat().st_ino
    assert host.run(record, 2) is PowerState.RUNNING
    assert (folder / "nvram.fd").stat().st_ino == before
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert not folder.exists()


@qemu
def test_the_other_disks_go_with_the_instance(host: HostUnderTest) -> None:
    record = records.instance(size=records.flavor().evolve(ephemeral_gb=1, swap_mb=16))
    assert host.boot(record) is PowerState.RUNNING
    folder: Path = host.settings.instances_dir / record.id
    assert {"disk.eph0", "disk.swap"} <= {path.name for path in folder.iterdir()}
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert not folder.exists()
