"""Instances: who may do what to them, and what a create is made of."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.details import Details, Unshelve
from actors.model.errors import Invalid, NotFound
from actors.model.flavor import Flavor
from actors.model.guest_data import GuestData
from actors.model.identity import Principal, Role
from actors.model.ids import (
    FlavorId,
    ImageId,
    InstanceId,
    NetworkId,
    ProjectId,
    RequestId,
    VolumeId,
    instance_id_for,
)
from actors.model.image import BootSource
from actors.model.instance import InstanceRecord, Status
from actors.model.operation import Action
from actors.model.query import Accepted, ConsoleOutput, InstanceQuery
from actors.ports.compute import Instances
from actors.ports.network import Networks
from actors.ports.volumes import Volumes
from gateway.app.auth import is_admin, need_project, need_role, project_scope
from gateway.app.boot_source import boot_source, check_fit, check_memory
from gateway.app.cards import cards_of
from gateway.app.catalog import CatalogCases
from gateway.app.filters import parse_filter
from gateway.app.guest_data import GuestDataMaker, NewGuestData, hostname_of
from gateway.app.pages import Listed, Pager, PageRequest
from gateway.app.tokens import Signer
from gateway.app.volume_access import check_free, volume_for

DEFAULT_ZONE: Final = "nova"
#: The largest piece of console log in one answer, and what a caller gets who names no size.
MAX_CONSOLE_BYTES: Final = 1024 * 1024
DEFAULT_CONSOLE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a caller asks for; nothing of it is checked yet."""

    project: ProjectId
    name: str
    flavor: FlavorId
    #: None: it boots from a volume.
    image: ImageId | None
    request_id: str = ""
    #: With the project that its name says.
    boot_volume: tuple[ProjectId, VolumeId] | None = None
    delete_boot_volume: bool = False
    #: What its guest is told beside what stands here.
    guest: NewGuestData = field(default_factory=NewGuestData)
    hostname: str = ""
    config_drive: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    tags: tuple[str, ...] = ()
    availability_zone: str = ""
    host: str = ""
    #: Network and address of each card; an address that is empty is chosen.
    networks: tuple[tuple[NetworkId, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """An action on an instance that exists; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    action: Action
    request_id: str = ""
    generation: int | None = None
    #: None leaves it to flavor and image.
    grace_seconds: float | None = None
    details: Details | None = None
    #: What the guest is told anew, and the fields that it takes over from what there is.
    guest_data: GuestData | None = None
    guest_data_keeps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Created:
    """An accepted create, and what only its caller is told, and only now."""

    accepted: Accepted
    #: Of the guest's administrator.
    admin_password: str


class InstanceCases:
    """What can be asked of instances."""

    def __init__(
        self,
        instances: Instances,
        catalog: CatalogCases,
        volumes: Volumes,
        networks: Networks,
        guests: GuestDataMaker,
        signer: Signer,
    ) -> None:
        self._instances = instances
        self._volumes = volumes
        self._networks = networks
        self._catalog = catalog
        self._guests = guests
        self._signer = signer

    async def create(self, caller: Principal, new: NewInstance) -> Created:
        """Make an instance; durable when it returns. The same request id makes it once (AIP-155).

        Raises:
            NotFound: Another project.
            Forbidden: A reader, or a host named by somebody who is no admin.
            Invalid: A field is wrong, flavor and image do not fit together, or the caller has no
                such key pair, volume or network.
            Conflict: The volume or an address is somebody else's.
            pydantic.ValidationError: A field breaks a limit of ``CreateInstance`` or of
                ``GuestData``.
        """
        need_project(caller, new.project)
        need_role(caller, Role.MEMBER)
        if new.host:
            need_role(caller, Role.ADMIN)
        request = request_id_of(new.request_id)
        instance = instance_id_for(new.project, request)
        flavor, source = await self._resolve(caller, new, instance)
        data = await self._guests.make(caller, new.guest, instance, request)
        command = CreateInstance(
            instance=instance,
            project=new.project,
            user=caller.user,
            request_id=request,
            name=new.name,
            flavor=flavor,
            source=source,
            key_name=new.guest.key_name or None,
            hostname=hostname_of(new.hostname, new.name, instance),
            config_drive=self._guests.config_drive(new.config_drive),
            metadata=dict(new.metadata),
            description=new.description,
            tags=new.tags,
            availability_zone=new.availability_zone or DEFAULT_ZONE,
            host=new.host or None,
            guest_data=data,
            boot_volume=new.boot_volume[1] if new.boot_volume else None,
            delete_boot_volume=new.delete_boot_volume,
            cards=await cards_of(self._networks, new.project, instance, new.networks),
        )
        return Created(await self._instances.create(command), data.admin_password)

    async def change(self, caller: Principal, change: Change) -> Accepted:
        """Do something to an instance that exists; durable when it returns.

        The instance's actor compares project and generation: that costs no hop of its own.

        Raises:
            NotFound: No such instance in the project, or another project.
            Forbidden: A reader.
            Conflict: Its state forbids the action.
            Stale: It is not what the caller saw.
            pydantic.ValidationError: A field breaks a limit of ``InstanceCommand``.
        """
        if not _own(caller, change.project):
            raise unknown_instance(change.instance)
        need_role(caller, Role.MEMBER)
        if isinstance(change.details, Unshelve) and change.details.host:
            need_role(caller, Role.ADMIN)
        command = InstanceCommand(
            instance=change.instance,
            project=change.project,
            user=caller.user,
            request_id=request_id_of(change.request_id),
            action=change.action,
            generation=change.generation,
            grace_seconds=change.grace_seconds,
            details=change.details,
            guest_data=change.guest_data,
            guest_data_keeps=change.guest_data_keeps,
            admin=is_admin(caller),
        )
        try:
            return await self._instances.submit(command)
        except NotFound as error:
            # In the same words as for another project's.
            raise unknown_instance(change.instance) from error

    async def get(
        self, caller: Principal, project: ProjectId, instance: InstanceId
    ) -> InstanceRecord:
        """One instance.

        Raises:
            NotFound: No such instance in the project, or another project.
        """
        if not _own(caller, project):
            raise unknown_instance(instance)
        try:
            record = await self._instances.get(instance)
        except NotFound as error:
            raise unknown_instance(instance) from error
        if record.project != project:
            raise unknown_instance(instance)
        return record

    async def list(
        self, caller: Principal, project: ProjectId, filter_text: str, request: PageRequest
    ) -> Listed[InstanceRecord]:
        """The instances of a project, or of all (``-``, admins only), newest first.

        Raises:
            NotFound: Another project.
            Forbidden: All projects, or a filter by host, by somebody who is no admin.
            Invalid: The page request or the filter is wrong.
        """
        scope = project_scope(caller, project)
        conditions = parse_filter(filter_text, ("display_name", "state", "host", "locked", "tags"))
        if "host" in conditions:
            need_role(caller, Role.ADMIN)
        pager = Pager(self._signer, "instances", scope, *_flat(conditions))
        page = await self._instances.list(
            InstanceQuery(
                project=scope,
                name=conditions.get("display_name"),
                status=_status(conditions.get("state")),
                host=conditions.get("host"),
                locked=_flag("locked", conditions.get("locked")),
                tags=tuple(filter(None, conditions.get("tags", "").split(","))),
                after=pager.cursor(request.token),
                limit=request.limit,
            )
        )
        return Listed(page.items, page.more, lambda item: pager.token_of(item.created, item.id))

    async def console_output(
        self,
        caller: Principal,
        project: ProjectId,
        instance: InstanceId,
        offset: int,
        max_bytes: int,
    ) -> ConsoleOutput:
        """A piece of the console log.

        Raises:
            NotFound: No such instance in the project, or another project.
            Invalid: A negative size.
        """
        if max_bytes < 0:
            raise Invalid(
                f"The field max_bytes is {max_bytes}; it must not be negative.",
                "CONSOLE_RANGE_INVALID",
                "",
                {"max_bytes": "must not be negative"},
            )
        await self.get(caller, project, instance)
        limit = min(max_bytes, MAX_CONSOLE_BYTES) or DEFAULT_CONSOLE_BYTES
        return await self._instances.console_output(instance, offset, limit)

    async def _resolve(
        self, caller: Principal, new: NewInstance, instance: InstanceId
    ) -> tuple[Flavor, BootSource]:
        if (new.image is None) == (new.boot_volume is None):
            raise Invalid(
                "An instance boots from an image or from a volume: give one of them.",
                "FIELD_INVALID",
                "",
                {"image": "must be given where boot_volume is not, and empty where it is"},
            )
        try:
            flavor = await self._catalog.flavor(caller, new.flavor)
            image = await self._catalog.image(caller, new.image) if new.image else None
        except NotFound as error:
            # The thing asked for is the instance; what it is made of is a field of the request
            # (Nova answers 400 here, too).
            (kind,) = error.metadata
            raise Invalid(
                error.message, error.reason, error.detail, {kind: "could not be found"}
            ) from None
        if image is None:
            source = await self._volume_source(caller, new, instance)
            check_memory(flavor, source)
            return flavor, source
        source = boot_source(image, await self._catalog.images_by_id())
        check_fit(flavor, source)
        return flavor, source

    async def _volume_source(
        self, caller: Principal, new: NewInstance, instance: InstanceId
    ) -> BootSource:
        assert new.boot_volume is not None
        volume = await volume_for(
            self._volumes, caller, new.project, new.boot_volume, "boot_volume"
        )
        check_free(volume, instance)
        if volume.source is None:
            raise Invalid(
                f"Volume {volume.id} began as no image, and cannot be booted from.",
                "VOLUME_NOT_BOOTABLE",
                "",
                {"boot_volume": "must be a volume that was made from an image"},
            )
        return volume.source


def request_id_of(text: str) -> RequestId:
    """The request id of a call, a new one where the caller gave none (AIP-155).

    Raises:
        Invalid: Not a UUID.
    """
    if not text:
        return RequestId(str(uuid.uuid4()))
    try:
        return RequestId(str(uuid.UUID(text)))
    except ValueError:
        raise Invalid(
            "The request_id is not a UUID. Send a new random UUID for each thing you want done, "
            "and the same one when you try again.",
            "REQUEST_ID_INVALID",
            "",
            {"request_id": "must be a UUID"},
        ) from None


def unknown_instance(instance: InstanceId) -> NotFound:
    """What callers hear of an instance that is not there, or not theirs."""
    return NotFound(
        f"Instance {instance} could not be found.",
        "INSTANCE_NOT_FOUND",
        "",
        {"instance": instance},
    )


def _own(caller: Principal, project: ProjectId) -> bool:
    return project == caller.project or is_admin(caller)


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(Status)
        raise Invalid(
            f"The filter cannot be read: {text[:40]} is no state. States are {known}.",
            "FILTER_INVALID",
            "",
            {"filter": f"state must be one of {known}"},
        ) from None


def _flag(field: str, text: str | None) -> bool | None:
    if text is None or text in ("true", "false"):
        return None if text is None else text == "true"
    raise Invalid(
        f"The filter cannot be read: {field} is true or false, not {text[:40]}.",
        "FILTER_INVALID",
        "",
        {"filter": f"{field} must be true or false"},
    )


def _flat(conditions: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(part for item in sorted(conditions.items()) for part in item)
