"""Clones: new instances whose disks begin as others' disks are."""

from dataclasses import dataclass
from typing import Final

from actors.lifecycle.guards import check_cloned
from actors.model.commands import CloneInstance
from actors.model.errors import Conflict, NotFound, Stale
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, ProjectId, instance_id_for
from actors.ports.compute import Instances
from gateway.app.auth import need_role
from gateway.app.guest_data import GuestDataMaker, NewGuestData, hostname_of
from gateway.app.instances import Created, InstanceCases, request_id_of

#: What follows the origin's name where the caller gives none.
_SUFFIX: Final = "-clone"
_NAME_LIMIT: Final = 255


@dataclass(frozen=True, slots=True)
class NewClone:
    """What a caller wants cloned; nothing of it is checked yet."""

    project: ProjectId
    origin: InstanceId
    name: str = ""
    request_id: str = ""
    generation: int | None = None


class CloneCases:
    """What makes instances of instances."""

    def __init__(
        self, instances: InstanceCases, compute: Instances, guests: GuestDataMaker
    ) -> None:
        self._instances = instances
        self._compute = compute
        self._guests = guests

    async def clone(self, caller: Principal, wanted: NewClone) -> Created:
        """Make an instance of an instance; durable when it returns.

        It has the origin's flavor, image, metadata, key pair, user data and files, and is on the
        origin's host. Its id, name, addresses and password are its own. The origin is not changed.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Conflict: The origin's state forbids it.
            Stale: The origin is not what the caller saw.
            pydantic.ValidationError: The name breaks a limit of ``CloneInstance``.
        """
        origin = await self._instances.get(caller, wanted.project, wanted.origin)
        need_role(caller, Role.MEMBER)
        request = request_id_of(wanted.request_id)
        instance = instance_id_for(wanted.project, request)
        name = wanted.name or origin.name[: _NAME_LIMIT - len(_SUFFIX)] + _SUFFIX
        data = await self._guests.make(caller, NewGuestData(), instance, request)
        command = CloneInstance(
            instance=instance,
            project=wanted.project,
            user=caller.user,
            request_id=request,
            name=name,
            flavor=origin.flavor,
            source=origin.source,
            key_name=origin.key_name,
            metadata=origin.metadata,
            hostname=hostname_of("", name, instance),
            config_drive=origin.config_drive,
            availability_zone=origin.availability_zone,
            host=origin.host,
            guest_data=data,
            origin=origin.id,
            guest_data_from=origin.guest_data,
        )
        try:
            check_cloned(origin, wanted.generation)
        except (Conflict, Stale):
            # A request that has been served has its answer, whatever the origin is now.
            if not await self._is_there(instance):
                raise
        return Created(await self._compute.create(command), data.admin_password)

    async def _is_there(self, instance: InstanceId) -> bool:
        try:
            await self._compute.get(instance)
        except NotFound:
            return False
        return True
