"""Rebuild and rescue: what an instance that exists is made of anew, for good or for a while."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.model.details import Details, Rebuild, Rebuilt, RescueBoot
from actors.model.errors import Invalid, NotFound
from actors.model.identity import Principal, Role
from actors.model.ids import ImageId, InstanceId, ProjectId
from actors.model.image import BootSource
from actors.model.operation import Action
from gateway.app.auth import need_role
from gateway.app.boot_source import boot_source, check_fit, check_memory
from gateway.app.catalog import CatalogCases
from gateway.app.guest_data import GuestDataMaker, NewGuestData
from gateway.app.instances import Change, Created, InstanceCases, request_id_of

#: Fields of guest data that a new version may take over from the old one.
_KEY, _USER_DATA, _FILES = "public_key", "user_data", "files"


@dataclass(frozen=True, slots=True)
class NewBuild:
    """What a caller wants to rebuild an instance to; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    image: ImageId
    request_id: str = ""
    generation: int | None = None
    grace_seconds: float | None = None
    #: What is None or empty stays; an empty key or empty user data is none from now on.
    name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    key_name: str | None = None
    user_data: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    admin_password: str = ""


@dataclass(frozen=True, slots=True)
class NewRescue:
    """What a caller wants an instance rescued with; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    #: None: the instance's own.
    image: ImageId | None = None
    request_id: str = ""
    generation: int | None = None
    grace_seconds: float | None = None
    admin_password: str = ""


class RebuildCases:
    """What makes an instance boot something else."""

    def __init__(
        self, instances: InstanceCases, catalog: CatalogCases, guests: GuestDataMaker
    ) -> None:
        self._instances = instances
        self._catalog = catalog
        self._guests = guests

    async def rebuild(self, caller: Principal, wanted: NewBuild) -> Created:
        """Make an instance anew; durable when it returns.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Invalid: Flavor and image do not fit together, or the caller has no such key pair.
            Conflict: Its state forbids it.
            Stale: It is not what the caller saw.
            pydantic.ValidationError: A field breaks a limit of ``Rebuilt`` or of ``GuestData``.
        """
        record = await self._instances.get(caller, wanted.project, wanted.instance)
        need_role(caller, Role.MEMBER)
        source = await self._source(caller, wanted.image)
        check_fit(record.flavor, source)
        details = Rebuild(
            to=Rebuilt(
                source=source,
                name=wanted.name or None,
                metadata=dict(wanted.metadata) or None,
                key_name=wanted.key_name,
            )
        )
        told = NewGuestData(
            key_name=wanted.key_name or "",
            user_data=wanted.user_data or b"",
            files=wanted.files,
            admin_password=wanted.admin_password,
        )
        keeps = {
            _KEY: wanted.key_name is None,
            _USER_DATA: wanted.user_data is None,
            _FILES: not wanted.files,
        }
        return await self._change(
            caller, wanted, Action.REBUILD, details, told, {name for name in keeps if keeps[name]}
        )

    async def rescue(self, caller: Principal, wanted: NewRescue) -> Created:
        """Boot a rescue image in its place; durable when it returns.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Invalid: The image cannot boot, or asks for more memory than the flavor has.
            Conflict: Its state forbids it: it is rescued already, say.
            Stale: It is not what the caller saw.
            pydantic.ValidationError: A field breaks a limit of ``GuestData``.
        """
        record = await self._instances.get(caller, wanted.project, wanted.instance)
        need_role(caller, Role.MEMBER)
        source = record.source
        if wanted.image is not None:
            source = await self._source(caller, wanted.image)
        check_memory(record.flavor, source)
        told = NewGuestData(admin_password=wanted.admin_password)
        details = RescueBoot(source=source)
        return await self._change(
            caller, wanted, Action.RESCUE, details, told, {_KEY, _USER_DATA, _FILES}
        )

    async def _change(
        self,
        caller: Principal,
        wanted: NewBuild | NewRescue,
        action: Action,
        details: Details,
        told: NewGuestData,
        keeps: set[str],
    ) -> Created:
        request = request_id_of(wanted.request_id)
        data = await self._guests.make(caller, told, wanted.instance, request, "key_name")
        change = Change(
            project=wanted.project,
            instance=wanted.instance,
            action=action,
            request_id=request,
            generation=wanted.generation,
            grace_seconds=wanted.grace_seconds,
            details=details,
            guest_data=data,
            guest_data_keeps=frozenset(keeps),
        )
        return Created(await self._instances.change(caller, change), data.admin_password)

    async def _source(self, caller: Principal, image: ImageId) -> BootSource:
        try:
            found = await self._catalog.image(caller, image)
        except NotFound as error:
            # The thing asked for is the instance; the image is a field of the request.
            raise Invalid(
                error.message, error.reason, error.detail, {"image": "could not be found"}
            ) from None
        return boot_source(found, await self._catalog.images_by_id())
