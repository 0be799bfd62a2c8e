"""Calls that make instances of instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation


class CloneCalls(Calls):
    """Clone."""

    def clone_instance(self, name: str, request_id: str, new_name: str) -> Operation:
        """Make an instance whose disk begins as this one's is."""
        request = pb.CloneInstanceRequest(name=name, request_id=request_id, display_name=new_name)
        return self._call(self._clones.CloneInstance, request)

    @property
    def _clones(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
