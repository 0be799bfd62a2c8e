"""What changes an instance without an operation: a part of InstanceService."""

from typing import Final, Protocol

from actors.model.errors import Invalid
from actors.model.instance import InstanceRecord, VmState
from gateway.app.auth import is_admin
from gateway.app.edits import EditCases, Target
from gateway.rpc.call import Context, caller
from gateway.rpc.names import generation_of, instance_of
from gateway.rpc.translate.instances import instance_changes, instance_message
from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1 import instances_pb2_grpc

_RESETS: Final = {
    pb.Instance.STATE_ACTIVE: VmState.ACTIVE,
    pb.Instance.STATE_ERROR: VmState.ERROR,
}


class EditRequest(Protocol):
    """What these requests have in common."""

    name: str
    etag: str


class EditMethods(instances_pb2_grpc.InstanceServiceServicer):
    """Update, lock, unlock, reset."""

    _edits: EditCases

    async def UpdateInstance(
        self, request: pb.UpdateInstanceRequest, context: Context
    ) -> pb.Instance:
        """Describe it anew (AIP-134)."""
        wanted = request.instance
        project, instance = instance_of(wanted.name, "instance.name")
        target = Target(project, instance, generation_of(wanted.etag, "instance.etag"))
        changes = instance_changes(wanted, request.update_mask.paths)
        return _answer(await self._edits.update(caller(), target, changes))

    async def LockInstance(self, request: pb.LockInstanceRequest, context: Context) -> pb.Instance:
        """Keep all but admins from changing it (AIP-136)."""
        return _answer(await self._edits.lock(caller(), _target(request), request.reason))

    async def UnlockInstance(
        self, request: pb.UnlockInstanceRequest, context: Context
    ) -> pb.Instance:
        """Let it be changed again (AIP-136)."""
        return _answer(await self._edits.unlock(caller(), _target(request)))

    async def ResetInstanceState(
        self, request: pb.ResetInstanceStateRequest, context: Context
    ) -> pb.Instance:
        """Say what it is (AIP-136)."""
        target = _target(request)
        state = _RESETS.get(request.state)
        if state is None:
            said = "must be STATE_ACTIVE or STATE_ERROR"
            raise Invalid(f"The field state {said}.", "FIELD_INVALID", "", {"state": said})
        return _answer(await self._edits.reset_state(caller(), target, state))


def _target(request: EditRequest) -> Target:
    return Target(*instance_of(request.name), generation_of(request.etag))


def _answer(record: InstanceRecord) -> pb.Instance:
    return instance_message(record, admin=is_admin(caller()))
