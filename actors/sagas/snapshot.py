"""An image of an instance, made while it runs on (Nova: ``createImage``, ``createBackup``)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from actors.model.details import Snapshot
from actors.model.errors import Conflict, Internal
from actors.model.ids import ImageId
from actors.model.image import DiskFormat, Image
from actors.model.instance import InstanceRecord
from actors.model.labels import NAME_LIMIT
from actors.model.operation import Action, OperationRecord, OperationState, StepState
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step, Work

#: What an instance took over from its image's properties (``gateway.app.boot_source``), and a guest
#: of the new image needs as well.
_COMMAND_LINE: Final = "os_command_line"
_SHUTDOWN: Final = "os_shutdown_timeout"
_FIRMWARE: Final = "hw_firmware_type"
_HOURS: Final = 3600.0
#: The step after which an image has all its bytes.
_UPLOAD: Final = "upload"


def snapshot_of(work: Work) -> Snapshot:
    """What the operation is to make.

    Raises:
        Internal: It does not say.
    """
    details = work.operation.details
    if not isinstance(details, Snapshot):
        raise Internal("The operation does not say which image it makes.")
    return details


async def begin_image(work: Work) -> Mapping[str, object]:
    """An image without bytes yet, as Nova describes one of an instance."""
    await work.cluster.images.create(_image(work))
    return {}


async def forget_image(work: Work) -> Mapping[str, object]:
    """Remove the image."""
    await work.cluster.images.delete(snapshot_of(work).image)
    return {}


def is_unfinished(operation: OperationRecord) -> bool:
    """Whether an operation interrupted another that was making an image."""
    return operation.unfinished_image is not None


def unfinished_image(operation: OperationRecord) -> ImageId | None:
    """The image that this operation leaves half-made, or has to remove, should it end now."""
    details = operation.details
    if not isinstance(details, Snapshot):
        return operation.unfinished_image
    has_all = any(
        entry.name == _UPLOAD and entry.state is StepState.SUCCEEDED for entry in operation.steps
    )
    # What a shelve made is of use to its instance alone.
    goes_on = operation.state is OperationState.RUNNING and operation.action is not Action.SHELVE
    return None if has_all and goes_on else details.image


async def forget_unfinished(work: Work) -> Mapping[str, object]:
    """Remove the image that an interrupted operation did not finish (Nova does so, too)."""
    image = work.operation.unfinished_image
    if image is not None:
        with suppress(Conflict):  # somebody protects it: then it is theirs
            await work.cluster.images.delete(image)
    return {}


async def rotate_backups(work: Work) -> Mapping[str, object]:
    """Delete the oldest backups of this kind, down to as many as are kept (Nova: rotation)."""
    wanted = snapshot_of(work).backup
    if wanted is None:
        return {}
    backups = [
        image
        for image in await work.cluster.images.images()
        if image.project == work.record.project
        and image.properties.get("image_type") == "backup"
        and image.properties.get("instance_uuid") == work.record.id
        and image.properties.get("backup_type") == wanted.kind
    ]
    for image in backups[wanted.rotation :]:
        if not image.protected:
            await work.cluster.images.delete(image.id)
    return {}


def _name(record: InstanceRecord, *, shelving: bool) -> str:
    """Nova's name for it, no longer than a name may be."""
    end = "-shelved" if shelving else ""
    return f"{record.name[: NAME_LIMIT - len(end)]}{end}"


def _image(work: Work) -> Image:
    record, wanted = work.record, snapshot_of(work)
    source = record.source
    properties = {
        **wanted.properties,
        "image_type": "backup" if wanted.backup else "snapshot",
        "instance_uuid": record.id,
        "base_image_ref": source.image,
        "user_id": work.operation.user,
    }
    if source.command_line:
        properties[_COMMAND_LINE] = source.command_line
    if source.shutdown_timeout is not None:
        properties[_SHUTDOWN] = str(source.shutdown_timeout)
    if firmware := source.firmware or record.flavor.extra_specs.get("hw:firmware_type"):
        properties[_FIRMWARE] = str(firmware)
    if wanted.backup:
        properties["backup_type"] = wanted.backup.kind
    return Image(
        id=wanted.image,
        project=record.project,
        name=wanted.name or _name(record, shelving=work.operation.action is Action.SHELVE),
        disk_format=DiskFormat.QCOW2,
        min_disk_gb=record.flavor.disk_gb,
        min_memory_mb=source.min_memory_mb,
        kernel_id=source.kernel.image if source.kernel else None,
        ramdisk_id=source.ramdisk.image if source.ramdisk else None,
        properties=properties,
        created=work.operation.created,
    )


#: The copy is of one moment; making it and sending it may take hours with a large disk.
IMAGE_STEPS: Final = (
    Step("begin", begin_image, undo=forget_image),
    Step("copy", HostStep.COPY_DISK, undo=HostStep.REMOVE_COPY, deadline_seconds=6 * _HOURS),
    # No undo: its bytes go with the image.
    Step(_UPLOAD, HostStep.UPLOAD_COPY, deadline_seconds=6 * _HOURS),
    Step("clean", HostStep.REMOVE_COPY),
)

CREATE_IMAGE = Saga(Action.CREATE_IMAGE, IMAGE_STEPS)

#: The oldest go last: a backup that failed has cost none of those there are.
#: Once one is gone, the new one stays.
CREATE_BACKUP = Saga(
    Action.CREATE_BACKUP, (*IMAGE_STEPS, Step("rotate", rotate_backups, commits=True))
)
