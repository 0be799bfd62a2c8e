"""Snapshots of instances' disks: a part of InstanceService."""

from google.longrunning.operations_pb2 import Operation

from actors.model.details import OfSnapshot
from actors.model.ids import RequestId, layer_id_for
from actors.model.operation import Action
from gateway.rpc.call import Context, request_id_or_own
from gateway.rpc.changes import ChangeMethods, grace_of
from gateway.rpc.names import instance_of
from protos.novaray.v1 import instances_pb2 as pb


class SnapshotMethods(ChangeMethods):
    """Take, restore, delete."""

    async def TakeInstanceSnapshot(
        self, request: pb.TakeInstanceSnapshotRequest, context: Context
    ) -> Operation:
        """Keep the disk as it is now (AIP-136)."""
        project, _ = instance_of(request.name)
        layer = layer_id_for(project, RequestId(request_id_or_own(request.request_id)))
        details = OfSnapshot(name=request.snapshot, layer=layer)
        return await self._change(request, Action.TAKE_SNAPSHOT, details=details)

    async def RestoreInstanceSnapshot(
        self, request: pb.RestoreInstanceSnapshotRequest, context: Context
    ) -> Operation:
        """Bring a kept disk back (AIP-136)."""
        return await self._change(
            request,
            Action.RESTORE_SNAPSHOT,
            grace_seconds=grace_of(request),
            details=OfSnapshot(name=request.snapshot),
        )

    async def DeleteInstanceSnapshot(
        self, request: pb.DeleteInstanceSnapshotRequest, context: Context
    ) -> Operation:
        """Do not keep it any more (AIP-136)."""
        details = OfSnapshot(name=request.snapshot)
        return await self._change(request, Action.DELETE_SNAPSHOT, details=details)
