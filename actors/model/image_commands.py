"""What the gateway asks of the ImageActor. Everything is checked here, once, at the border.

The limits are Glance's where Glance has one.
"""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from actors.model.base import Record
from actors.model.ids import ImageId, ProjectId
from actors.model.image import DiskFormat, Image
from actors.model.labels import NAME_LIMIT, InstanceName

#: Of one project: every gateway holds the records of all images in memory.
IMAGE_LIMIT: Final = 1000
#: Glance: ``image_property_quota``.
PROPERTY_LIMIT: Final = 128
#: Bytes of all keys and values.
PROPERTY_BYTES: Final = 16_384
#: Glance's columns for GiB and MiB are 32 bits wide.
MINIMUM_LIMIT: Final = 2**31 - 1


def _properties(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not 0 < len(key) <= NAME_LIMIT or not key.isprintable() or key != key.strip():
            raise ValueError(f"key {key[:40]!r} must have 1 to 255 printable characters")
        if not text.isprintable():
            raise ValueError(f"the value of {key[:40]!r} has characters that cannot be printed")
    if sum(len(key.encode()) + len(text.encode()) for key, text in value.items()) > PROPERTY_BYTES:
        raise ValueError(f"must not have more than {PROPERTY_BYTES} bytes in all")
    return value


ImageName = InstanceName
Minimum = Annotated[int, Field(ge=0, le=MINIMUM_LIMIT)]
Properties = Annotated[
    dict[str, str], Field(max_length=PROPERTY_LIMIT), AfterValidator(_properties)
]


class CreateImage(Record):
    """An image that is to be made; its bytes come later."""

    id: ImageId
    project: ProjectId
    name: ImageName
    disk_format: DiskFormat
    min_disk_gb: Minimum = 0
    min_memory_mb: Minimum = 0
    public: bool = False
    protected: bool = False
    kernel_id: ImageId | None = None
    ramdisk_id: ImageId | None = None
    properties: Properties = Field(default_factory=dict)

    def image(self, created: datetime) -> Image:
        """Its record."""
        return Image(created=created, **self.model_dump())


class ImageChanges(Record):
    """What can be changed of an image. None leaves a field as it is."""

    name: ImageName | None = None
    min_disk_gb: Minimum | None = None
    min_memory_mb: Minimum | None = None
    public: bool | None = None
    protected: bool | None = None
    #: Empty for none.
    kernel_id: ImageId | None = None
    ramdisk_id: ImageId | None = None
    properties: Properties | None = None

    def applied(self, image: Image) -> Image:
        """The image with these changes, of the same generation."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        changes: dict[str, object] = {name: value for name, value in given if value is not None}
        for companion in ("kernel_id", "ramdisk_id"):
            if changes.get(companion) == "":
                changes[companion] = None
        return image.evolve(**changes)
