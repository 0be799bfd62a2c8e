"""Snapshots: rows and JSON forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.views.words import iso_seconds, json_time

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import InstanceSnapshot

COLUMNS: Final = ("Name", "Disk (GiB)", "Created")


def row(snapshot: InstanceSnapshot) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    return snapshot.display_name, snapshot.disk_gb, iso_seconds(snapshot.create_time)


def as_json(snapshot: InstanceSnapshot) -> dict[str, Json]:
    """The JSON form."""
    return {
        "name": snapshot.display_name,
        "disk_gb": snapshot.disk_gb,
        "created": json_time(snapshot.create_time),
    }
