"""InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Reboot
from actors.model.instance import InstanceRecord
from actors.model.operation import Action
from gateway.app.attachments import AttachmentCases
from gateway.app.auth import is_admin
from gateway.app.clones import CloneCases
from gateway.app.edits import EditCases
from gateway.app.instances import InstanceCases
from gateway.app.pages import PageRequest
from gateway.app.rebuilds import RebuildCases
from gateway.app.resizes import ResizeCases
from gateway.app.watch import Seen, WatchCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.changes import accepted_message, grace_of
from gateway.rpc.instance_clones import CloneMethods
from gateway.rpc.instance_edits import EditMethods
from gateway.rpc.instance_images import ImageMethods
from gateway.rpc.instance_rebuilds import RebuildMethods
from gateway.rpc.instance_resizes import ResizeMethods
from gateway.rpc.instance_snapshots import SnapshotMethods
from gateway.rpc.instance_volumes import VolumeMethods
from gateway.rpc.names import any_project_of, instance_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.instances import Flavors, instance_message, new_instance
from gateway.rpc.translate.operations import operation_message
from protos.novaray.v1 import instances_pb2 as pb


class InstancesService(
    ImageMethods,
    EditMethods,
    RebuildMethods,
    ResizeMethods,
    VolumeMethods,
    CloneMethods,
    SnapshotMethods,
):
    """Virtual machines and what is done to them."""

    def __init__(
        self,
        instances: InstanceCases,
        edits: EditCases,
        rebuilds: RebuildCases,
        resizes: ResizeCases,
        attachments: AttachmentCases,
        clones: CloneCases,
        watch: WatchCases,
    ) -> None:
        self._instances = instances
        self._edits = edits
        self._rebuilds = rebuilds
        self._resizes = resizes
        self._attachments = attachments
        self._clones = clones
        self._watch = watch

    async def CreateInstance(
        self, request: pb.CreateInstanceRequest, context: Context
    ) -> Operation:
        """Make and boot (AIP-133, AIP-151). Durable when it answers."""
        new = new_instance(request, request_id_or_own(request.request_id))
        created = await self._instances.create(caller(), new)
        return accepted_message(created.accepted, created.admin_password)

    async def GetInstance(self, request: pb.GetInstanceRequest, context: Context) -> pb.Instance:
        """One instance (AIP-131)."""
        who = caller()
        record = await self._instances.get(who, *instance_of(request.name))
        return instance_message(record, admin=is_admin(who))

    async def ListInstances(
        self, request: pb.ListInstancesRequest, context: Context
    ) -> pb.ListInstancesResponse:
        """A page of a project's instances (AIP-132, AIP-158)."""
        who = caller()
        listed = await self._instances.list(
            who,
            any_project_of(request.parent),
            request.filter,
            PageRequest(request.page_size, request.page_token),
        )
        admin = is_admin(who)
        flavors: Flavors = {}
        messages, token = fitting(
            listed, lambda record: instance_message(record, admin=admin, flavors=flavors)
        )
        return pb.ListInstancesResponse(instances=messages, next_page_token=token)

    async def DeleteInstance(
        self, request: pb.DeleteInstanceRequest, context: Context
    ) -> Operation:
        """Delete (AIP-135); whether it can be restored is the cluster's to say (AIP-164)."""
        return await self._change(request, Action.DELETE if request.force else Action.SOFT_DELETE)

    async def RestoreInstance(
        self, request: pb.RestoreInstanceRequest, context: Context
    ) -> Operation:
        """Take a delete back (AIP-164)."""
        return await self._change(request, Action.RESTORE)

    async def StartInstance(self, request: pb.StartInstanceRequest, context: Context) -> Operation:
        """Start what is stopped (AIP-136)."""
        return await self._change(request, Action.START)

    async def StopInstance(self, request: pb.StopInstanceRequest, context: Context) -> Operation:
        """Shut down (AIP-136)."""
        return await self._change(request, Action.STOP, grace_seconds=grace_of(request))

    async def RebootInstance(
        self, request: pb.RebootInstanceRequest, context: Context
    ) -> Operation:
        """Stop and start in one operation (AIP-136)."""
        details = Reboot(hard=request.hard)
        return await self._change(
            request, Action.REBOOT, grace_seconds=grace_of(request), details=details
        )

    async def PauseInstance(self, request: pb.PauseInstanceRequest, context: Context) -> Operation:
        """Stop the guest's clock (AIP-136)."""
        return await self._change(request, Action.PAUSE)

    async def UnpauseInstance(
        self, request: pb.UnpauseInstanceRequest, context: Context
    ) -> Operation:
        """Let it run on (AIP-136)."""
        return await self._change(request, Action.UNPAUSE)

    async def SuspendInstance(
        self, request: pb.SuspendInstanceRequest, context: Context
    ) -> Operation:
        """Write its memory to disk (AIP-136)."""
        return await self._change(request, Action.SUSPEND)

    async def ResumeInstance(
        self, request: pb.ResumeInstanceRequest, context: Context
    ) -> Operation:
        """Bring it back (AIP-136)."""
        return await self._change(request, Action.RESUME)

    async def GetConsoleOutput(
        self, request: pb.GetConsoleOutputRequest, context: Context
    ) -> pb.GetConsoleOutputResponse:
        """A piece of the console log."""
        piece = await self._instances.console_output(
            caller(), *instance_of(request.name), request.offset, request.max_bytes
        )
        return pb.GetConsoleOutputResponse(data=piece.data, next_offset=piece.next_offset)

    # A coroutine that writes, and not a generator: what it holds is let go the moment the caller is
    # gone, and a write that never ends can be given up.
    async def WatchInstances(  # type: ignore[override]
        self, request: pb.WatchInstancesRequest, context: Context
    ) -> None:
        """Changes as they happen."""
        who = caller()
        project = any_project_of(request.parent)
        async with self._watch.open(who, project, request.resume_token) as watch:
            admin = is_admin(who)
            while True:
                message = _change_message(await watch.next(), admin=admin)
                await watch.send(context.write(message))


def _change_message(seen: Seen, *, admin: bool) -> pb.WatchInstancesResponse:
    message = pb.WatchInstancesResponse(resume_token=seen.token)
    if seen.change is None:
        return message
    record = seen.change.record
    if isinstance(record, InstanceRecord):
        message.instance.CopyFrom(instance_message(record, admin=admin))
    else:
        message.operation.CopyFrom(operation_message(record, admin=admin))
    return message
