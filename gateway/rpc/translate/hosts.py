"""Hosts to messages."""

from typing import Final

from actors.model.flavor import Resources
from actors.model.host import HostState, HostUsage
from protos.novaray.v1 import hosts_pb2

_STATE: Final = {
    HostState.UP: hosts_pb2.Host.STATE_UP,
    HostState.DOWN: hosts_pb2.Host.STATE_DOWN,
}


def host_message(usage: HostUsage) -> hosts_pb2.Host:
    """The host on the wire."""
    record = usage.record
    return hosts_pb2.Host(
        name=f"hosts/{record.name}",
        uid=record.id,
        state=_STATE[record.state],
        trouble=record.trouble,
        enabled=record.enabled,
        disabled_reason=record.disabled_reason,
        availability_zone=record.availability_zone,
        hypervisor=record.hypervisor,
        hypervisor_version=record.hypervisor_version,
        virt_type=record.virt_type,
        capacity=_resources(record.inventory.capacity),
        claimed=_resources(usage.claimed),
        instances=usage.instances,
    )


def _resources(amount: Resources) -> hosts_pb2.HostResources:
    return hosts_pb2.HostResources(
        vcpus=amount.vcpus, memory_mb=amount.memory_mb, disk_gb=amount.disk_gb
    )
