"""Images.

What a disk starts from, and the kernel and ramdisk some boot with (Glance's record, in short).
"""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, StoredRecord
from actors.model.extra_specs import FirmwareType
from actors.model.ids import ImageId, ProjectId


class DiskFormat(StrEnum):
    """What the bytes are. ``aki`` and ``ari`` are a kernel and a ramdisk (Glance's words)."""

    QCOW2 = "qcow2"
    RAW = "raw"
    AKI = "aki"
    ARI = "ari"


class ImageStatus(StrEnum):
    """Glance's states, as far as we have them. SAVING: some of its bytes have come."""

    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    DELETED = "deleted"


class Image(StoredRecord):
    """An image. Its bytes never change once it is ACTIVE; ``sha256`` names them on every host."""

    id: ImageId
    project: ProjectId
    name: str
    status: ImageStatus = ImageStatus.QUEUED
    disk_format: DiskFormat
    size: int = Field(default=0, ge=0, description="bytes of the file")
    virtual_size: int = Field(
        default=0, ge=0, description="bytes the guest sees; 0 for aki and ari"
    )
    sha256: str = ""
    min_disk_gb: int = Field(default=0, ge=0)
    min_memory_mb: int = Field(default=0, ge=0)
    public: bool = False
    protected: bool = False
    kernel_id: ImageId | None = None
    ramdisk_id: ImageId | None = None
    properties: dict[str, str] = Field(default_factory=dict)
    created: Instant
    generation: int = 1


class BootFile(StoredRecord):
    """One file a host must hold to boot an instance: found in its cache by checksum."""

    image: ImageId
    sha256: str
    size: int = Field(ge=0)
    disk_format: DiskFormat


class BootSource(StoredRecord):
    """All an instance needs to boot, copied from its image when it is created.

    Direct kernel boot where ``kernel`` is set, else the disk's own boot loader.
    """

    image: ImageId
    image_name: str
    disk: BootFile
    virtual_size: int = Field(ge=0, description="bytes")
    kernel: BootFile | None = None
    ramdisk: BootFile | None = None
    command_line: str = ""
    #: Seconds its guest may take to shut down; None where the image says nothing.
    shutdown_timeout: int | None = None
    #: ``bios`` or ``uefi`` where the image says (``hw_firmware_type``); else the flavor decides.
    firmware: FirmwareType | None = None
    min_disk_gb: int = 0
    min_memory_mb: int = 0
