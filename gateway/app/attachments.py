"""Volumes of instances: which one an instance may be given, boot from, or give back."""

from dataclasses import dataclass

from actors.model.details import AttachVolume, DetachVolume
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, ProjectId, VolumeId
from actors.model.operation import Action
from actors.model.query import Accepted
from actors.ports.volumes import Volumes
from gateway.app.auth import need_role
from gateway.app.instances import Change, InstanceCases
from gateway.app.volume_access import check_free, volume_for


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which volume, of which instance; nothing of it is checked yet."""

    project: ProjectId
    instance: InstanceId
    #: With the project that its name says.
    volume: tuple[ProjectId, VolumeId]
    request_id: str = ""
    generation: int | None = None


class AttachmentCases:
    """What gives instances volumes, and takes them.

    All of them raise:
        NotFound: No such instance in the project, or another project.
        Forbidden: A reader.
        Invalid: There is no such volume in the instance's project.
        Conflict: The state of instance or volume forbids it.
        Stale: The instance is not what the caller saw.
    """

    def __init__(self, instances: InstanceCases, volumes: Volumes) -> None:
        self._instances = instances
        self._volumes = volumes

    async def attach(
        self, caller: Principal, wanted: Wanted, *, delete_on_termination: bool
    ) -> Accepted:
        """Give an instance a volume; durable when it returns."""
        await self._instances.get(caller, wanted.project, wanted.instance)
        need_role(caller, Role.MEMBER)
        volume = await volume_for(self._volumes, caller, wanted.project, wanted.volume, "volume")
        check_free(volume, wanted.instance)
        details = AttachVolume(volume=volume.id, delete_on_termination=delete_on_termination)
        return await self._change(caller, wanted, Action.ATTACH_VOLUME, details)

    async def detach(self, caller: Principal, wanted: Wanted) -> Accepted:
        """Take a volume from an instance; durable when it returns.

        Whether the instance has it, its actor says: it knows that by then.
        """
        await self._instances.get(caller, wanted.project, wanted.instance)
        need_role(caller, Role.MEMBER)
        volume = await volume_for(self._volumes, caller, wanted.project, wanted.volume, "volume")
        details = DetachVolume(volume=volume.id)
        return await self._change(caller, wanted, Action.DETACH_VOLUME, details)

    async def _change(
        self,
        caller: Principal,
        wanted: Wanted,
        action: Action,
        details: AttachVolume | DetachVolume,
    ) -> Accepted:
        change = Change(
            project=wanted.project,
            instance=wanted.instance,
            action=action,
            request_id=wanted.request_id,
            generation=wanted.generation,
            details=details,
        )
        return await self._instances.change(caller, change)
