"""Flavors, as administrators change them. Reading them is ``gateway.app.catalog``'s."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.model.errors import Conflict, Invalid
from actors.model.extra_specs import check_ceilings, check_extra_spec, check_extra_specs
from actors.model.flavor import Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor
from actors.model.identity import Principal, Role
from actors.model.ids import FlavorId, ProjectId, RequestId, flavor_id_for
from actors.ports.compute import Catalog
from gateway.app.auth import need_role
from gateway.app.catalog import CatalogCases

#: What of a flavor an update can change.
CHANGEABLE: Final = ("description",)


@dataclass(frozen=True, slots=True)
class NewFlavor:
    """What an administrator asks for; nothing of it is checked yet."""

    name: str
    memory_mb: int
    vcpus: int
    disk_gb: int
    request_id: RequestId
    id: str = ""
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    description: str = ""
    extra_specs: Mapping[str, str] = field(default_factory=dict)


class FlavorCases:
    """What administrators can do to flavors. All raise ``Forbidden`` for everybody else."""

    def __init__(self, catalog: Catalog, cases: CatalogCases) -> None:
        self._catalog = catalog
        self._cases = cases

    async def create(self, caller: Principal, new: NewFlavor) -> Flavor:
        """Make a flavor; durable when it returns.

        Raises:
            AlreadyExists: Its id or its name belongs to another flavor.
            Invalid: An extra spec is wrong.
            pydantic.ValidationError: A field breaks a limit of ``CreateFlavor``.
        """
        need_role(caller, Role.ADMIN)
        command = CreateFlavor(
            id=new.id or flavor_id_for(new.request_id),
            name=new.name,
            memory_mb=new.memory_mb,
            vcpus=new.vcpus,
            disk_gb=new.disk_gb,
            ephemeral_gb=new.ephemeral_gb,
            swap_mb=new.swap_mb,
            rxtx_factor=new.rxtx_factor,
            is_public=new.is_public,
            description=new.description,
            extra_specs=dict(new.extra_specs),
            request_id=new.request_id,
        )
        specs, field = command.extra_specs, "flavor.extra_specs"
        check_extra_specs(specs, field)
        check_ceilings(specs, command.memory_mb, command.vcpus, field)
        made = await self._catalog.create_flavor(command)
        self._cases.forget_flavors()
        return made

    async def describe(
        self, caller: Principal, flavor: FlavorId, description: str, fields: Sequence[str]
    ) -> Flavor:
        """Change the description (Nova 2.55).

        Raises:
            NotFound: There is no such flavor.
            Invalid: ``fields`` names what cannot be changed.
            pydantic.ValidationError: It breaks a limit of ``ChangeFlavor``.
        """
        need_role(caller, Role.ADMIN)
        for name in fields:
            if name not in CHANGEABLE:
                raise Invalid(
                    f"The field {name[:60]} of a flavor cannot be changed; the description can.",
                    "FIELD_IMMUTABLE",
                    "",
                    {"update_mask": f"{name[:60]} cannot be changed"},
                )
        return await self._change(caller, ChangeFlavor(id=flavor, description=description))

    async def specify(
        self, caller: Principal, flavor: FlavorId, add: Mapping[str, str], remove: Sequence[str]
    ) -> Flavor:
        """Set and unset extra specs.

        Raises:
            NotFound: There is no such flavor.
            Invalid: An extra spec is wrong, or does not go together with another.
        """
        need_role(caller, Role.ADMIN)
        # What breaks a rule by itself is refused before a hop is made for it.
        for key, value in add.items():
            check_extra_spec(key, value, "set")
        command = ChangeFlavor(id=flavor, set_specs=dict(add), unset_specs=tuple(remove))
        return await self._change(caller, command)

    async def delete(self, caller: Principal, flavor: FlavorId) -> None:
        """Forget a flavor; durable when it returns. Instances keep their copies.

        Raises:
            NotFound: There is no such flavor.
        """
        need_role(caller, Role.ADMIN)
        await self._catalog.delete_flavor(flavor)
        self._cases.forget_flavors()

    async def projects(self, caller: Principal, flavor: FlavorId) -> tuple[ProjectId, ...]:
        """Who may use a flavor that is not public.

        Raises:
            NotFound: There is no such flavor.
            Conflict: It is public.
        """
        need_role(caller, Role.ADMIN)
        found = await self._cases.whole_flavor(caller, flavor)
        if found.is_public:
            raise Conflict(
                f"Flavor {flavor} ({found.name}) is public: every project may use it.",
                "FLAVOR_PUBLIC",
                "",
                {"flavor": flavor},
            )
        return found.projects

    async def give(
        self, caller: Principal, flavor: FlavorId, project: ProjectId
    ) -> tuple[ProjectId, ...]:
        """Let a project use it; all that may now.

        Raises:
            NotFound: There is no such flavor.
            Conflict: It is public.
        """
        return (await self._change(caller, ChangeFlavor(id=flavor, add_project=project))).projects

    async def take(
        self, caller: Principal, flavor: FlavorId, project: ProjectId
    ) -> tuple[ProjectId, ...]:
        """Let a project use it no more; all that still may.

        Raises:
            NotFound: There is no such flavor.
            Conflict: It is public.
        """
        command = ChangeFlavor(id=flavor, remove_project=project)
        return (await self._change(caller, command)).projects

    async def _change(self, caller: Principal, command: ChangeFlavor) -> Flavor:
        need_role(caller, Role.ADMIN)
        changed = await self._catalog.change_flavor(command)
        self._cases.forget_flavors()
        return changed
