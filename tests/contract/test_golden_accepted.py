"""libvirt takes the domains of tests/golden/domain, checked against its own schema."""

from pathlib import Path

import libvirt
import pytest

from tests.contract.hosts import HostUnderTest

GOLDEN = Path(__file__).parents[1] / "golden" / "domain"
#: KVM is not offered everywhere; ``every-field`` is of no use to anybody.
BY_DRIVER = {
    "TEST": ["test-kernel", "test-live-size"],
    "QEMU": [
        "qemu-disk",
        "qemu-kernel",
        "qemu-no-bridge",
        "hostile-name",
        "qemu-extra-specs",
        "qemu-live-size",
    ],
}


def test_libvirt_takes_the_golden_domains(host: HostUnderTest) -> None:
    with host.raw() as conn:
        for name in BY_DRIVER[conn.getType()]:
            text = (GOLDEN / f"{name}.xml").read_text(encoding="utf-8")
            conn.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefineFlags(0)


@pytest.mark.live
@pytest.mark.parametrize("host", ["qemu"], indirect=True)
def test_the_schema_is_looked_at(host: HostUnderTest) -> None:
    text = (GOLDEN / "qemu-disk.xml").read_text(encoding="utf-8").replace("memballoon", "balloon")
    with host.raw() as conn, pytest.raises(libvirt.libvirtError):
        conn.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
