"""KVM or TCG, by recorded machines."""

from pathlib import Path

import pytest

from actors.drivers.libvirt.accelerator import DomainCapabilities, choose
from actors.drivers.libvirt.settings import VirtType

RECORDED = Path(__file__).parent / "recorded"


def cpuinfo(name: str) -> str:
    return (RECORDED / f"cpuinfo-{name}").read_text()


def offered() -> DomainCapabilities:
    return DomainCapabilities.from_text((RECORDED / "domain-capabilities-kvm.xml").read_text())


def test_the_recorded_capabilities_offer_kvm() -> None:
    # Recorded where /dev/kvm exists and guests hang: libvirt's word alone is not enough.
    assert offered() == DomainCapabilities("kvm", "x86_64", 255)


@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        ("amd", VirtType.KVM),
        ("intel", VirtType.KVM),
        ("intel-vmx-off", VirtType.QEMU),
        ("guest-without-svm", VirtType.QEMU),
    ],
)
def test_auto_needs_the_processors_flag(machine: str, chosen: VirtType) -> None:
    assert choose(VirtType.AUTO, cpuinfo(machine), offered()) is chosen


@pytest.mark.parametrize(
    "kvm", [None, DomainCapabilities(), DomainCapabilities("qemu", "x86_64", 9)]
)
def test_auto_needs_libvirts_word(kvm: DomainCapabilities | None) -> None:
    assert choose(VirtType.AUTO, cpuinfo("amd"), kvm) is VirtType.QEMU


@pytest.mark.parametrize("wanted", [VirtType.KVM, VirtType.QEMU])
def test_what_the_operator_sets_is_obeyed(wanted: VirtType) -> None:
    assert choose(wanted, cpuinfo("guest-without-svm"), None) is wanted
    assert choose(wanted, cpuinfo("amd"), offered()) is wanted
