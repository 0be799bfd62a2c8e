"""Calls that make instances boot something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation


class RebuildCalls(Calls):
    """Rebuild and rescue."""

    def rebuild_instance(self, request: pb.RebuildInstanceRequest) -> Operation:
        """Make an instance anew."""
        return self._call(self._rebuilds.RebuildInstance, request)

    def rescue_instance(self, request: pb.RescueInstanceRequest) -> Operation:
        """Boot a rescue image in an instance's place."""
        return self._call(self._rebuilds.RescueInstance, request)

    def unrescue_instance(self, name: str, request_id: str) -> Operation:
        """Boot its own disk again."""
        request = pb.UnrescueInstanceRequest(name=name, request_id=request_id)
        return self._call(self._rebuilds.UnrescueInstance, request)

    @property
    def _rebuilds(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
