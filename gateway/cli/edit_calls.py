"""Calls that change instances at once, and those about deletes that can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation


class EditCalls(Calls):
    """Names, metadata, tags, locks, states; restore and delete by force."""

    def update_instance(self, instance: pb.Instance, *fields: str) -> pb.Instance:
        """Change these fields; with an etag, only of what was seen."""
        request = pb.UpdateInstanceRequest(instance=instance)
        request.update_mask.paths.extend(fields)
        return self._call(self._edited.UpdateInstance, request)

    def lock_instance(self, name: str, reason: str) -> pb.Instance:
        """Keep all but admins from changing an instance."""
        request = pb.LockInstanceRequest(name=name, reason=reason)
        return self._call(self._edited.LockInstance, request)

    def unlock_instance(self, name: str) -> pb.Instance:
        """Let an instance be changed again."""
        return self._call(self._edited.UnlockInstance, pb.UnlockInstanceRequest(name=name))

    def reset_instance_state(self, name: str, state: pb.Instance.State.ValueType) -> pb.Instance:
        """Say what an instance is."""
        request = pb.ResetInstanceStateRequest(name=name, state=state)
        return self._call(self._edited.ResetInstanceState, request)

    def restore_instance(self, name: str, request_id: str) -> Operation:
        """Take a delete back."""
        request = pb.RestoreInstanceRequest(name=name, request_id=request_id)
        return self._call(self._edited.RestoreInstance, request)

    def force_delete_instance(self, name: str, request_id: str) -> Operation:
        """Delete an instance for good."""
        request = pb.DeleteInstanceRequest(name=name, request_id=request_id, force=True)
        return self._call(self._edited.DeleteInstance, request)

    @property
    def _edited(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
