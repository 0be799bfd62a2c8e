"""What the gateway asks of an InstanceActor. Everything is checked here, once, at the border.

The limits are Nova's (``nova/api/validation/parameter_types.py``) where Nova has one.
"""

import uuid
from typing import Annotated

from pydantic import AfterValidator, Field

from actors.model.base import Record
from actors.model.details import Details
from actors.model.flavor import Flavor
from actors.model.guest_data import GuestData
from actors.model.ids import (
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    UserId,
    VolumeId,
)
from actors.model.image import BootSource
from actors.model.labels import Description, InstanceName, Metadata, Tags
from actors.model.network import CARD_LIMIT, WantedCard
from actors.model.operation import Action


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


UuidText = Annotated[str, AfterValidator(_uuid)]


#: Shutdown grace of a stop, seconds, where nobody says otherwise (Nova: ``shutdown_timeout``).
DEFAULT_GRACE_SECONDS = 60.0


class CreateInstance(Record):
    """Make an instance and boot it.

    ``instance`` follows from project and request id (``instance_id_for``).
    """

    instance: InstanceId
    project: ProjectId
    user: UserId
    request_id: RequestId
    name: InstanceName
    flavor: Flavor
    source: BootSource
    key_name: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    description: Description = ""
    hostname: str = Field(default="", max_length=63)
    tags: Tags = ()
    config_drive: bool = False
    guest_data: GuestData | None = None
    availability_zone: str = "nova"
    #: Its root disk; None makes one from ``source``.
    boot_volume: VolumeId | None = None
    #: The volume goes when the instance goes.
    delete_boot_volume: bool = False
    #: Only this host will do (admins only; the gateway checks).
    host: str | None = None
    #: Its cards, in order. None named: one, on the network that its project uses by default.
    cards: tuple[WantedCard, ...] = Field(default=(), max_length=CARD_LIMIT)


class CloneInstance(CreateInstance):
    """Make an instance whose disk is made from another's, on the other's ``host``."""

    #: The other, of the same project.
    origin: InstanceId
    #: Key of the other's guest data: ``guest_data`` takes over key, user data and files from it.
    guest_data_from: OperationId | None = None


class InstanceCommand(Record):
    """Do something to an instance that exists: delete, stop, rebuild, ….

    ``guest_data`` is what a rebuild or a rescue tells the guest anew.
    """

    instance: InstanceId
    project: ProjectId
    user: UserId
    request_id: RequestId
    action: Action
    #: What the action needs to know beyond its name.
    details: Details | None = None
    guest_data: GuestData | None = None
    #: Fields of the guest data there is that ``guest_data`` takes over.
    guest_data_keeps: frozenset[str] = frozenset()
    #: Asked by an admin, or by the cluster itself: a lock does not keep it back.
    admin: bool = False
    #: Refused with ``Stale`` unless the record still has this generation; None does not ask.
    generation: int | None = None
    #: How long a guest may take to shut down by itself; None leaves it to flavor and image.
    grace_seconds: float | None = Field(default=None, ge=0, le=3600)
