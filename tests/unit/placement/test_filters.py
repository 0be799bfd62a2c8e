"""Each filter: what passes, and the words for what does not."""

import pytest

from actors.model.host import HostRecord
from actors.placement.filters import FILTERS
from actors.placement.fleet import Fleet
from actors.ports.scheduler import ClaimRequest
from tests.unit.placement.fleets import down, host, inventory, needs, request


def refusals(record: HostRecord, asked: ClaimRequest) -> list[str]:
    (view,) = Fleet([record])
    found = ((rule.label, rule.why_not(view, asked)) for rule in FILTERS)
    return [f"{label}: {why}" for label, why in found if why is not None]


def test_a_fitting_host_passes_all() -> None:
    assert refusals(host("h1"), request(only="h1", exclude=("h2",))) == []


@pytest.mark.parametrize(
    ("record", "asked", "expected"),
    [
        (
            host("h1"),
            request(only="h2"),
            "RequestedHostFilter: is not the requested host h2",
        ),
        (
            host("h1", availability_zone="cellar"),
            request(),
            "AvailabilityZoneFilter: is in availability zone cellar, not in nova",
        ),
        (host("h1", enabled=False), request(), "ComputeFilter (disabled): is disabled"),
        (
            host("h1", enabled=False, disabled_reason="new disks"),
            request(),
            "ComputeFilter (disabled): is disabled: new disks",
        ),
        (
            down("h1"),
            request(),
            "ComputeFilter (down): is down: it has not reported lately",
        ),
        (
            down("h1", "libvirt: connection refused"),
            request(),
            "ComputeFilter (down): is down: libvirt: connection refused",
        ),
        (
            host("h1"),
            request(exclude=("h1",)),
            "RetryFilter: failed to boot this instance before",
        ),
        (
            host("h1"),
            request(resources=needs(vcpus=8)),
            "VcpuFilter: needs 8 vCPUs, 4 are free",
        ),
        (
            host("h1"),
            request(resources=needs(memory_mb=8192)),
            "MemoryFilter: needs 8192 MiB of memory, 4096 are free",
        ),
        (
            host("h1"),
            request(resources=needs(disk_gb=101)),
            "DiskFilter: needs 101 GiB of disk, 100 are free",
        ),
    ],
)
def test_a_refusal_says_why(record: HostRecord, asked: ClaimRequest, expected: str) -> None:
    assert refusals(record, asked) == [expected]


def test_exactly_what_is_free_fits() -> None:
    assert refusals(host("h1"), request(resources=needs(4, 4096, 100))) == []


def test_capacity_counts_ratios_and_what_is_reserved() -> None:
    stocked = inventory(memory_mb=4096).evolve(cpu_ratio=4.0, reserved_memory_mb=512)
    assert refusals(host("h1", inventory=stocked), request(resources=needs(16, 3584))) == []
    assert refusals(host("h1", inventory=stocked), request(resources=needs(17, 3585))) == [
        "VcpuFilter: needs 17 vCPUs, 16 are free",
        "MemoryFilter: needs 3585 MiB of memory, 3584 are free",
    ]


def test_what_asks_for_no_disk_passes_an_overfull_one() -> None:
    fleet = Fleet([host("h1")])
    fleet.take(host("h1").id, needs(disk_gb=100))
    fleet.put(host("h1", inventory=inventory(disk_gb=40)))
    (view,) = fleet
    assert view.free_disk_gb == -60
    disk = FILTERS[-1].why_not
    assert disk(view, request(resources=needs(disk_gb=0))) is None
    assert disk(view, request(resources=needs(disk_gb=1))) == ("needs 1 GiB of disk, 0 are free")
