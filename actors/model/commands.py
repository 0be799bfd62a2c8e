"""What the gateway asks of an InstanceActor. Everything is checked here, once, at the border.

The limits are Nova's (``nova/api/validation/parameter_types.py``) where Nova has one.
"""

import re
import uuid
from typing import Annotated

from pydantic import AfterValidator, Field

from actors.model.base import Record
from actors.model.details import Details
from actors.model.flavor import Flavor
from actors.model.guest_data import GuestData
from actors.model.ids import InstanceId, ProjectId, RequestId, UserId
from actors.model.image import BootSource
from actors.model.operation import Action

NAME_LIMIT = 255
METADATA_LIMIT = 128
#: Shutdown grace of a stop, seconds (Nova: ``shutdown_timeout``).
DEFAULT_GRACE_SECONDS = 60.0

_METADATA_KEY = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")


def _printable(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty or only white space")
    if value != value.strip():
        raise ValueError("must not begin or end with white space")
    if not value.isprintable():
        raise ValueError("must have printable characters only")
    return value


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not _METADATA_KEY.fullmatch(key):
            raise ValueError(
                f"key {key[:40]!r} must have 1 to 255 letters, digits, spaces or any of - _ : ."
            )
        if len(text) > NAME_LIMIT:
            raise ValueError(f"the value of {key!r} is longer than {NAME_LIMIT} characters")
    return value


#: An instance's name: 1 to 255 printable characters, none of them white space at an end.
InstanceName = Annotated[str, Field(max_length=NAME_LIMIT), AfterValidator(_printable)]
UuidText = Annotated[str, AfterValidator(_uuid)]
Metadata = Annotated[dict[str, str], Field(max_length=METADATA_LIMIT), AfterValidator(_metadata)]


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
    description: str = Field(default="", max_length=NAME_LIMIT)
    hostname: str = Field(default="", max_length=63)
    tags: tuple[str, ...] = ()
    config_drive: bool = False
    guest_data: GuestData | None = None
    availability_zone: str = "nova"
    #: Only this host will do (admins only; the gateway checks).
    host: str | None = None


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
    #: Asked by an admin, or by the cluster itself: a lock does not keep it back.
    admin: bool = False
    #: Refused with ``Stale`` unless the record still has this generation; None does not ask.
    generation: int | None = None
    grace_seconds: float = Field(default=DEFAULT_GRACE_SECONDS, ge=0, le=3600)
