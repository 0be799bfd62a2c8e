"""``images.json``: images to register, as ``tools/guest_image`` writes it."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from actors.model.ids import ImageId, ProjectId
from actors.model.image import DiskFormat, Image
from actors.ports.images import Images
from cluster.trouble import Trouble

_COMPANIONS: Final = ("kernel_id", "ramdisk_id")


@dataclass(frozen=True, slots=True)
class Entry:
    """One image to register, and the file it is in."""

    name: str
    file: Path
    disk_format: DiskFormat
    min_disk_gb: int = 0
    min_memory_mb: int = 0
    #: Name or id of other images; None where there is none.
    kernel: str | None = None
    ramdisk: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """The entries, each after those that it refers to.

    Raises:
        Trouble: The file is not such a manifest.
    """
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        return tuple(_entry(path.parent, image) for image in images)
    except OSError as error:
        raise Trouble(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}.",
            "make guest-image builds the images and their manifest.",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Trouble(f"{path} is no image manifest: {error!r}.") from None


def _entry(folder: Path, image: dict[str, Any]) -> Entry:
    properties = {str(key): str(value) for key, value in image.get("properties", {}).items()}
    kernel, ramdisk = (properties.pop(name, None) for name in _COMPANIONS)
    return Entry(
        name=str(image["name"]),
        file=folder / str(image["file"]),
        disk_format=DiskFormat(image["disk_format"]),
        min_disk_gb=int(image.get("min_disk", 0)),
        min_memory_mb=int(image.get("min_ram", 0)),
        kernel=kernel,
        ramdisk=ramdisk,
        properties=properties,
    )


async def register(images: Images, project: ProjectId, entry: Entry) -> tuple[Image, bool]:
    """Register one image; it, and whether it is new.

    Raises:
        Trouble: The file is missing, or an image it refers to.
        ComputeError: The image actor refuses.
    """
    if not entry.file.is_file():
        raise Trouble(f"There is no file {entry.file}.", "Is the path right?")
    known = await images.images()
    made = await images.register(
        Image(
            id=ImageId(str(uuid.uuid4())),
            project=project,
            name=entry.name,
            disk_format=entry.disk_format,
            min_disk_gb=entry.min_disk_gb,
            min_memory_mb=entry.min_memory_mb,
            public=True,
            kernel_id=_find(entry.kernel, known),
            ramdisk_id=_find(entry.ramdisk, known),
            properties=entry.properties,
            created=datetime.now(UTC),
        ),
        str(entry.file.resolve()),
    )
    return made, all(made.id != image.id for image in known)


def _find(wanted: str | None, images: tuple[Image, ...]) -> ImageId | None:
    if wanted is None:
        return None
    found = [image.id for image in images if wanted in (image.id, image.name)]
    if len(found) != 1:
        what = "is ambiguous" if found else "is not registered"
        raise Trouble(f"Image {wanted} {what}.", "Register it first, or name it by its id.")
    return found[0]
