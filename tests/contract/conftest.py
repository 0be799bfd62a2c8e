"""Hypervisors to hold to the contract: libvirt's test driver, and QEMU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.drivers.libvirt.settings import LibvirtSettings, VirtType
from actors.drivers.libvirt.testnode import write_test_node
from tests.contract.hosts import HostUnderTest
from tests.contract.private_libvirtd import PrivateLibvirtd


@pytest.fixture(scope="session")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateLibvirtd]:
    """A libvirtd for all tests that leave it running."""
    daemon = PrivateLibvirtd(tmp_path_factory.mktemp("libvirtd"))
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()


@pytest.fixture(params=["test", pytest.param("qemu", marks=pytest.mark.live)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostUnderTest]:
    """An open hypervisor, with no instance on it; its instances are removed afterwards."""
    if request.param == "test":
        settings = LibvirtSettings(write_test_node(tmp_path), tmp_path)
    else:
        daemon: PrivateLibvirtd = request.getfixturevalue("libvirtd")
        settings = LibvirtSettings(daemon.uri, tmp_path, VirtType.QEMU)
    under_test = HostUnderTest(settings)
    under_test.open()
    yield under_test
    for guest in under_test.hypervisor.guests():
        under_test.hypervisor.ensure_absent(guest.instance)
    under_test.hypervisor.close()
