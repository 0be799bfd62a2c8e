"""What makes instances boot something else: rebuild and rescue, a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Details, Unrescue
from actors.model.operation import Action
from gateway.app.auth import is_admin
from gateway.app.instances import Created
from gateway.app.rebuilds import NewBuild, NewRescue, RebuildCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.instance_images import ChangeRequest
from gateway.rpc.names import generation_of, image_of, instance_of
from gateway.rpc.translate.operations import operation_message
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc


class RebuildMethods(instances_pb2_grpc.InstanceServiceServicer):
    """Rebuild, rescue, unrescue."""

    _rebuilds: RebuildCases

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

    async def RebuildInstance(
        self, request: pb.RebuildInstanceRequest, context: Context
    ) -> Operation:
        """Make it anew from an image (AIP-136)."""
        project, instance = instance_of(request.name)
        wanted = NewBuild(
            project=project,
            instance=instance,
            image=image_of(request.image, "image"),
            request_id=request_id_or_own(request.request_id),
            generation=generation_of(request.etag),
            grace_seconds=_grace(request),
            name=request.display_name,
            metadata=dict(request.metadata),
            key_name=request.key_name if request.HasField("key_name") else None,
            user_data=request.user_data if request.HasField("user_data") else None,
            files=dict(request.files),
            admin_password=request.admin_password,
        )
        return _accepted(await self._rebuilds.rebuild(caller(), wanted))

    async def RescueInstance(
        self, request: pb.RescueInstanceRequest, context: Context
    ) -> Operation:
        """Boot a rescue image in its place (AIP-136)."""
        project, instance = instance_of(request.name)
        wanted = NewRescue(
            project=project,
            instance=instance,
            image=image_of(request.image, "image") if request.image else None,
            request_id=request_id_or_own(request.request_id),
            generation=generation_of(request.etag),
            grace_seconds=_grace(request),
            admin_password=request.admin_password,
        )
        return _accepted(await self._rebuilds.rescue(caller(), wanted))

    async def UnrescueInstance(
        self, request: pb.UnrescueInstanceRequest, context: Context
    ) -> Operation:
        """Boot its own disk again (AIP-136)."""
        return await self._change(
            request, Action.UNRESCUE, grace_seconds=_grace(request), details=Unrescue()
        )


def _grace(
    request: pb.RebuildInstanceRequest | pb.RescueInstanceRequest | pb.UnrescueInstanceRequest,
) -> float | None:
    return request.grace_seconds if request.HasField("grace_seconds") else None


def _accepted(created: Created) -> Operation:
    return operation_message(
        created.accepted.operation,
        created.accepted.instance,
        admin=is_admin(caller()),
        admin_password=created.admin_password,
    )
