"""Hosts and requests for placement tests."""

from datetime import UTC, datetime

from actors.model.flavor import Resources
from actors.model.host import HostRecord, HostReport, HostState, Inventory
from actors.model.ids import HostId, InstanceId
from actors.ports.scheduler import ClaimRequest

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def inventory(vcpus: int = 4, memory_mb: int = 4096, disk_gb: int = 100) -> Inventory:
    """What is free is what is named: no over-commit, nothing reserved."""
    return Inventory(
        vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb, reserved_memory_mb=0, cpu_ratio=1.0
    )


def host(name: str, **changes: object) -> HostRecord:
    """A host whose id is made of its name."""
    record = HostRecord(
        id=HostId(f"id-{name}"),
        name=name,
        inventory=inventory(),
        hypervisor="TEST",
        virt_type="test",
        created=NOW,
        updated=NOW,
    )
    return record.evolve(**changes)


def down(name: str, trouble: str = "") -> HostRecord:
    return host(name, state=HostState.DOWN, trouble=trouble)


def report(name: str, host_id: str = "", epoch: int = 1, **changes: object) -> HostReport:
    """What that host says of itself."""
    said = HostReport(
        id=HostId(host_id or f"id-{name}"),
        name=name,
        epoch=epoch,
        inventory=inventory(),
        hypervisor="TEST",
        virt_type="test",
    )
    return said.evolve(**changes)


def needs(vcpus: int = 1, memory_mb: int = 1024, disk_gb: int = 10) -> Resources:
    return Resources(vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb)


def request(
    instance: str = "i",
    sequence: int = 1,
    attempt: int = 1,
    resources: Resources | None = None,
    *,
    zone: str = "nova",
    only: str | None = None,
    exclude: tuple[str, ...] = (),
    lives_on: str | None = None,
    must_move: bool = False,
) -> ClaimRequest:
    return ClaimRequest(
        InstanceId(instance),
        sequence,
        attempt,
        resources or needs(),
        zone,
        only,
        tuple(HostId(f"id-{name}") for name in exclude),
        None if lives_on is None else HostId(f"id-{lives_on}"),
        must_move,
    )
