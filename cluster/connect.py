"""Python handles on the cluster, from any process that has joined its Ray cluster.

    import asyncio, ray
    from cluster.connect import connect

    async def main() -> None:
        cluster = await connect()
        vm = cluster.instance("381f0bec-3c55-5baa-adba-265d5f2a1c7e")
        print((await vm.get()).vm_state)
        await (await vm.stop()).wait()

    ray.init(address="auto", namespace="novaray")
    asyncio.run(main())

Who can call these has the Ray token, and with it every host: they ask for no other.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from actors.handles.conductor import ConductorHandle
from actors.handles.guests import GuestsHandle
from actors.handles.hosts import HostHandle
from actors.handles.instances import InstancesHandle
from actors.handles.owners import ImagesHandle, NetworkHandle, SchedulerHandle, VolumesHandle
from actors.lifecycle.clones import clone_of
from actors.lifecycle.guards import check_cloned
from actors.model.commands import InstanceCommand
from actors.model.console import ConsoleKind, ConsoleSession, Screenshot
from actors.model.details import (
    AttachVolume,
    ChangeSize,
    DetachVolume,
    Details,
    OfSnapshot,
    Reboot,
    Rebuild,
    Rebuilt,
    RescueBoot,
    Resize,
    Unrescue,
)
from actors.model.diagnostics import Diagnostics
from actors.model.edits import (
    InstanceEdit,
    LockInstance,
    ResetState,
    UnlockInstance,
    UpdateInstance,
)
from actors.model.errors import NotFound, Unavailable
from actors.model.flavor import Flavor
from actors.model.guest_data import GuestData
from actors.model.ids import (
    InstanceId,
    OperationId,
    RequestId,
    UserId,
    VolumeId,
    instance_id_for,
    operation_id,
)
from actors.model.image import BootSource
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord
from actors.model.query import EventBatch, EventKind

_USER: Final = UserId("operator")
_LISTEN_SECONDS: Final = 10.0
_EVENTS: Final = 500
_AWAY_SECONDS: Final = 0.2


class OperationHandle:
    """One operation."""

    def __init__(self, instances: InstancesHandle, operation: OperationId) -> None:
        self._instances = instances
        self.id = operation

    async def get(self) -> OperationRecord:
        """The operation as it is now.

        Raises:
            NotFound: There is none with this id.
        """
        return await self._instances.operation(self.id)

    async def cancel(self) -> OperationRecord:
        """Ask it to end early and undo itself."""
        return await self._instances.cancel(self.id)

    async def wait(self) -> OperationRecord:
        """Wait until it has ended, well or not. Listens to changes; does not poll."""
        position = (await self._events(-1, 0)).next_sequence
        operation = await self.get()
        while not operation.done:
            batch = await self._events(position, _LISTEN_SECONDS)
            position = batch.next_sequence
            for event in batch.events:
                if event.kind is EventKind.OPERATION and event.id == self.id:
                    operation = event.operation()
        return operation

    async def _events(self, position: int, seconds: float) -> EventBatch:
        """Changes behind a position; a conductor that Ray is starting again is waited for."""
        while True:
            try:
                return await self._instances.events_after(position, _EVENTS, seconds)
            except Unavailable:
                await asyncio.sleep(_AWAY_SECONDS)


class ConsoleHandle:
    """An attached console. It ends when nobody reads from it for 15 seconds."""

    def __init__(self, guests: GuestsHandle, session: ConsoleSession) -> None:
        self._guests = guests
        self._session = session

    async def read(self, wait_seconds: float = _LISTEN_SECONDS) -> bytes:
        """What has come since the last time; empty when nothing came within so many seconds.

        Raises:
            Conflict: The guest has stopped, or somebody has taken over.
        """
        return await self._guests.read(self._session, wait_seconds)

    async def write(self, data: bytes) -> None:
        """Input for the guest.

        Raises:
            Conflict: The guest has stopped, or somebody has taken over.
        """
        await self._guests.write(self._session, data)


class InstanceHandle:
    """One VM."""

    def __init__(self, instances: InstancesHandle, instance: InstanceId) -> None:
        self._instances = instances
        self.id = instance

    async def get(self) -> InstanceRecord:
        """The instance as it is now.

        Raises:
            NotFound: There is none with this id.
        """
        return await self._instances.get(self.id)

    async def start(self) -> OperationHandle:
        """Start it. Durable when it returns.

        Raises:
            Conflict: It is not stopped.
        """
        return await self._submit(Action.START)

    async def stop(self, grace_seconds: float | None = None) -> OperationHandle:
        """Shut it down, by force after the grace time (None: the flavor's, the image's, or 60 s).

        Raises:
            Conflict: It does not run.
        """
        return await self._submit(Action.STOP, grace_seconds)

    async def reboot(
        self, *, hard: bool = False, grace_seconds: float | None = None
    ) -> OperationHandle:
        """Stop and start it: by the power button, or hard, by the plug.

        Raises:
            Conflict: It does not run. Hard: it is building, rescued, resized or shelved.
        """
        return await self._submit(Action.REBOOT, grace_seconds, Reboot(hard=hard))

    async def pause(self) -> OperationHandle:
        """Stop its clock; it stays in its host's memory.

        Raises:
            Conflict: It does not run.
        """
        return await self._submit(Action.PAUSE)

    async def unpause(self) -> OperationHandle:
        """Let it run on.

        Raises:
            Conflict: It is not paused.
        """
        return await self._submit(Action.UNPAUSE)

    async def suspend(self) -> OperationHandle:
        """Write its memory to its host's disk, and end its process.

        Raises:
            Conflict: It does not run.
        """
        return await self._submit(Action.SUSPEND)

    async def resume(self) -> OperationHandle:
        """Bring it back, where it was.

        Raises:
            Conflict: It is not suspended.
        """
        return await self._submit(Action.RESUME)

    async def rebuild(
        self, source: BootSource, *, grace_seconds: float | None = None
    ) -> OperationHandle:
        """Make it anew from another instance's source, say; what its guest is told stays.

        Raises:
            Conflict: It neither runs, nor is stopped or in error.
        """
        details = Rebuild(to=Rebuilt(source=source))
        return await self._submit(Action.REBUILD, grace_seconds, details)

    async def rescue(
        self, source: BootSource | None = None, *, grace_seconds: float | None = None
    ) -> OperationHandle:
        """Boot this in its place, or its own image; its own disk is the second.

        Raises:
            Conflict: It neither runs, nor is stopped or in error.
        """
        details = RescueBoot(source=source or (await self.get()).source)
        return await self._submit(Action.RESCUE, grace_seconds, details)

    async def unrescue(self, *, grace_seconds: float | None = None) -> OperationHandle:
        """Boot its own disk again.

        Raises:
            Conflict: It is not rescued.
        """
        return await self._submit(Action.UNRESCUE, grace_seconds, Unrescue())

    async def resize(self, flavor: Flavor) -> OperationHandle:
        """Give it another flavor (``ClusterHandle.store.flavors()`` has them).

        Whether the image fits into it nobody asks here. It is to be confirmed or reverted then.

        Raises:
            Conflict: It neither runs nor is stopped.
            Invalid: It has this flavor, or a disk would have to shrink.
        """
        return await self._submit(Action.RESIZE, details=Resize(flavor=flavor.for_instance()))

    async def confirm_resize(self) -> OperationHandle:
        """Keep the new size.

        Raises:
            Conflict: There is no resize to confirm.
        """
        return await self._submit(Action.CONFIRM_RESIZE)

    async def revert_resize(self) -> OperationHandle:
        """Bring size and disks back as they were.

        Raises:
            Conflict: There is no resize to revert.
        """
        return await self._submit(Action.REVERT_RESIZE)

    async def clone(self, name: str = "") -> OperationHandle:
        """Make an instance whose disk begins as this one's is now, and who is told the same.

        ``(await operation.get()).instance`` is the new one's id.

        Raises:
            Conflict: It neither runs, nor is paused or stopped, or something is being done to it.
        """
        origin = await self.get()
        check_cloned(origin, None)
        request = RequestId(str(uuid.uuid4()))
        instance = instance_id_for(origin.project, request)
        data = GuestData(id=operation_id(instance, 1), instance=instance)
        command = clone_of(origin, instance, _USER, request, name, data)
        accepted = await self._instances.create(command)
        return OperationHandle(self._instances, accepted.operation.id)

    async def attach_volume(
        self, volume: str, *, delete_on_termination: bool = False
    ) -> OperationHandle:
        """Give it a volume, by id.

        Raises:
            Conflict: Its state forbids it, or it has the volume.
        """
        details = AttachVolume(volume=VolumeId(volume), delete_on_termination=delete_on_termination)
        return await self._submit(Action.ATTACH_VOLUME, details=details)

    async def detach_volume(self, volume: str) -> OperationHandle:
        """Take a volume from it, by id.

        Raises:
            Conflict: Its state forbids it, or it does not have the volume, or boots from it.
        """
        details = DetachVolume(volume=VolumeId(volume))
        return await self._submit(Action.DETACH_VOLUME, details=details)

    async def change_size(
        self, *, memory_mb: int | None = None, vcpus: int | None = None
    ) -> OperationHandle:
        """Give its guest more while it runs, or take it back; None leaves it as it is.

        Raises:
            Conflict: It does not run, or its flavor names no maximum.
            Invalid: It is less than the flavor has, or more than it allows.
        """
        details = ChangeSize(memory_mb=memory_mb, vcpus=vcpus)
        return await self._submit(Action.CHANGE_SIZE, details=details)

    async def take_snapshot(self, name: str) -> OperationHandle:
        """Keep its disk as it is now, on its host; its guest runs on.

        Raises:
            Conflict: It neither runs, nor is paused or stopped.
            AlreadyExists: It has a snapshot of this name.
        """
        details = OfSnapshot(name=name, layer=str(uuid.uuid4()))
        return await self._submit(Action.TAKE_SNAPSHOT, details=details)

    async def restore_snapshot(
        self, name: str, *, grace_seconds: float | None = None
    ) -> OperationHandle:
        """Bring its disk back as it was; a guest that runs is stopped, and started again.

        Raises:
            Conflict: It neither runs nor is stopped.
            Invalid: It has no snapshot of this name.
        """
        details = OfSnapshot(name=name)
        return await self._submit(Action.RESTORE_SNAPSHOT, grace_seconds, details)

    async def delete_snapshot(self, name: str) -> OperationHandle:
        """Do not keep a snapshot any more.

        Raises:
            Invalid: It has no snapshot of this name.
        """
        return await self._submit(Action.DELETE_SNAPSHOT, details=OfSnapshot(name=name))

    async def delete(self, *, force: bool = False) -> OperationHandle:
        """Delete it, whatever is being done to it. Durable when it returns.

        Where the cluster keeps deleted instances for a while it can be restored, unless by force.
        """
        return await self._submit(Action.DELETE if force else Action.SOFT_DELETE)

    async def restore(self) -> OperationHandle:
        """Take a delete back.

        Raises:
            Conflict: It was not deleted.
        """
        return await self._submit(Action.RESTORE)

    async def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        hostname: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> InstanceRecord:
        """Describe it anew; what is None stays. Metadata and tags are replaced as a whole.

        Raises:
            Conflict: Its state takes no metadata.
            pydantic.ValidationError: A limit of ``UpdateInstance`` is broken.
        """
        return await self._edit(
            UpdateInstance,
            name=name,
            description=description,
            hostname=hostname,
            metadata=None if metadata is None else dict(metadata),
            tags=None if tags is None else tuple(tags),
        )

    async def lock(self, reason: str = "") -> InstanceRecord:
        """Keep everybody but admins from changing it."""
        return await self._edit(LockInstance, reason=reason)

    async def unlock(self) -> InstanceRecord:
        """Let it be changed again."""
        return await self._edit(UnlockInstance)

    async def reset_state(self, vm_state: VmState) -> InstanceRecord:
        """Say that it is ``ACTIVE`` or in ``ERROR``, and end what is being done to it.

        Raises:
            Conflict: It is being deleted.
        """
        return await self._edit(ResetState, vm_state=vm_state)

    async def console_output(self, offset: int = 0, limit: int = 1 << 20) -> bytes:
        """A piece of its console log, in bytes; a negative offset counts from the end."""
        return (await self._instances.console_output(self.id, offset, limit)).data

    @asynccontextmanager
    async def console(
        self, kind: ConsoleKind = ConsoleKind.SERIAL, *, force: bool = False
    ) -> AsyncIterator["ConsoleHandle"]:
        """Attach to a console of its guest.

        Raises:
            Conflict: The guest does not run, has no such console, or somebody is attached.
        """
        guests = GuestsHandle()
        session = await guests.attach(await self.get(), kind, force)
        try:
            yield ConsoleHandle(guests, session)
        finally:
            await guests.detach(session)

    async def screenshot(self) -> Screenshot:
        """What its guest's screen shows.

        Raises:
            Conflict: The guest does not run.
        """
        return await GuestsHandle().screenshot(await self.get())

    async def diagnostics(self) -> Diagnostics:
        """What its guest has used so far.

        Raises:
            Conflict: The guest does not run.
        """
        return await GuestsHandle().diagnostics(await self.get())

    async def _edit(self, kind: type[InstanceEdit], **fields: Any) -> InstanceRecord:  # noqa: ANN401 - pydantic checks them
        record = await self.get()
        edit = kind(instance=self.id, project=record.project, user=_USER, admin=True, **fields)
        return await self._instances.edit(edit)

    async def _submit(
        self,
        action: Action,
        grace_seconds: float | None = None,
        details: Details | None = None,
    ) -> OperationHandle:
        record = await self.get()
        accepted = await self._instances.submit(
            InstanceCommand(
                instance=self.id,
                project=record.project,
                user=_USER,
                request_id=RequestId(str(uuid.uuid4())),
                action=action,
                grace_seconds=grace_seconds,
                details=details,
                admin=True,
            )
        )
        return OperationHandle(self._instances, accepted.operation.id)


class ClusterHandle:
    """All of it."""

    def __init__(self, partitions: int) -> None:
        self.instances = InstancesHandle(partitions)
        self.store = ConductorHandle()
        self.scheduler = SchedulerHandle()
        self.network = NetworkHandle()
        self.images = ImagesHandle()
        self.volumes = VolumesHandle()

    def instance(self, instance: str) -> InstanceHandle:
        """One VM, by UUID. Whether it exists is its calls' business."""
        return InstanceHandle(self.instances, InstanceId(instance))

    def operation(self, operation: str) -> OperationHandle:
        """One operation, by id."""
        return OperationHandle(self.instances, OperationId(operation))

    async def host(self, name: str) -> HostHandle:
        """One host, by name or UUID.

        Raises:
            NotFound: There is none.
        """
        for usage in await self.scheduler.hosts():
            if name in (usage.record.name, usage.record.id):
                return HostHandle(usage.record.id)
        raise NotFound(f"Host {name} could not be found.", "HOST_NOT_FOUND")


async def connect() -> ClusterHandle:
    """Handles on the cluster this process has joined (``ray.init(address=…)``).

    Raises:
        Unavailable: There is no novaray cluster on this Ray.
    """
    return ClusterHandle(await ConductorHandle().partitions())


__all__ = [
    "ClusterHandle",
    "ConsoleHandle",
    "HostHandle",
    "InstanceHandle",
    "OperationHandle",
    "connect",
]
