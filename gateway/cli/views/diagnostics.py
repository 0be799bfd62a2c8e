"""Counters of a guest, under Nova's names (microversion 2.48)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.cli.views.words import word
from protos.novaray.v1.instances_pb2 import Instance

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.diagnostics_pb2 import InstanceDiagnostics, NicDiagnostics


def properties(found: InstanceDiagnostics) -> list[tuple[str, object]]:
    """The property table; lists as JSON, as python-novaclient shows them."""
    return [(key, _cell(value)) for key, value in as_json(found).items()]


def as_json(found: InstanceDiagnostics) -> dict[str, Json]:
    """The JSON form. Every key is always there."""
    return {
        "cpu_details": [{"id": cpu.id, "time": cpu.time_ns} for cpu in found.cpus],
        "disk_details": [
            {
                "device": disk.device,
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors_count": disk.errors if disk.HasField("errors") else None,
            }
            for disk in found.disks
        ],
        "driver": found.driver,
        "host": found.host or None,
        "hypervisor": found.hypervisor,
        "hypervisor_os": found.hypervisor_os,
        "memory_details": {"maximum": found.memory.maximum_mb, "used": found.memory.used_mb},
        "nic_details": [_nic(card) for card in found.nics],
        "num_cpus": len(found.cpus),
        "num_disks": len(found.disks),
        "num_nics": len(found.nics),
        "state": word(Instance.PowerState, found.power_state, "POWER_STATE_").lower(),
        "uptime": found.uptime_seconds,
    }


def _nic(card: NicDiagnostics) -> dict[str, Json]:
    return {
        "mac_address": card.mac,
        "rx_octets": card.rx_octets,
        "rx_packets": card.rx_packets,
        "rx_errors": card.rx_errors,
        "rx_drop": card.rx_drop,
        "tx_octets": card.tx_octets,
        "tx_packets": card.tx_packets,
        "tx_errors": card.tx_errors,
        "tx_drop": card.tx_drop,
    }


def _cell(value: Json) -> object:
    if isinstance(value, list):
        return "\n".join(json.dumps(item) for item in value) or "[]"
    return json.dumps(value) if isinstance(value, dict) else value
