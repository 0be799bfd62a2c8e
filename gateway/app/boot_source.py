"""From an image to what a host needs to boot it. Pure.

Refuses what can never boot, whatever the host (Nova: ``_validate_flavor_image_nostatus``). Whether
a host has the room is the scheduler's question, not one for here.
"""

from collections.abc import Mapping
from typing import Final

from actors.model.errors import Invalid
from actors.model.extra_specs import FirmwareType
from actors.model.flavor import Flavor
from actors.model.ids import ImageId
from actors.model.image import BootFile, BootSource, DiskFormat, Image, ImageStatus

#: Glance's property for the kernel's command line.
COMMAND_LINE_PROPERTY: Final = "os_command_line"
#: Nova's for how long a guest may take to shut down, in seconds.
SHUTDOWN_PROPERTY: Final = "os_shutdown_timeout"
_LONGEST_SHUTDOWN: Final = 3600
#: Glance's property for what starts the guest.
FIRMWARE_PROPERTY: Final = "hw_firmware_type"

_GIB: Final = 1024**3
_NOT_A_DISK: Final = {DiskFormat.AKI: "a kernel", DiskFormat.ARI: "a ramdisk"}


def boot_source(image: Image, images: Mapping[ImageId, Image]) -> BootSource:
    """All that an instance takes over from its image, with the image's kernel and ramdisk.

    A kernel stands for the one disk that boots with it, as Nova's walkthroughs have it: the
    instance says that it has the kernel's image, and runs that disk.

    Raises:
        Invalid: The image is not ready, is no disk or the kernel of one, its kernel or ramdisk is
            missing, or it asks for a firmware that nobody knows.
    """
    if image.disk_format is DiskFormat.ARI:
        raise _refused(
            image, "IMAGE_NOT_BOOTABLE", "is a ramdisk; boot from the disk that names it"
        )
    if image.status is not ImageStatus.ACTIVE:
        raise _refused(
            image, "IMAGE_NOT_ACTIVE", f"is {image.status.value}; only an active image can boot"
        )
    if image.disk_format is DiskFormat.AKI:
        disk = _disk_of(image, images)
        return boot_source(disk, images).evolve(image=image.id, image_name=image.name)
    return BootSource(
        image=image.id,
        image_name=image.name,
        disk=_file(image),
        virtual_size=image.virtual_size,
        kernel=_companion(image, image.kernel_id, DiskFormat.AKI, images),
        ramdisk=_companion(image, image.ramdisk_id, DiskFormat.ARI, images),
        command_line=image.properties.get(COMMAND_LINE_PROPERTY, ""),
        shutdown_timeout=_shutdown_timeout(image),
        firmware=_firmware(image),
        min_disk_gb=image.min_disk_gb,
        min_memory_mb=image.min_memory_mb,
    )


def check_fit(flavor: Flavor, source: BootSource) -> None:
    """Whether the flavor is large enough for what the image asks for.

    A flavor with a disk of 0 GiB takes the image's own size, so only its memory is compared.

    Raises:
        Invalid: ``FLAVOR_TOO_SMALL``.
    """
    check_memory(flavor, source)
    if flavor.disk_gb == 0:
        return
    if flavor.disk_gb < source.min_disk_gb:
        raise _too_small(
            flavor, source, f"{flavor.disk_gb} GiB of disk", f"{source.min_disk_gb} GiB"
        )
    if flavor.disk_gb * _GIB < source.virtual_size:
        raise _too_small(
            flavor, source, f"{flavor.disk_gb} GiB of disk", f"{source.virtual_size} bytes"
        )


def check_memory(flavor: Flavor, source: BootSource) -> None:
    """Whether the flavor has the memory that the image asks for.

    Raises:
        Invalid: ``FLAVOR_TOO_SMALL``.
    """
    if flavor.memory_mb < source.min_memory_mb:
        raise _too_small(
            flavor, source, f"{flavor.memory_mb} MiB of memory", f"{source.min_memory_mb} MiB"
        )


def _firmware(image: Image) -> FirmwareType | None:
    said = image.properties.get(FIRMWARE_PROPERTY)
    if said is None:
        return None
    try:
        return FirmwareType(said)
    except ValueError:
        known = ", ".join(FirmwareType)
        problem = f"has the property {FIRMWARE_PROPERTY} with {said[:40]!r}; known are {known}"
        raise _refused(image, "IMAGE_PROPERTY_INVALID", problem) from None


def _disk_of(kernel: Image, images: Mapping[ImageId, Image]) -> Image:
    """The disk that boots with this kernel. Whoever may use the kernel may use the disk, too."""
    disks = [
        image
        for image in images.values()
        if image.kernel_id == kernel.id
        and image.status is ImageStatus.ACTIVE
        and image.disk_format not in _NOT_A_DISK
        and (image.public or (image.project == kernel.project and not kernel.public))
    ]
    if len(disks) != 1:
        how_many = f"{len(disks)} disks boot" if disks else "no disk boots"
        problem = f"is a kernel, and {how_many} with it; boot from the disk that you mean"
        raise _refused(kernel, "IMAGE_NOT_BOOTABLE", problem)
    return disks[0]


def _file(image: Image) -> BootFile:
    return BootFile(
        image=image.id, sha256=image.sha256, size=image.size, disk_format=image.disk_format
    )


def _shutdown_timeout(image: Image) -> int | None:
    said = image.properties.get(SHUTDOWN_PROPERTY)
    if said is None:
        return None
    if said.isascii() and said.isdecimal() and int(said) <= _LONGEST_SHUTDOWN:
        return int(said)
    problem = f"has the property {SHUTDOWN_PROPERTY} with {said[:40]!r}; it takes 0 to 3600 seconds"
    raise _refused(image, "IMAGE_PROPERTY_INVALID", problem)


def _companion(
    image: Image,
    wanted: ImageId | None,
    disk_format: DiskFormat,
    images: Mapping[ImageId, Image],
) -> BootFile | None:
    if wanted is None:
        return None
    found = images.get(wanted)
    what = _NOT_A_DISK[disk_format].removeprefix("a ")
    if found is None or found.status is not ImageStatus.ACTIVE:
        raise _refused(
            image,
            "IMAGE_INCOMPLETE",
            f"needs the {what} {wanted}, which is not there or not active",
        )
    if found.disk_format is not disk_format:
        raise _refused(
            image,
            "IMAGE_INCOMPLETE",
            f"names {wanted} as its {what}, which is {found.disk_format.value}",
        )
    return _file(found)


def _refused(image: Image, reason: str, problem: str) -> Invalid:
    return Invalid(
        f"Image {image.id} ({image.name}) {problem}.", reason, "", {"image": f"the image {problem}"}
    )


def _too_small(flavor: Flavor, source: BootSource, has: str, needs: str) -> Invalid:
    return Invalid(
        f"Flavor {flavor.id} ({flavor.name}) has {has}; image {source.image} "
        f"({source.image_name}) needs at least {needs}. Choose a larger flavor.",
        "FLAVOR_TOO_SMALL",
        "",
        {"flavor": f"has {has}; the image needs at least {needs}"},
    )
