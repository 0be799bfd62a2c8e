"""Resize: another flavor for an instance that exists."""

from dataclasses import dataclass

from actors.model.details import Resize
from actors.model.errors import Invalid, NotFound
from actors.model.flavor import Flavor
from actors.model.identity import Principal, Role
from actors.model.ids import FlavorId, InstanceId, ProjectId
from actors.model.operation import Action
from actors.model.query import Accepted
from gateway.app.auth import need_role
from gateway.app.boot_source import check_fit, check_memory
from gateway.app.catalog import CatalogCases
from gateway.app.instances import Change, InstanceCases


@dataclass(frozen=True, slots=True)
class NewSize:
    """What a caller wants an instance to be; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    flavor: FlavorId
    request_id: str = ""
    generation: int | None = None


class ResizeCases:
    """What gives an instance another size."""

    def __init__(self, instances: InstanceCases, catalog: CatalogCases) -> None:
        self._instances = instances
        self._catalog = catalog

    async def resize(self, caller: Principal, wanted: NewSize) -> Accepted:
        """Give an instance another flavor; durable when it returns.

        Whether the flavor is another, and its disk large enough, the instance's actor says: it
        knows what the instance is by then.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Invalid: There is no such flavor, or the instance cannot have it.
            Conflict: Its state forbids it.
            Stale: It is not what the caller saw.
        """
        record = await self._instances.get(caller, wanted.project, wanted.instance)
        need_role(caller, Role.MEMBER)
        flavor = await self._flavor(caller, wanted.flavor)
        if record.boots_from_volume:
            check_memory(flavor, record.source)
        else:
            check_fit(flavor, record.source)
        change = Change(
            project=wanted.project,
            instance=wanted.instance,
            action=Action.RESIZE,
            request_id=wanted.request_id,
            generation=wanted.generation,
            details=Resize(flavor=flavor.for_instance()),
        )
        return await self._instances.change(caller, change)

    async def _flavor(self, caller: Principal, flavor: FlavorId) -> Flavor:
        try:
            return await self._catalog.flavor(caller, flavor)
        except NotFound as error:
            # The thing asked for is the instance; the flavor is a field of the request.
            raise Invalid(
                error.message, error.reason, error.detail, {"flavor": "could not be found"}
            ) from None
