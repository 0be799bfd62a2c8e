"""A boot on the test driver costs the same whatever is there already: nothing is listed."""

import time
from pathlib import Path
from statistics import median

import pytest

from actors.drivers.libvirt.settings import LibvirtSettings
from actors.drivers.libvirt.testnode import write_test_node
from tests.contract import records
from tests.contract.hosts import HostUnderTest


@pytest.mark.slow
def test_a_boot_does_not_slow_down_with_the_number_of_domains(tmp_path: Path) -> None:
    host = HostUnderTest(LibvirtSettings(write_test_node(tmp_path), tmp_path))
    host.open()
    seconds = []
    for record in [records.instance(nics=(records.nic(),)) for _ in range(1500)]:
        began = time.perf_counter()
        host.boot(record)
        seconds.append(time.perf_counter() - began)
    host.hypervisor.close()
    # Medians, and generous: other work on the machine may not fail this, a list over all must.
    assert median(seconds[-200:]) < 2 * median(seconds[:200])
    assert median(seconds) < 0.005
