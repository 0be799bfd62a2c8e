"""What changes an instance's size: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Details
from actors.model.operation import Action
from gateway.app.auth import is_admin
from gateway.app.resizes import NewSize, ResizeCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.instance_images import ChangeRequest
from gateway.rpc.names import flavor_of, generation_of, instance_of
from gateway.rpc.translate.operations import operation_message
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc


class ResizeMethods(instances_pb2_grpc.InstanceServiceServicer):
    """Resize, confirm, revert."""

    _resizes: ResizeCases

    async def _change(
        self,
        request: ChangeRequest,
        action: Action,
        *,
        grace_seconds: float | None = None,
        details: Details | None = None,
    ) -> Operation:
        """Do it, as the whole service does it."""
        raise NotImplementedError

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
        accepted = await self._resizes.resize(caller(), wanted)
        return operation_message(accepted.operation, accepted.instance, admin=is_admin(caller()))

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
