"""What actions need to know beyond their names. Stored with the operation: a crash forgets nothing.

A new action with words of its own adds its class here, and to ``Details``.
"""

from typing import Annotated, Literal

from pydantic import Field

from actors.model.base import StoredRecord
from actors.model.flavor import Flavor, Size
from actors.model.ids import ImageId, InstanceId, VolumeId
from actors.model.image import BootSource
from actors.model.image_commands import ImageName, Properties
from actors.model.instance import AttachedVolume, Rescue
from actors.model.labels import InstanceName, Metadata

#: Nova takes ``daily`` and ``weekly``, and other words as well.
BackupKind = Annotated[InstanceName, Field(max_length=60)]


class Reboot(StoredRecord):
    """Hard: the plug, not the button (Nova: ``{"reboot": {"type": "HARD"}}``)."""

    kind: Literal["reboot"] = "reboot"
    hard: bool = False


class Rebuilt(StoredRecord):
    """What a rebuild sets of an instance's record; what is None stays as it is."""

    source: BootSource
    name: InstanceName | None = None
    metadata: Metadata | None = None
    #: Empty: none from now on.
    key_name: str | None = None


class Rebuild(StoredRecord):
    """The instance is made anew from ``to.source``."""

    kind: Literal["rebuild"] = "rebuild"
    to: Rebuilt
    #: What of this it was when the rebuild was accepted, for the way back.
    before: Rebuilt | None = None
    #: Whether the guest ran then.
    ran: bool = False


class RescueBoot(StoredRecord):
    """``source`` boots in the place of the instance's own disk."""

    kind: Literal["rescue"] = "rescue"
    source: BootSource
    #: Whether the guest ran when the rescue was accepted.
    ran: bool = False


class Unrescue(StoredRecord):
    """The instance's own disk boots again; what rescued it is for the way back."""

    kind: Literal["unrescue"] = "unrescue"
    #: Set when the unrescue is accepted.
    rescue: Rescue | None = None
    #: Whether the rescue guest ran then.
    ran: bool = False


class Resize(StoredRecord):
    """Another size."""

    kind: Literal["resize"] = "resize"
    flavor: Flavor


class ChangeSize(StoredRecord):
    """Other vCPUs, other memory, while the guest runs; what is None stays as it is."""

    kind: Literal["change_size"] = "change_size"
    vcpus: int | None = Field(default=None, ge=1, le=2**31 - 1)
    memory_mb: int | None = Field(default=None, ge=1, le=2**31 - 1)
    #: What it had when the change was accepted, for the way back.
    before: Size | None = None


class Clone(StoredRecord):
    """The instance's disk is made from that of another as it then is."""

    kind: Literal["clone"] = "clone"
    #: Of the same project, on the host that this one will be on.
    origin: InstanceId


class OfSnapshot(StoredRecord):
    """A snapshot of the disk is taken, restored or deleted."""

    kind: Literal["disk_snapshot"] = "disk_snapshot"
    name: InstanceName
    #: What its host knows it by. Of one that is there, the record says it.
    layer: str = ""
    #: Whether the guest ran when this was accepted.
    ran: bool = False


class Backup(StoredRecord):
    """One of several images of an instance that take turns (Nova: ``createBackup``)."""

    kind: BackupKind
    #: How many of this kind are kept.
    rotation: int = Field(ge=1, le=1000)


class Snapshot(StoredRecord):
    """An image is made of the instance: createImage, createBackup, shelve."""

    kind: Literal["snapshot"] = "snapshot"
    #: Follows from the request: asked again, the same image.
    image: ImageId
    #: None: the instance's own, with what it is for.
    name: ImageName | None = None
    properties: Properties = Field(default_factory=dict)
    #: Of a backup: ``daily``, ``weekly``, …, and how many of that kind are kept.
    backup: Backup | None = None


class Unshelve(StoredRecord):
    """Where to, for an instance that has left its host."""

    kind: Literal["unshelve"] = "unshelve"
    #: Only this host (by name) will do.
    host: str | None = None


class AttachVolume(StoredRecord):
    """The instance is given a volume (Nova: ``attach_volume``)."""

    kind: Literal["attach_volume"] = "attach_volume"
    volume: VolumeId
    delete_on_termination: bool = False


class DetachVolume(StoredRecord):
    """The instance gives a volume back (Nova: ``detach_volume``)."""

    kind: Literal["detach_volume"] = "detach_volume"
    volume: VolumeId
    #: Set when it is accepted: what is put back where it fails.
    attached: AttachedVolume | None = None


#: Told apart by ``kind``.
Details = Annotated[
    Reboot
    | Rebuild
    | RescueBoot
    | Unrescue
    | Resize
    | ChangeSize
    | Clone
    | OfSnapshot
    | Snapshot
    | Unshelve
    | AttachVolume
    | DetachVolume,
    Field(discriminator="kind"),
]
