"""What a clone is made of: its origin as it is now. Pure."""

from typing import Final

from actors.model.commands import CloneInstance
from actors.model.guest_data import GuestData
from actors.model.hostname import hostname_for
from actors.model.ids import InstanceId, RequestId, UserId
from actors.model.instance import InstanceRecord
from actors.model.network import WantedCard

#: What follows the origin's name where nobody gives another.
_SUFFIX: Final = "-clone"
_NAME_LIMIT: Final = 255


def clone_of(
    origin: InstanceRecord,
    instance: InstanceId,
    user: UserId,
    request: RequestId,
    name: str,
    data: GuestData,
) -> CloneInstance:
    """The command that makes ``instance`` a clone of ``origin``.

    It takes over flavor, image, metadata, key pair, user data and files, zone, host and networks.
    Name, description, tags, addresses and password are its own.

    Raises:
        pydantic.ValidationError: The name breaks a limit of ``CloneInstance``.
    """
    name = name or origin.name[: _NAME_LIMIT - len(_SUFFIX)] + _SUFFIX
    return CloneInstance(
        instance=instance,
        project=origin.project,
        user=user,
        request_id=request,
        name=name,
        flavor=origin.flavor,
        source=origin.source,
        key_name=origin.key_name,
        metadata=origin.metadata,
        hostname=hostname_for(name, instance),
        config_drive=origin.config_drive,
        availability_zone=origin.availability_zone,
        host=origin.host,
        cards=tuple(WantedCard(network=nic.network.id) for nic in origin.nics),
        guest_data=data,
        origin=origin.id,
        guest_data_from=origin.guest_data,
    )
