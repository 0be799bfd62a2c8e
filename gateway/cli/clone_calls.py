"""Calls that make instances of instances, and keep their disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation


class CloneCalls(Calls):
    """Clones and snapshots."""

    def clone_instance(self, name: str, request_id: str, new_name: str) -> Operation:
        """Make an instance whose disk begins as this one's is."""
        request = pb.CloneInstanceRequest(name=name, request_id=request_id, display_name=new_name)
        return self._call(self._clones.CloneInstance, request)

    def take_snapshot(self, name: str, request_id: str, snapshot: str) -> Operation:
        """Keep an instance's disk as it is now."""
        request = pb.TakeInstanceSnapshotRequest(
            name=name, request_id=request_id, snapshot=snapshot
        )
        return self._call(self._clones.TakeInstanceSnapshot, request)

    def restore_snapshot(
        self, name: str, request_id: str, snapshot: str, grace_seconds: float | None
    ) -> Operation:
        """Bring a kept disk back."""
        request = pb.RestoreInstanceSnapshotRequest(
            name=name, request_id=request_id, snapshot=snapshot, grace_seconds=grace_seconds
        )
        return self._call(self._clones.RestoreInstanceSnapshot, request)

    def delete_snapshot(self, name: str, request_id: str, snapshot: str) -> Operation:
        """Do not keep it any more."""
        request = pb.DeleteInstanceSnapshotRequest(
            name=name, request_id=request_id, snapshot=snapshot
        )
        return self._call(self._clones.DeleteInstanceSnapshot, request)

    @property
    def _clones(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
