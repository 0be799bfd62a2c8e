"""What makes instances of instances: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from gateway.app.clones import CloneCases, NewClone
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.changes import accepted_message
from gateway.rpc.names import generation_of, instance_of
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc


class CloneMethods(instances_pb2_grpc.InstanceServiceServicer):
    """Clone."""

    _clones: CloneCases

    async def CloneInstance(self, request: pb.CloneInstanceRequest, context: Context) -> Operation:
        """A new instance on a disk that there is (AIP-136). Durable when it answers."""
        project, origin = instance_of(request.name)
        wanted = NewClone(
            project=project,
            origin=origin,
            name=request.display_name,
            request_id=request_id_or_own(request.request_id),
            generation=generation_of(request.etag),
        )
        created = await self._clones.clone(caller(), wanted)
        return accepted_message(created.accepted, created.admin_password)
