"""Volumes and their snapshots: rows, properties and JSON forms, in cinder's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gateway.cli.resolve import Candidate
from gateway.cli.views.words import iso_micros, iso_seconds, json_time, last_part, project_of, word

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import Instance, InstanceVolume
    from protos.novaray.v1.volumes_pb2 import Volume, VolumeSnapshot

COLUMNS: Final = ("ID", "Status", "Name", "Size", "Bootable", "Attached to")
SNAPSHOT_COLUMNS: Final = ("ID", "Volume ID", "Status", "Name", "Size")
ATTACHMENT_COLUMNS: Final = ("DEVICE", "SERVER ID", "VOLUME ID", "DELETE ON TERMINATION")


def candidate(volume: Volume) -> Candidate:
    """What tells it from others of the same name."""
    made = iso_seconds(volume.create_time)
    return Candidate(volume.uid, volume.display_name, status(volume), made)


def snapshot_candidate(snapshot: VolumeSnapshot) -> Candidate:
    """What tells it from others of the same name."""
    made = iso_seconds(snapshot.create_time)
    return Candidate(snapshot.uid, snapshot.display_name, _snapshot_status(snapshot), made)


def status(volume: Volume) -> str:
    """Cinder's word: ``in-use``."""
    return word(volume.State, volume.state, "STATE_").lower().replace("_", "-")


def row(volume: Volume) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    return (
        volume.uid,
        status(volume),
        volume.display_name,
        volume.size_gb,
        str(volume.bootable).lower(),
        last_part(volume.instance),
    )


def properties(volume: Volume) -> list[tuple[str, object]]:
    """What ``volume-show`` shows."""
    shown: dict[str, object] = {
        "attached_at": iso_micros(volume.attach_time) or None,
        "attached_to": last_part(volume.instance) or None,
        "bootable": str(volume.bootable).lower(),
        "created_at": iso_micros(volume.create_time),
        "description": volume.description or None,
        "id": volume.uid,
        "image_id": last_part(volume.image) or None,
        "metadata": json.dumps(dict(sorted(volume.metadata.items())), ensure_ascii=False),
        "name": volume.display_name,
        "os-vol-host-attr:host": volume.host or None,
        "os-vol-tenant-attr:tenant_id": project_of(volume.name),
        "size": volume.size_gb,
        "snapshot_id": last_part(volume.snapshot) or None,
        "status": status(volume),
        "user_id": volume.user,
    }
    return sorted(shown.items())


def as_json(volume: Volume) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": volume.uid,
        "name": volume.display_name,
        "project": project_of(volume.name),
        "user": volume.user,
        "description": volume.description,
        "metadata": dict(sorted(volume.metadata.items())),
        "size_gb": volume.size_gb,
        "status": status(volume),
        "image": last_part(volume.image) or None,
        "snapshot": last_part(volume.snapshot) or None,
        "server": last_part(volume.instance) or None,
        "host": volume.host or None,
        "shared": volume.shared,
        "bootable": volume.bootable,
        "created": json_time(volume.create_time),
        "attached": json_time(volume.attach_time),
        "etag": volume.etag,
    }


def snapshot_row(snapshot: VolumeSnapshot) -> tuple[object, ...]:
    """The cells below ``SNAPSHOT_COLUMNS``."""
    return (
        snapshot.uid,
        last_part(snapshot.volume),
        _snapshot_status(snapshot),
        snapshot.display_name,
        snapshot.size_gb,
    )


def snapshot_properties(snapshot: VolumeSnapshot) -> list[tuple[str, object]]:
    """What ``volume-snapshot-create`` shows."""
    return [
        ("created_at", iso_micros(snapshot.create_time)),
        ("description", snapshot.description or None),
        ("id", snapshot.uid),
        ("name", snapshot.display_name),
        ("size", snapshot.size_gb),
        ("status", _snapshot_status(snapshot)),
        ("volume_id", last_part(snapshot.volume)),
    ]


def snapshot_json(snapshot: VolumeSnapshot) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": snapshot.uid,
        "name": snapshot.display_name,
        "project": project_of(snapshot.name),
        "description": snapshot.description,
        "volume": last_part(snapshot.volume),
        "size_gb": snapshot.size_gb,
        "status": _snapshot_status(snapshot),
        "created": json_time(snapshot.create_time),
    }


def attachment_row(instance: Instance, volume: InstanceVolume) -> tuple[object, ...]:
    """The cells below ``ATTACHMENT_COLUMNS``."""
    return volume.device, instance.uid, last_part(volume.volume), str(volume.delete_on_termination)


def attachment_json(volume: InstanceVolume) -> dict[str, Json]:
    """The JSON form."""
    return {
        "volume": last_part(volume.volume),
        "device": volume.device,
        "size_gb": volume.size_gb,
        "delete_on_termination": volume.delete_on_termination,
    }


def _snapshot_status(snapshot: VolumeSnapshot) -> str:
    return word(snapshot.State, snapshot.state, "STATE_").lower()
