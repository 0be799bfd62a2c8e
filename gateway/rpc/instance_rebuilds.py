"""What makes instances boot something else: rebuild and rescue, a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Unrescue
from actors.model.operation import Action
from gateway.app.rebuilds import NewBuild, NewRescue, RebuildCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.changes import ChangeMethods, accepted_message, grace_of
from gateway.rpc.names import generation_of, image_of, instance_of
from protos.novaray.v1 import instances_pb2 as pb


class RebuildMethods(ChangeMethods):
    """Rebuild, rescue, unrescue."""

    _rebuilds: RebuildCases

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
            grace_seconds=grace_of(request),
            name=request.display_name,
            metadata=dict(request.metadata),
            key_name=request.key_name if request.HasField("key_name") else None,
            user_data=request.user_data if request.HasField("user_data") else None,
            files=dict(request.files),
            admin_password=request.admin_password,
        )
        created = await self._rebuilds.rebuild(caller(), wanted)
        return accepted_message(created.accepted, created.admin_password)

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
            grace_seconds=grace_of(request),
            admin_password=request.admin_password,
        )
        created = await self._rebuilds.rescue(caller(), wanted)
        return accepted_message(created.accepted, created.admin_password)

    async def UnrescueInstance(
        self, request: pb.UnrescueInstanceRequest, context: Context
    ) -> Operation:
        """Boot its own disk again (AIP-136)."""
        return await self._change(
            request, Action.UNRESCUE, grace_seconds=grace_of(request), details=Unrescue()
        )
