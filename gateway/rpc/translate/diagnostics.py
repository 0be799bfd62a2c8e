"""Counters of a guest to messages."""

from dataclasses import asdict
from datetime import timedelta

from actors.model.diagnostics import Diagnostics
from actors.model.instance import InstanceRecord
from protos.novaray.v1 import diagnostics_pb2 as pb
from protos.novaray.v1.instances_pb2 import Instance


def diagnostics_message(
    found: Diagnostics, record: InstanceRecord, age: timedelta, *, admin: bool
) -> pb.InstanceDiagnostics:
    """The counters on the wire. The records' fields have the messages' names."""
    return pb.InstanceDiagnostics(
        power_state=Instance.PowerState.Value(f"POWER_STATE_{found.power_state.name}"),
        driver="libvirt",
        hypervisor=found.hypervisor,
        hypervisor_os=found.hypervisor_os,
        uptime_seconds=int(age.total_seconds()),
        cpus=[pb.CpuDiagnostics(**asdict(cpu)) for cpu in found.cpus],
        memory=pb.MemoryDiagnostics(
            maximum_mb=found.memory_maximum_mb, used_mb=found.memory_used_mb
        ),
        disks=[pb.DiskDiagnostics(**asdict(disk)) for disk in found.disks],
        nics=[pb.NicDiagnostics(**asdict(card)) for card in found.nics],
        host=(record.host or "") if admin else "",
    )
