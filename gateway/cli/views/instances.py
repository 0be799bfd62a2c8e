"""Instances: the row of ``nova list``, the properties of ``nova show``, and their JSON form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gateway.cli.resolve import Candidate
from gateway.cli.views.words import (
    iso_micros,
    iso_seconds,
    json_time,
    last_part,
    project_of,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import Fault, Instance

COLUMNS: Final = ("ID", "Name", "Status", "Task State", "Power State", "Networks")

#: Nova's numbers and words of the power states.
_POWER: Final = {
    "": (0, "NOSTATE"),
    "NOSTATE": (0, "NOSTATE"),
    "RUNNING": (1, "Running"),
    "PAUSED": (3, "Paused"),
    "SHUTDOWN": (4, "Shutdown"),
    "CRASHED": (6, "Crashed"),
    "SUSPENDED": (7, "Suspended"),
}


#: What ``nova show`` has and ``nova rebuild`` has not.
_NOT_OF_A_REBUILD: Final = (
    "OS-EXT-",
    "OS-SRV-USG:",
    "config_drive",
    "key_name",
    "os-extended-volumes:",
    "security_groups",
)


def status(instance: Instance) -> str:
    """Nova's status: ACTIVE, BUILD, …."""
    return word(instance.State, instance.state, "STATE_")


def task_state(instance: Instance) -> str | None:
    """Nova's word for what is being done (``powering-off``); None for nothing."""
    name = word(instance.TaskState, instance.task_state, "TASK_STATE_")
    return name.lower().replace("_", "-") or None


def networks(instance: Instance) -> str:
    """``private=10.0.0.9, 10.0.0.10; public=…``."""
    return "; ".join(f"{label}={', '.join(found)}" for label, found in _by_network(instance))


def candidate(instance: Instance) -> Candidate:
    """What tells it from others of the same name."""
    return Candidate(
        id=instance.uid,
        name=instance.display_name,
        status=status(instance),
        created=iso_seconds(instance.create_time),
    )


def table_columns(*, projects: bool, long: bool) -> tuple[str, ...]:
    """The columns of ``nova list``."""
    columns = COLUMNS[:2] + (("Tenant ID",) if projects else ()) + COLUMNS[2:]
    return columns + (("Host", "Flavor", "Image") if long else ())


def table_row(instance: Instance, *, projects: bool, long: bool) -> tuple[str | None, ...]:
    """The cells below ``table_columns``."""
    return (
        instance.uid,
        instance.display_name,
        *((project_of(instance.name),) if projects else ()),
        status(instance),
        task_state(instance),
        _power(instance)[1],
        networks(instance),
        *(
            (instance.host or None, instance.flavor.display_name, instance.image_display_name)
            if long
            else ()
        ),
    )


def sorted_for_table(instances: Iterable[Instance]) -> list[Instance]:
    """By name, then by id, as python-novaclient does."""
    return sorted(instances, key=lambda i: (i.display_name, i.uid))


def properties(
    instance: Instance, *, progress: int = 0, admin_password: str = "", long: bool = False
) -> list[tuple[str, object]]:
    """The property table of ``nova boot`` and ``nova show``, in Nova's order.

    Args:
        instance: The instance.
        progress: How far its operation is, in percent.
        admin_password: Of the guest's administrator, where it has just been given one.
        long: Also what Nova has no field for.
    """
    vm_state = word(instance.VmState, instance.vm_state, "VM_STATE_").lower()
    found: dict[str, object] = {
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": instance.availability_zone,
        "OS-EXT-STS:power_state": _power(instance)[0],
        "OS-EXT-STS:task_state": task_state(instance),
        "OS-EXT-STS:vm_state": vm_state,
        "OS-SRV-USG:launched_at": iso_micros(instance.launch_time) or None,
        "OS-SRV-USG:terminated_at": iso_micros(instance.terminate_time) or None,
        "accessIPv4": "",
        "accessIPv6": "",
        "config_drive": "True" if instance.config_drive else "",
        "created": iso_seconds(instance.create_time),
        "description": instance.description or None,
        "flavor": f"{instance.flavor.display_name} ({last_part(instance.flavor.name)})",
        "hostId": instance.host_hash,
        "id": instance.uid,
        "image": f"{instance.image_display_name} ({last_part(instance.image)})",
        "key_name": instance.key_name or None,
        "locked": str(instance.locked),
        "locked_reason": instance.locked_reason or None,
        "metadata": json.dumps(dict(sorted(instance.metadata.items())), ensure_ascii=False),
        "name": instance.display_name,
        "os-extended-volumes:volumes_attached": json.dumps(_attached(instance)),
        "progress": progress,
        "security_groups": "default",
        "status": status(instance),
        "tags": json.dumps(list(instance.tags), ensure_ascii=False),
        "tenant_id": project_of(instance.name),
        "updated": iso_seconds(instance.update_time),
        "user_id": instance.user,
    }
    found |= {f"{label} network": ", ".join(ips) for label, ips in _by_network(instance)}
    size, flavor = _size(instance), instance.flavor
    if size != {"memory_mb": flavor.memory_mb, "vcpus": flavor.vcpus}:
        # What its guest has by now; Nova knows no such thing.
        found |= size
    if instance.HasField("fault"):
        found["fault"] = "\n".join(fault_lines(instance.fault))
    if admin_password:
        found["adminPass"] = admin_password
    if long:
        found |= {
            "OS-EXT-SRV-ATTR:hostname": instance.hostname or None,
            "OS-EXT-SRV-ATTR:host": instance.host or None,
            "etag": instance.etag,
            "operation": last_part(instance.operation) or None,
        }
    return sorted(found.items())


def _attached(instance: Instance) -> list[Json]:
    """As Nova has it."""
    return [
        {"id": last_part(one.volume), "delete_on_termination": one.delete_on_termination}
        for one in instance.volumes
    ]


def rebuilt(instance: Instance, *, admin_password: str) -> list[tuple[str, object]]:
    """The property table of ``nova rebuild``: Nova leaves the extensions out of it."""
    return [
        (name, value)
        for name, value in properties(instance, admin_password=admin_password)
        if not name.startswith(_NOT_OF_A_REBUILD)
    ]


def fault_lines(fault: Fault) -> list[str]:
    """Why it failed: the sentence, then a line for each host."""
    return [f"{fault.message} ({fault.reason})", *host_lines(fault.hosts)]


def host_lines(hosts: Mapping[str, str]) -> list[str]:
    """``host: why``, by host."""
    return [f"{host}: {why}" for host, why in sorted(hosts.items())]


def as_json(instance: Instance) -> dict[str, Json]:
    """The JSON form. Every key is always there; what is not set is null or empty."""
    number, power = _power(instance)
    return {
        "id": instance.uid,
        "name": instance.display_name,
        "project": project_of(instance.name),
        "user": instance.user,
        "status": status(instance),
        "vm_state": word(instance.VmState, instance.vm_state, "VM_STATE_").lower(),
        "task_state": task_state(instance),
        "power_state": power.lower(),
        "power_state_number": number,
        "flavor": {
            "id": last_part(instance.flavor.name),
            "name": instance.flavor.display_name,
            "vcpus": instance.flavor.vcpus,
            "memory_mb": instance.flavor.memory_mb,
            "disk_gb": instance.flavor.disk_gb,
            "ephemeral_gb": instance.flavor.ephemeral_gb,
            "swap_mb": instance.flavor.swap_mb,
        },
        **_size(instance),
        "image": {"id": last_part(instance.image), "name": instance.image_display_name},
        "host": instance.host or None,
        "host_id": instance.host_hash or None,
        "availability_zone": instance.availability_zone or None,
        "key_name": instance.key_name or None,
        "hostname": instance.hostname or None,
        "config_drive": instance.config_drive,
        "description": instance.description or None,
        "locked": instance.locked,
        "locked_reason": instance.locked_reason or None,
        "tags": list(instance.tags),
        "metadata": dict(sorted(instance.metadata.items())),
        "addresses": _addresses(instance),
        "fault": _fault(instance),
        "volumes": _attached(instance),
        "operation": last_part(instance.operation) or None,
        "created": json_time(instance.create_time),
        "updated": json_time(instance.update_time),
        "launched": json_time(instance.launch_time),
        "terminated": json_time(instance.terminate_time),
        "etag": instance.etag,
    }


def _size(instance: Instance) -> dict[str, Json]:
    """What its guest may use. A server of before says nothing of it: then it is the flavor's."""
    return {
        "memory_mb": instance.memory_mb or instance.flavor.memory_mb,
        "vcpus": instance.vcpus or instance.flavor.vcpus,
    }


def _power(instance: Instance) -> tuple[int, str]:
    name = word(instance.PowerState, instance.power_state, "POWER_STATE_")
    return _POWER.get(name, (0, name))


def _by_network(instance: Instance) -> Sequence[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for address in instance.addresses:
        found.setdefault(address.network, []).append(address.address)
    return sorted(found.items())


def _addresses(instance: Instance) -> list[Json]:
    return [
        {"network": a.network, "address": a.address, "mac": a.mac, "port": a.port}
        for a in instance.addresses
    ]


def _fault(instance: Instance) -> Json:
    if not instance.HasField("fault"):
        return None
    fault = instance.fault
    return {
        "reason": fault.reason,
        "message": fault.message,
        "hosts": dict(sorted(fault.hosts.items())),
        "created": json_time(fault.create_time),
    }
