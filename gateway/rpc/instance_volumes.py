"""What gives instances volumes, and takes them: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from gateway.app.attachments import AttachmentCases, Wanted
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.changes import accepted_message
from gateway.rpc.names import generation_of, instance_of, volume_of
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc


class VolumeMethods(instances_pb2_grpc.InstanceServiceServicer):
    """Attach, detach."""

    _attachments: AttachmentCases

    async def AttachVolume(self, request: pb.AttachVolumeRequest, context: Context) -> Operation:
        """Give it a volume (AIP-136)."""
        accepted = await self._attachments.attach(
            caller(), _wanted(request), delete_on_termination=request.delete_on_termination
        )
        return accepted_message(accepted)

    async def DetachVolume(self, request: pb.DetachVolumeRequest, context: Context) -> Operation:
        """Take a volume from it (AIP-136)."""
        return accepted_message(await self._attachments.detach(caller(), _wanted(request)))


def _wanted(request: pb.AttachVolumeRequest | pb.DetachVolumeRequest) -> Wanted:
    project, instance = instance_of(request.name)
    return Wanted(
        project=project,
        instance=instance,
        volume=volume_of(request.volume, "volume"),
        request_id=request_id_or_own(request.request_id),
        generation=generation_of(request.etag),
    )
