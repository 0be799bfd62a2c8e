"""Instances to messages, and requests about them to what the use cases take.

A list translates a thousand records on the event loop that serves everybody, so what many records
share (a flavor) is translated once, and messages are made in one call each.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha224
from typing import Any, Final

from actors.lifecycle.status import status_of
from actors.model.flavor import Flavor
from actors.model.ids import ProjectId
from actors.model.instance import (
    AttachedVolume,
    DiskSnapshot,
    Fault,
    InstanceRecord,
    PowerState,
    Status,
    TaskState,
    VmState,
)
from actors.model.network import Nic
from gateway.app.guest_data import NewGuestData
from gateway.app.instances import NewInstance
from gateway.rpc.names import etag, flavor_of, image_of, network_of, project_of, volume_of
from gateway.rpc.translate.catalog import flavor_message
from gateway.rpc.translate.instants import timestamp
from gateway.rpc.translate.masks import masked
from protos.novaray.v1 import flavors_pb2
from protos.novaray.v1 import instances_pb2 as pb

_STATE: Final = {status: pb.Instance.State.Value(f"STATE_{status.value}") for status in Status}
_VM_STATE: Final = {state: pb.Instance.VmState.Value(f"VM_STATE_{state.name}") for state in VmState}
_TASK_STATE: Final = {
    task: pb.Instance.TaskState.Value(f"TASK_STATE_{task.name}") for task in TaskState
}
_NO_TASK: Final = pb.Instance.TASK_STATE_UNSPECIFIED
_POWER_STATE: Final = {
    PowerState.NOSTATE: pb.Instance.POWER_STATE_NOSTATE,
    PowerState.RUNNING: pb.Instance.POWER_STATE_RUNNING,
    PowerState.PAUSED: pb.Instance.POWER_STATE_PAUSED,
    PowerState.SHUTDOWN: pb.Instance.POWER_STATE_SHUTDOWN,
    PowerState.CRASHED: pb.Instance.POWER_STATE_CRASHED,
    PowerState.SUSPENDED: pb.Instance.POWER_STATE_SUSPENDED,
}

Flavors = dict[Flavor, flavors_pb2.Flavor]


def instance_name(project: ProjectId, instance: str) -> str:
    """``projects/{project}/instances/{uuid}``."""
    return f"projects/{project}/instances/{instance}"


def instance_message(
    record: InstanceRecord, *, admin: bool, flavors: Flavors | None = None
) -> pb.Instance:
    """The instance on the wire.

    Args:
        record: The instance.
        admin: Whether the reader may know on which host it is.
        flavors: Messages made before, for the next records of the same list.
    """
    host = record.host or ""
    return pb.Instance(
        name=f"projects/{record.project}/instances/{record.id}",
        uid=record.id,
        display_name=record.name,
        state=_STATE[status_of(record)],
        vm_state=_VM_STATE[record.vm_state],
        task_state=_TASK_STATE[record.task_state] if record.task_state else _NO_TASK,
        power_state=_POWER_STATE[record.power_state],
        flavor=_flavor(record.flavor, flavors),
        image=f"images/{record.source.image}",
        image_display_name=record.source.image_name,
        user=record.user,
        host=host if admin else "",
        host_hash=_host_hash(record.project, host) if host else "",
        availability_zone=record.availability_zone,
        key_name=record.key_name or "",
        metadata=record.metadata,
        addresses=[_address(nic) for nic in record.nics],
        fault=fault_message(record.fault, admin=admin) if record.fault else None,
        operation=f"operations/{record.operation}" if record.operation else "",
        create_time=timestamp(record.created),
        update_time=timestamp(record.updated),
        launch_time=timestamp(record.launched),
        terminate_time=timestamp(record.terminated),
        etag=etag(record.generation),
        description=record.description,
        hostname=record.hostname,
        config_drive=record.config_drive,
        tags=record.tags,
        locked=record.lock is not None,
        locked_reason=record.lock.reason if record.lock else "",
        memory_mb=record.size_now.memory_mb,
        vcpus=record.size_now.vcpus,
        snapshots=[_snapshot(one) for one in record.snapshots],
        rescue_image=f"images/{record.rescue.source.image}" if record.rescue else "",
        volumes=[_volume(record.project, volume) for volume in record.volumes],
    )


def _snapshot(snapshot: DiskSnapshot) -> pb.InstanceSnapshot:
    return pb.InstanceSnapshot(
        display_name=snapshot.name,
        disk_gb=snapshot.disk_gb,
        create_time=timestamp(snapshot.created),
    )


def fault_message(fault: Fault, *, admin: bool) -> pb.Fault:
    """Why something failed; which host said what is for admins."""
    return pb.Fault(
        reason=fault.reason,
        message=fault.message,
        hosts=fault.hosts if admin else None,
        create_time=timestamp(fault.created),
    )


def new_instance(request: pb.CreateInstanceRequest, request_id: str) -> NewInstance:
    """What a create asks for.

    Raises:
        Invalid: A resource name is malformed.
    """
    root = request.boot_volume
    return NewInstance(
        project=project_of(request.parent),
        name=request.instance.display_name,
        flavor=flavor_of(request.flavor, "flavor"),
        image=image_of(request.image, "image") if request.image or not root else None,
        boot_volume=volume_of(root, "boot_volume") if root else None,
        delete_boot_volume=request.delete_boot_volume,
        request_id=request_id,
        guest=NewGuestData(
            key_name=request.instance.key_name,
            user_data=request.user_data,
            files=dict(request.files),
            admin_password=request.admin_password,
        ),
        hostname=request.instance.hostname,
        config_drive=request.instance.config_drive,
        metadata=dict(request.instance.metadata),
        description=request.instance.description,
        tags=tuple(request.instance.tags),
        availability_zone=request.availability_zone,
        host=request.host,
        networks=tuple(
            (network_of(card.network, f"networks[{n}].network"), card.address)
            for n, card in enumerate(request.networks)
        ),
    )


#: What an update can change: the field of the message, ours, and its value.
_CHANGES: Final[Mapping[str, tuple[str, Callable[[pb.Instance], Any]]]] = {
    "display_name": ("name", lambda instance: instance.display_name),
    "description": ("description", lambda instance: instance.description),
    "hostname": ("hostname", lambda instance: instance.hostname),
    "metadata": ("metadata", lambda instance: dict(instance.metadata)),
    "tags": ("tags", lambda instance: tuple(instance.tags)),
}


def instance_changes(message: pb.Instance, mask: Iterable[str]) -> dict[str, Any]:
    """What an update asks for (AIP-134): fields of ``UpdateInstance``.

    Raises:
        Invalid: The mask names what cannot be changed.
    """
    paths = masked(message, mask, _CHANGES)
    return {_CHANGES[path][0]: _CHANGES[path][1](message) for path in paths}


def _flavor(flavor: Flavor, made: Flavors | None) -> flavors_pb2.Flavor:
    if made is None:
        return flavor_message(flavor)
    message = made.get(flavor)
    if message is None:
        message = made[flavor] = flavor_message(flavor)
    return message


def _address(nic: Nic) -> pb.InstanceAddress:
    return pb.InstanceAddress(
        network=nic.network.label,
        address=str(nic.address),
        mac=nic.mac,
        port=nic.port,
        network_uid=nic.network.id,
    )


def _volume(project: ProjectId, volume: AttachedVolume) -> pb.InstanceVolume:
    return pb.InstanceVolume(
        volume=f"projects/{project}/volumes/{volume.volume}",
        device=f"/dev/{volume.target}",
        size_gb=volume.size_gb,
        delete_on_termination=volume.delete_on_termination,
    )


def _host_hash(project: ProjectId, host: str) -> str:
    # Nova's own formula (``api/openstack/compute/views/servers.py``): tells hosts apart within a
    # project, and nobody can compare across projects.
    return sha224(f"{project}{host}".encode()).hexdigest()
