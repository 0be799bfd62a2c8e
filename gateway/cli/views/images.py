"""Images: rows, properties and JSON forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.resolve import Candidate
from gateway.cli.views.words import iso_seconds, json_time, last_part, project_of, word

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.images_pb2 import Image

COLUMNS: Final = ("ID", "Name", "Status", "Server")


def candidate(image: Image) -> Candidate:
    """What tells it from others of the same name."""
    return Candidate(
        last_part(image.name), image.display_name, _status(image), iso_seconds(image.create_time)
    )


def row(image: Image) -> tuple[object, ...]:
    """The cells below ``COLUMNS``. Server is what a snapshot was made of: Nova's property."""
    server = image.properties.get("instance_uuid", "")
    return (last_part(image.name), image.display_name, _status(image), server)


def properties(image: Image) -> list[tuple[str, object]]:
    """What ``image-show`` shows, in python-novaclient's words where it has them."""
    shown: dict[str, object] = {
        "OS-EXT-IMG-SIZE:size": image.size_bytes,
        "created": iso_seconds(image.create_time),
        "disk_format": _format(image),
        "id": last_part(image.name),
        "minDisk": image.min_disk_gb,
        "minRam": image.min_memory_mb,
        "name": image.display_name,
        "progress": _progress(image),
        "project": project_of(f"{image.project}/"),
        "protected": image.protected,
        "sha256": image.sha256,
        "status": _status(image),
        "virtual_size": image.virtual_size_bytes,
        "visibility": "public" if image.public else "private",
    }
    for key, companion in (("kernel_id", image.kernel), ("ramdisk_id", image.ramdisk)):
        if companion:
            shown[f"metadata {key}"] = last_part(companion)
    shown |= {f"metadata {key}": value for key, value in image.properties.items()}
    return sorted(shown.items())


def as_json(image: Image) -> dict[str, Json]:
    """The JSON form."""
    return {
        "id": last_part(image.name),
        "name": image.display_name,
        "status": _status(image),
        "disk_format": _format(image),
        "size_bytes": image.size_bytes,
        "virtual_size_bytes": image.virtual_size_bytes,
        "uploaded_size_bytes": image.uploaded_size_bytes,
        "sha256": image.sha256,
        "min_disk_gb": image.min_disk_gb,
        "min_memory_mb": image.min_memory_mb,
        "public": image.public,
        "protected": image.protected,
        "project": project_of(f"{image.project}/"),
        "kernel": last_part(image.kernel) or None,
        "ramdisk": last_part(image.ramdisk) or None,
        "properties": dict(sorted(image.properties.items())),
        "created": json_time(image.create_time),
    }


def _status(image: Image) -> str:
    return word(image.State, image.state, "STATE_")


def _format(image: Image) -> str:
    return word(image.DiskFormat, image.disk_format, "DISK_FORMAT_").lower()


def _progress(image: Image) -> int:
    """As Nova has it: 100 for what is there, 25 and 50 for what is on its way."""
    return {"ACTIVE": 100, "SAVING": 50, "QUEUED": 25}.get(_status(image), 0)
