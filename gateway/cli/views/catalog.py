"""Flavors, images and hosts: rows and JSON forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gateway.cli.resolve import Candidate
from gateway.cli.views.words import last_part, word

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.flavors_pb2 import Flavor
    from protos.novaray.v1.hosts_pb2 import Host, HostResources

FLAVOR_COLUMNS: Final = (
    "ID",
    "Name",
    "Memory_MB",
    "Disk",
    "Ephemeral",
    "Swap",
    "VCPUs",
    "RXTX_Factor",
    "Is_Public",
)
ACCESS_COLUMNS: Final = ("Flavor_ID", "Tenant_ID")
HOST_COLUMNS: Final = (
    "ID",
    "Name",
    "Zone",
    "State",
    "Status",
    "Type",
    "VCPUs",
    "Memory_MB",
    "Disk_GB",
    "Servers",
    "Reason",
)


def flavor_candidate(flavor: Flavor) -> Candidate:
    """What tells it from others."""
    return Candidate(last_part(flavor.name), flavor.display_name)


def flavor_row(flavor: Flavor) -> tuple[object, ...]:
    """The cells below ``FLAVOR_COLUMNS``. No swap is an empty cell, as in Nova."""
    return (
        last_part(flavor.name),
        flavor.display_name,
        flavor.memory_mb,
        flavor.disk_gb,
        flavor.ephemeral_gb,
        flavor.swap_mb or "",
        flavor.vcpus,
        flavor.rxtx_factor,
        flavor.public,
    )


def flavor_properties(flavor: Flavor) -> list[tuple[str, object]]:
    """The rows of one flavor, as python-novaclient names them."""
    return [
        ("OS-FLV-DISABLED:disabled", False),
        ("OS-FLV-EXT-DATA:ephemeral", flavor.ephemeral_gb),
        ("description", flavor.description or None),
        ("disk", flavor.disk_gb),
        ("extra_specs", json.dumps(dict(sorted(flavor.extra_specs.items())), ensure_ascii=False)),
        ("id", last_part(flavor.name)),
        ("name", flavor.display_name),
        ("os-flavor-access:is_public", flavor.public),
        ("ram", flavor.memory_mb),
        ("rxtx_factor", flavor.rxtx_factor),
        ("swap", flavor.swap_mb or ""),
        ("vcpus", flavor.vcpus),
    ]


def access_rows(flavor: str, projects: list[str]) -> list[tuple[object, ...]]:
    """The cells below ``ACCESS_COLUMNS``."""
    return [(last_part(flavor), last_part(project)) for project in projects]


def access_json(flavor: str, projects: list[str]) -> dict[str, Json]:
    """The JSON form."""
    return {"flavor": last_part(flavor), "projects": [last_part(p) for p in projects]}


def flavor_json(flavor: Flavor) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": last_part(flavor.name),
        "name": flavor.display_name,
        "vcpus": flavor.vcpus,
        "memory_mb": flavor.memory_mb,
        "disk_gb": flavor.disk_gb,
        "ephemeral_gb": flavor.ephemeral_gb,
        "swap_mb": flavor.swap_mb,
        "rxtx_factor": flavor.rxtx_factor,
        "public": flavor.public,
        "description": flavor.description,
        "extra_specs": dict(sorted(flavor.extra_specs.items())),
    }


def host_row(host: Host) -> tuple[object, ...]:
    """The cells below ``HOST_COLUMNS``: claimed of all, over-commit included."""
    return (
        host.uid,
        last_part(host.name),
        host.availability_zone,
        word(host.State, host.state, "STATE_").lower(),
        "enabled" if host.enabled else "disabled",
        host.virt_type,
        f"{host.claimed.vcpus}/{host.capacity.vcpus}",
        f"{host.claimed.memory_mb}/{host.capacity.memory_mb}",
        f"{host.claimed.disk_gb}/{host.capacity.disk_gb}",
        host.instances,
        _reason(host) or None,
    )


def host_json(host: Host) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": host.uid,
        "name": last_part(host.name),
        "availability_zone": host.availability_zone,
        "state": word(host.State, host.state, "STATE_").lower(),
        "trouble": host.trouble or None,
        "enabled": host.enabled,
        "disabled_reason": host.disabled_reason or None,
        "hypervisor": host.hypervisor,
        "hypervisor_version": version_text(host.hypervisor_version),
        "virt_type": host.virt_type,
        "capacity": _resources(host.capacity),
        "claimed": _resources(host.claimed),
        "instances": host.instances,
    }


def version_text(number: int) -> str:
    """Libvirt's version number in the usual form."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _reason(host: Host) -> str:
    return "; ".join(filter(None, (host.trouble, "" if host.enabled else host.disabled_reason)))


def _resources(amount: HostResources) -> Json:
    return {"vcpus": amount.vcpus, "memory_mb": amount.memory_mb, "disk_gb": amount.disk_gb}
