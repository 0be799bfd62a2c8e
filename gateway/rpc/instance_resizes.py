"""What changes an instance's size: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import ChangeSize
from actors.model.operation import Action
from gateway.app.resizes import NewSize, ResizeCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.changes import ChangeMethods, accepted_message
from gateway.rpc.names import flavor_of, generation_of, instance_of
from protos.novaray.v1 import instances_pb2 as pb


class ResizeMethods(ChangeMethods):
    """Resize, confirm, revert; and without a restart."""

    _resizes: ResizeCases

    async def ResizeInstance(
        self, request: pb.ResizeInstanceRequest, context: Context
    ) -> Operation:
        """Another flavor (AIP-136)."""
        project, instance = instance_of(request.name)
        wanted = NewSize(
            project=project,
            instance=instance,
            flavor=flavor_of(request.flavor, "flavor"),
            request_id=request_id_or_own(request.request_id),
            generation=generation_of(request.etag),
        )
        return accepted_message(await self._resizes.resize(caller(), wanted))

    async def ChangeInstanceSize(
        self, request: pb.ChangeInstanceSizeRequest, context: Context
    ) -> Operation:
        """Other memory, other vCPUs, while it runs (AIP-136)."""
        details = ChangeSize(
            memory_mb=request.memory_mb if request.HasField("memory_mb") else None,
            vcpus=request.vcpus if request.HasField("vcpus") else None,
        )
        return await self._change(request, Action.CHANGE_SIZE, details=details)

    async def ConfirmInstanceResize(
        self, request: pb.ConfirmInstanceResizeRequest, context: Context
    ) -> Operation:
        """Keep the new size (AIP-136)."""
        return await self._change(request, Action.CONFIRM_RESIZE)

    async def RevertInstanceResize(
        self, request: pb.RevertInstanceResizeRequest, context: Context
    ) -> Operation:
        """Bring the old one back (AIP-136)."""
        return await self._change(request, Action.REVERT_RESIZE)
