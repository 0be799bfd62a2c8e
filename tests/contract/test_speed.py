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
    empty, full = (_opened(tmp_path / name) for name in ("empty", "full"))
    for record in [records.instance(nics=(records.nic(),)) for _ in range(1500)]:
        full.boot(record)
    # In turns, medians, and generous: other work on the machine hits both and may not fail this, a
    # list over all must.
    seconds: dict[HostUnderTest, list[float]] = {empty: [], full: []}
    for record in [records.instance(nics=(records.nic(),)) for _ in range(200)]:
        for host, taken in seconds.items():
            began = time.perf_counter()
            host.boot(record)
            taken.append(time.perf_counter() - began)
            host.hypervisor.ensure_absent(record.id)
            host.hypervisor.remove_disk(record.id)
    for host in seconds:
        host.hypervisor.close()
    assert median(seconds[full]) < 3 * median(seconds[empty])


def _opened(folder: Path) -> HostUnderTest:
    host = HostUnderTest(LibvirtSettings(write_test_node(folder), folder))
    host.open()
    return host
