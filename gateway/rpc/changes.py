"""What all actions on an instance have in common: a part of InstanceService."""

from typing import Literal, Protocol

from google.longrunning.operations_pb2 import Operation

from actors.model.details import Details
from actors.model.operation import Action
from actors.model.query import Accepted
from gateway.app.auth import is_admin
from gateway.app.instances import Change, InstanceCases
from gateway.rpc.call import caller, request_id_or_own
from gateway.rpc.names import generation_of, instance_of
from gateway.rpc.translate.operations import operation_message
from protos.novaray.v1 import instances_pb2_grpc


class ChangeRequest(Protocol):
    """What their requests have."""

    name: str
    etag: str
    request_id: str


class GracefulRequest(Protocol):
    """Of those that shut a guest down."""

    grace_seconds: float

    def HasField(self, field_name: Literal["grace_seconds"]) -> bool:
        """Whether the caller said how long it may take."""
        ...


class ChangeMethods(instances_pb2_grpc.InstanceServiceServicer):
    """How they are asked for."""

    _instances: InstanceCases

    async def _change(
        self,
        request: ChangeRequest,
        action: Action,
        *,
        grace_seconds: float | None = None,
        details: Details | None = None,
    ) -> Operation:
        project, instance = instance_of(request.name)
        change = Change(
            project=project,
            instance=instance,
            action=action,
            request_id=request_id_or_own(request.request_id),
            generation=generation_of(request.etag),
            grace_seconds=grace_seconds,
            details=details,
        )
        return accepted_message(await self._instances.change(caller(), change))


def grace_of(request: GracefulRequest) -> float | None:
    """How long a guest may take to shut down, in seconds; None where the caller does not say."""
    return request.grace_seconds if request.HasField("grace_seconds") else None


def accepted_message(accepted: Accepted, admin_password: str = "") -> Operation:
    """The answer to whoever asked for an operation."""
    return operation_message(
        accepted.operation,
        accepted.instance,
        admin=is_admin(caller()),
        admin_password=admin_password,
    )
