"""Volumes and their snapshots: who may see and change which, and what they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from actors.model.errors import Invalid, NotFound
from actors.model.identity import Principal, Role
from actors.model.ids import (
    ImageId,
    ProjectId,
    SnapshotId,
    VolumeId,
    snapshot_id_for,
    volume_id_for,
)
from actors.model.image import BootSource
from actors.model.volume import (
    CreateVolume,
    CreateVolumeSnapshot,
    SnapshotStatus,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
    VolumeStatus,
)
from actors.ports.volumes import Volumes
from gateway.app.auth import need_project, need_role, project_scope
from gateway.app.boot_source import boot_source
from gateway.app.catalog import CatalogCases
from gateway.app.filters import parse_filter
from gateway.app.instances import request_id_of
from gateway.app.pages import Listed, Pager, PageRequest, page_of
from gateway.app.tokens import Signer
from gateway.app.volume_access import (
    not_there,
    snapshot_of,
    unknown_snapshot,
    unknown_volume,
    volume_of,
)

_GIB: Final = 1024**3

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class NewVolume:
    """What a caller asks for; nothing of it is checked yet."""

    project: ProjectId
    size_gb: int
    request_id: str = ""
    name: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    image: ImageId | None = None
    #: With the project that its name says.
    snapshot: tuple[ProjectId, SnapshotId] | None = None


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """What a caller asks for; nothing of it is checked yet."""

    project: ProjectId
    #: With the project that its name says.
    volume: tuple[ProjectId, VolumeId]
    request_id: str = ""
    name: str = ""
    description: str = ""


class VolumeCases:
    """What can be asked of volumes and snapshots.

    All of them raise:
        NotFound: It is not there, or in another project.
        Forbidden: A reader changes something.
    """

    def __init__(self, volumes: Volumes, catalog: CatalogCases, signer: Signer) -> None:
        self._volumes = volumes
        self._catalog = catalog
        self._signer = signer

    async def create(self, caller: Principal, new: NewVolume) -> Volume:
        """Make a volume; durable when it returns. The same request id makes it once (AIP-155).

        Raises:
            Invalid: A field is wrong, or it is smaller than what it begins as.
            Conflict: The snapshot is not complete yet.
            QuotaExceeded: The project has as many as one may have.
            pydantic.ValidationError: A field breaks a limit of ``CreateVolume``.
        """
        need_project(caller, new.project)
        need_role(caller, Role.MEMBER)
        if new.image is not None and new.snapshot is not None:
            raise Invalid(
                "A volume begins as an image or as a snapshot, not as both.",
                "FIELD_INVALID",
                "",
                {"volume.snapshot": "must be empty where volume.image is given"},
            )
        request = request_id_of(new.request_id)
        command = CreateVolume(
            id=volume_id_for(new.project, request),
            project=new.project,
            user=caller.user,
            request_id=request,
            name=new.name or None,
            description=new.description,
            metadata=dict(new.metadata),
            size_gb=new.size_gb,
            source=await self._source(caller, new),
            snapshot=_own_snapshot(new),
        )
        try:
            return await self._volumes.create(command)
        except NotFound as error:
            raise not_there(error, "volume.snapshot") from None

    async def get(self, caller: Principal, project: ProjectId, volume: VolumeId) -> Volume:
        """One volume."""
        return await volume_of(self._volumes, caller, project, volume)

    async def list(
        self, caller: Principal, project: ProjectId, filter_text: str, request: PageRequest
    ) -> Listed[Volume]:
        """The volumes of a project, or of all (``-``, admins only), newest first.

        Raises:
            Invalid: The page request or the filter is wrong.
        """
        scope = project_scope(caller, project)
        wanted = parse_filter(filter_text, ("display_name", "state"))
        states = {status.name: status for status in VolumeStatus}
        status = _known("state", wanted.get("state"), states)
        name = wanted.get("display_name")
        return page_of(
            (
                volume
                for volume in await self._volumes.volumes(scope)
                if name in (None, volume.name) and status in (None, volume.shown)
            ),
            lambda volume: (_newest_first(volume.created), volume.id),
            Pager(self._signer, "volumes", scope, filter_text),
            request,
        )

    async def update(
        self,
        caller: Principal,
        project: ProjectId,
        volume: VolumeId,
        changes: VolumeChanges,
        generation: int | None,
    ) -> Volume:
        """Describe it otherwise, or make it larger; durable when it returns.

        Raises:
            Invalid: It would become smaller.
            Conflict: It is to grow, and is being attached, detached or copied.
            Stale: It is not what the caller saw.
        """
        await self.get(caller, project, volume)
        need_role(caller, Role.MEMBER)
        return await self._volumes.change(volume, changes, generation)

    async def delete(self, caller: Principal, project: ProjectId, volume: VolumeId) -> None:
        """Delete it; durable when it returns, and its bytes go behind.

        Raises:
            Conflict: It is attached, or has snapshots.
        """
        await self.get(caller, project, volume)
        need_role(caller, Role.MEMBER)
        await self._volumes.delete(volume)

    async def create_snapshot(self, caller: Principal, new: NewSnapshot) -> VolumeSnapshot:
        """Keep a volume as it is; durable when it returns, and its bytes are copied behind.

        Raises:
            Invalid: There is no such volume.
            Conflict: The volume is being attached, detached or deleted.
            QuotaExceeded: The project has as many as one may have.
            pydantic.ValidationError: A field breaks a limit of ``CreateVolumeSnapshot``.
        """
        need_project(caller, new.project)
        need_role(caller, Role.MEMBER)
        project, volume = new.volume
        if project != new.project:
            raise not_there(unknown_volume(volume), "volume_snapshot.volume")
        command = CreateVolumeSnapshot(
            id=snapshot_id_for(new.project, request_id_of(new.request_id)),
            volume=volume,
            project=new.project,
            name=new.name or None,
            description=new.description,
        )
        try:
            return await self._volumes.take_snapshot(command)
        except NotFound as error:
            raise not_there(error, "volume_snapshot.volume") from None

    async def get_snapshot(
        self, caller: Principal, project: ProjectId, snapshot: SnapshotId
    ) -> VolumeSnapshot:
        """One snapshot."""
        return await snapshot_of(self._volumes, caller, project, snapshot)

    async def list_snapshots(
        self, caller: Principal, project: ProjectId, filter_text: str, request: PageRequest
    ) -> Listed[VolumeSnapshot]:
        """The snapshots of a project, or of all (``-``, admins only), newest first.

        Raises:
            Invalid: The page request or the filter is wrong.
        """
        scope = project_scope(caller, project)
        wanted = parse_filter(filter_text, ("display_name", "state", "volume"))
        states = {status.name: status for status in SnapshotStatus}
        status = _known("state", wanted.get("state"), states)
        name, volume = wanted.get("display_name"), wanted.get("volume")
        return page_of(
            (
                snapshot
                for snapshot in await self._volumes.snapshots(scope)
                if name in (None, snapshot.name)
                and volume in (None, snapshot.volume)
                and status in (None, snapshot.status)
            ),
            lambda snapshot: (_newest_first(snapshot.created), snapshot.id),
            Pager(self._signer, "volumeSnapshots", scope, filter_text),
            request,
        )

    async def delete_snapshot(
        self, caller: Principal, project: ProjectId, snapshot: SnapshotId
    ) -> None:
        """Delete it; durable when it returns, and its bytes go behind.

        Raises:
            Conflict: A volume begins as it, and is not made yet.
        """
        await self.get_snapshot(caller, project, snapshot)
        need_role(caller, Role.MEMBER)
        await self._volumes.delete_snapshot(snapshot)

    async def _source(self, caller: Principal, new: NewVolume) -> BootSource | None:
        """What the bytes begin as, where that is an image: an instance can boot from it then."""
        if new.image is None:
            return None
        try:
            image = await self._catalog.image(caller, new.image)
        except NotFound as error:
            raise not_there(error, "volume.image") from None
        source = boot_source(image, await self._catalog.images_by_id())
        needed = max(source.min_disk_gb, -(-source.virtual_size // _GIB))
        if 0 < new.size_gb < needed:
            raise Invalid(
                f"A size of {new.size_gb} GiB is too small: image {image.id} ({image.name}) needs "
                f"{needed} GiB.",
                "VOLUME_TOO_SMALL",
                "",
                {"volume.size_gb": f"the image needs {needed} GiB"},
            )
        return source


def _own_snapshot(new: NewVolume) -> SnapshotId | None:
    if new.snapshot is None:
        return None
    project, snapshot = new.snapshot
    if project != new.project:
        raise not_there(unknown_snapshot(snapshot), "volume.snapshot")
    return snapshot


def _newest_first(created: datetime) -> int:
    return -int(created.timestamp() * 1_000_000)


def _known(named: str, text: str | None, values: Mapping[str, Value]) -> Value | None:
    if text is None or text in values:
        return None if text is None else values[text]
    known = ", ".join(values)
    raise Invalid(
        f"The filter cannot be read: {text[:40]} is no {named}. There are {known}.",
        "FILTER_INVALID",
        "",
        {"filter": f"{named} must be one of {known}"},
    )
