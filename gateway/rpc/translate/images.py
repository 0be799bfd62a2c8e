"""Images to messages, and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from actors.model.errors import Invalid
from actors.model.ids import ImageId, ProjectId, RequestId, image_id_for
from actors.model.image import DiskFormat, Image, ImageStatus
from actors.model.image_commands import CreateImage, ImageChanges
from gateway.rpc.names import etag, image_of
from gateway.rpc.translate.instants import timestamp
from gateway.rpc.translate.masks import masked
from protos.novaray.v1 import images_pb2 as pb

_STATE: Final = {
    ImageStatus.QUEUED: pb.Image.STATE_QUEUED,
    ImageStatus.SAVING: pb.Image.STATE_SAVING,
    ImageStatus.ACTIVE: pb.Image.STATE_ACTIVE,
    ImageStatus.DELETED: pb.Image.STATE_DELETED,
}
_DISK_FORMAT: Final = {
    DiskFormat.QCOW2: pb.Image.DISK_FORMAT_QCOW2,
    DiskFormat.RAW: pb.Image.DISK_FORMAT_RAW,
    DiskFormat.AKI: pb.Image.DISK_FORMAT_AKI,
    DiskFormat.ARI: pb.Image.DISK_FORMAT_ARI,
}
_FORMATS: Final = {number: form for form, number in _DISK_FORMAT.items()}


def image_message(image: Image, uploaded: int | None = None) -> pb.Image:
    """The image on the wire; with how many of its bytes have come, where that is known."""
    return pb.Image(
        name=f"images/{image.id}",
        display_name=image.name,
        state=_STATE[image.status],
        disk_format=_DISK_FORMAT[image.disk_format],
        size_bytes=image.size,
        virtual_size_bytes=image.virtual_size,
        sha256=image.sha256,
        min_disk_gb=image.min_disk_gb,
        min_memory_mb=image.min_memory_mb,
        public=image.public,
        protected=image.protected,
        kernel=f"images/{image.kernel_id}" if image.kernel_id else "",
        ramdisk=f"images/{image.ramdisk_id}" if image.ramdisk_id else "",
        properties=image.properties,
        create_time=timestamp(image.created),
        project=f"projects/{image.project}",
        uploaded_size_bytes=image.size if uploaded is None else uploaded,
        etag=etag(image.generation),
    )


def new_image(message: pb.Image, project: ProjectId, request: RequestId) -> CreateImage:
    """What a create asks for.

    Raises:
        Invalid: Its format is missing, or a name is wrong.
        pydantic.ValidationError: A field breaks a limit of ``CreateImage``.
    """
    if message.disk_format not in _FORMATS:
        known = ", ".join(name for name in pb.Image.DiskFormat.keys()[1:])
        raise Invalid(
            f"The field image.disk_format must be one of {known}.",
            "FIELD_INVALID",
            "",
            {"image.disk_format": f"must be one of {known}"},
        )
    return CreateImage(
        id=image_id_for(project, request),
        project=project,
        name=message.display_name,
        disk_format=_FORMATS[message.disk_format],
        min_disk_gb=message.min_disk_gb,
        min_memory_mb=message.min_memory_mb,
        public=message.public,
        protected=message.protected,
        kernel_id=_companion(message.kernel, "kernel") or None,
        ramdisk_id=_companion(message.ramdisk, "ramdisk") or None,
        properties=dict(message.properties),
    )


def _companion(name: str, field: str) -> ImageId:
    return image_of(name, f"image.{field}") if name else ImageId("")


#: What can be changed: the field of the message, ours, and its value.
_CHANGES: Final[Mapping[str, tuple[str, Callable[[pb.Image], Any]]]] = {
    "display_name": ("name", lambda image: image.display_name),
    "min_disk_gb": ("min_disk_gb", lambda image: image.min_disk_gb),
    "min_memory_mb": ("min_memory_mb", lambda image: image.min_memory_mb),
    "public": ("public", lambda image: image.public),
    "protected": ("protected", lambda image: image.protected),
    "kernel": ("kernel_id", lambda image: _companion(image.kernel, "kernel")),
    "ramdisk": ("ramdisk_id", lambda image: _companion(image.ramdisk, "ramdisk")),
    "properties": ("properties", lambda image: dict(image.properties)),
}


def image_changes(message: pb.Image, mask: Iterable[str]) -> ImageChanges:
    """What an update asks for (AIP-134).

    Raises:
        Invalid: The mask names what cannot be changed, or a name is wrong.
        pydantic.ValidationError: A field breaks a limit of ``ImageChanges``.
    """
    paths = masked(message, mask, _CHANGES)
    return ImageChanges(**{_CHANGES[path][0]: _CHANGES[path][1](message) for path in paths})
