"""What extra specs make of a domain, where the golden files do not show it."""

import pytest

from actors.drivers.libvirt import tuning
from actors.drivers.libvirt.device_xml import Rng, Watchdog
from actors.drivers.libvirt.tuning_xml import CpuTune, IoTune
from actors.model.extra_specs import FirmwareType
from actors.model.flavor import Flavor
from tests.contract import records


def flavor(vcpus: int = 1, **specs: str) -> Flavor:
    named = {key.replace("__", ":"): value for key, value in specs.items()}
    return records.flavor(vcpus=vcpus).evolve(extra_specs=named)


@pytest.mark.parametrize("virt_type", ["kvm", "qemu", "test"])
def test_a_flavor_that_says_nothing_limits_nothing(virt_type: str) -> None:
    plain = flavor()
    assert tuning.cpu_tune(plain, virt_type, 1) is None
    assert tuning.io_tune(plain) is None
    assert tuning.watchdog(plain) is None
    assert tuning.rng(plain) == Rng()


def test_a_quota_is_each_vcpus_and_without_kvm_that_of_all() -> None:
    two = flavor(2, quota__cpu_quota="25000")
    assert tuning.cpu_tune(two, "kvm", 2) == CpuTune(quota=25_000)
    assert tuning.cpu_tune(two, "qemu", 2) == CpuTune(global_period=100_000, global_quota=50_000)
    shares = flavor(quota__cpu_shares="100")
    assert tuning.cpu_tune(shares, "kvm", 1) == tuning.cpu_tune(shares, "qemu", 1) == CpuTune(100)


def test_limits_of_disks() -> None:
    limited = flavor(quota__disk_total_bytes_sec="7", quota__disk_read_iops_sec="8")
    assert tuning.io_tune(limited) == IoTune(total_bytes_sec=7, read_iops_sec=8)


def test_the_watchdog() -> None:
    assert tuning.watchdog(flavor(hw__watchdog_action="disabled")) is None
    assert tuning.watchdog(flavor(hw__watchdog_action="none")) == Watchdog("none")


def test_the_random_number_generator() -> None:
    assert tuning.rng(flavor(hw_rng__allowed="False")) is None
    assert tuning.rng(flavor(hw_rng__allowed="1", hw_rng__rate_bytes="5")) == Rng(rate_bytes=5)


def test_the_image_knows_its_firmware_better_than_the_flavor() -> None:
    uefi = flavor(hw__firmware_type="uefi")
    assert tuning.firmware(records.instance()) is FirmwareType.BIOS
    assert tuning.firmware(records.instance(size=uefi)) is FirmwareType.UEFI
    bios = records.source().evolve(firmware=FirmwareType.BIOS)
    assert tuning.firmware(records.instance(size=uefi, boot=bios)) is FirmwareType.BIOS
