"""Clones: new instances whose disks begin as others' disks are."""

from dataclasses import dataclass

from actors.lifecycle.clones import clone_of
from actors.lifecycle.guards import check_cloned
from actors.model.errors import Conflict, NotFound, Stale
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, ProjectId, instance_id_for
from actors.ports.compute import Instances
from gateway.app.auth import need_role
from gateway.app.guest_data import GuestDataMaker, NewGuestData
from gateway.app.instances import Created, InstanceCases, request_id_of


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
        request = request_id_of(wanted.request_id)
        origin = await self._instances.get(caller, wanted.project, wanted.origin)
        need_role(caller, Role.MEMBER)
        instance = instance_id_for(wanted.project, request)
        data = await self._guests.make(caller, NewGuestData(), instance, request)
        command = clone_of(origin, instance, caller.user, request, wanted.name, data)
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
