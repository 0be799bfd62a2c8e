"""Networks: rows, properties and JSON forms, in the words of Nova's own network-show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.resolve import Candidate
from gateway.cli.views.words import iso_micros, iso_seconds, json_time, last_part, word

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import Instance, InstanceAddress
    from protos.novaray.v1.networks_pb2 import Network

COLUMNS: Final = ("ID", "Label", "Cidr", "Kind", "Shared")
CARD_COLUMNS: Final = ("Port State", "Port ID", "Net ID", "IP addresses", "MAC Addr")


def candidate(network: Network) -> Candidate:
    """What tells it from others of the same name."""
    shared = "shared" if network.shared else _kind(network)
    return Candidate(network.uid, network.display_name, shared, iso_seconds(network.create_time))


def row(network: Network) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    return (
        network.uid,
        network.display_name,
        ", ".join(subnet.cidr for subnet in network.subnets),
        _kind(network),
        str(network.shared).lower(),
    )


def properties(network: Network) -> list[tuple[str, object]]:
    """What ``network-show`` shows."""
    subnets = network.subnets
    pools = [pool for subnet in subnets for pool in subnet.allocation_pools]
    shown: dict[str, object] = {
        "allocation_pools": ", ".join(f"{pool.first}-{pool.last}" for pool in pools) or None,
        "cidr": ", ".join(subnet.cidr for subnet in subnets),
        "created_at": iso_micros(network.create_time),
        "dhcp_server": ", ".join(subnet.dhcp_server for subnet in subnets),
        "dns": ", ".join(network.dns_servers) or None,
        "gateway": ", ".join(subnet.gateway for subnet in subnets),
        "id": network.uid,
        "kind": _kind(network),
        "label": network.display_name,
        "mtu": network.mtu,
        "project_id": last_part(network.project) or None,
        "shared": str(network.shared).lower(),
        "vni": network.vni or None,
    }
    return sorted(shown.items())


def as_json(network: Network) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": network.uid,
        "label": network.display_name,
        "project": last_part(network.project) or None,
        "shared": network.shared,
        "kind": _kind(network),
        "vni": network.vni or None,
        "mtu": network.mtu,
        "subnets": [
            {
                "cidr": subnet.cidr,
                "gateway": subnet.gateway,
                "dhcp_server": subnet.dhcp_server,
                "allocation_pools": [
                    {"first": pool.first, "last": pool.last} for pool in subnet.allocation_pools
                ],
            }
            for subnet in network.subnets
        ],
        "dns_servers": list(network.dns_servers),
        "created": json_time(network.create_time),
    }


def card_row(instance: Instance, card: InstanceAddress) -> tuple[object, ...]:
    """The cells below ``CARD_COLUMNS``."""
    return _port_state(instance), card.port, card.network_uid, card.address, card.mac


def card_json(instance: Instance, card: InstanceAddress) -> dict[str, Json]:
    """The JSON form."""
    return {
        "state": _port_state(instance),
        "port": card.port,
        "network": card.network_uid,
        "label": card.network,
        "address": card.address,
        "mac": card.mac,
    }


def _port_state(instance: Instance) -> str:
    """Neutron's word: a card is up as long as its guest is there."""
    there = (instance.POWER_STATE_RUNNING, instance.POWER_STATE_PAUSED)
    return "ACTIVE" if instance.power_state in there else "DOWN"


def _kind(network: Network) -> str:
    return word(network.Kind, network.kind, "KIND_").lower()
