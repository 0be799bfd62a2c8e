"""What makes images of instances, and what keeps instances as images: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Backup, Snapshot, Unshelve
from actors.model.ids import ImageId, RequestId, instance_image_id_for
from actors.model.operation import Action
from gateway.rpc.call import Context, request_id_or_own
from gateway.rpc.changes import ChangeMethods, ChangeRequest, grace_of
from gateway.rpc.names import instance_of
from protos.novaray.v1 import instances_pb2 as pb


class ImageMethods(ChangeMethods):
    """Images, backups, shelve."""

    async def CreateInstanceImage(
        self, request: pb.CreateInstanceImageRequest, context: Context
    ) -> Operation:
        """Make an image while the guest runs on (AIP-136)."""
        details = Snapshot(
            image=_image(request),
            name=request.image_display_name,
            properties=dict(request.properties),
        )
        return await self._change(request, Action.CREATE_IMAGE, details=details)

    async def BackupInstance(
        self, request: pb.BackupInstanceRequest, context: Context
    ) -> Operation:
        """Make an image, and delete the oldest of its kind (AIP-136)."""
        details = Snapshot(
            image=_image(request),
            name=request.image_display_name,
            backup=Backup(kind=request.backup_type, rotation=request.rotation),
        )
        return await self._change(request, Action.CREATE_BACKUP, details=details)

    async def ShelveInstance(
        self, request: pb.ShelveInstanceRequest, context: Context
    ) -> Operation:
        """Shut down and keep as an image (AIP-136)."""
        details = Snapshot(image=_image(request))
        grace = grace_of(request)
        return await self._change(request, Action.SHELVE, grace_seconds=grace, details=details)

    async def OffloadInstance(
        self, request: pb.OffloadInstanceRequest, context: Context
    ) -> Operation:
        """Take a shelved one from its host (AIP-136)."""
        return await self._change(request, Action.SHELVE_OFFLOAD)

    async def UnshelveInstance(
        self, request: pb.UnshelveInstanceRequest, context: Context
    ) -> Operation:
        """Bring it back (AIP-136)."""
        details = Unshelve(host=request.host or None)
        return await self._change(request, Action.UNSHELVE, details=details)


def _image(request: ChangeRequest) -> ImageId:
    """The image that this request makes: asked again, the same."""
    project, _ = instance_of(request.name)
    return instance_image_id_for(project, RequestId(request_id_or_own(request.request_id)))
