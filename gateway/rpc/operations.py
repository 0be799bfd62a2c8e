"""google.longrunning.Operations (AIP-151)."""

from typing import Final, NoReturn

from google.longrunning import operations_pb2 as lro
from google.longrunning import operations_pb2_grpc
from google.protobuf.empty_pb2 import Empty

from actors.model.errors import Invalid
from actors.model.ids import InstanceId, ProjectId
from gateway.app.auth import is_admin
from gateway.app.operations import OperationCases, Outcome
from gateway.app.pages import PageRequest
from gateway.rpc.border import DEFAULT_DEADLINE, NotServed
from gateway.rpc.call import Context, caller, seconds_left
from gateway.rpc.names import any_project_of, instance_of, operation_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.operations import operation_message

#: A wait answers so long before its deadline: an answer that comes with the deadline is lost.
_MARGIN_SECONDS: Final = 0.25
_MARGIN_SHARE: Final = 0.1


class OperationsService(operations_pb2_grpc.OperationsServicer):
    """What is being done, and what came of it."""

    def __init__(self, operations: OperationCases) -> None:
        self._operations = operations

    async def GetOperation(
        self, request: lro.GetOperationRequest, context: Context
    ) -> lro.Operation:
        """One operation."""
        return _message(await self._operations.get(caller(), operation_of(request.name)))

    async def ListOperations(
        self, request: lro.ListOperationsRequest, context: Context
    ) -> lro.ListOperationsResponse:
        """A page of operations of a project (the caller's for an empty name) or an instance."""
        who = caller()
        listed = await self._operations.list(
            who,
            *_parent(request.name),
            request.filter,
            PageRequest(request.page_size, request.page_token),
        )
        admin = is_admin(who)
        messages, token = fitting(listed, lambda record: operation_message(record, admin=admin))
        return lro.ListOperationsResponse(operations=messages, next_page_token=token)

    async def WaitOperation(
        self, request: lro.WaitOperationRequest, context: Context
    ) -> lro.Operation:
        """The operation once it has ended, or its latest state when the time is up."""
        operation = operation_of(request.name)
        remaining = seconds_left(context)
        seconds = DEFAULT_DEADLINE if remaining is None else remaining
        seconds -= min(_MARGIN_SECONDS, seconds * _MARGIN_SHARE)
        if request.HasField("timeout"):
            asked = request.timeout.ToNanoseconds() / 1e9
            if asked < 0:
                raise Invalid(
                    "The timeout must not be negative.",
                    "TIMEOUT_INVALID",
                    "",
                    {"timeout": "must not be negative"},
                )
            seconds = min(seconds, asked)
        return _message(await self._operations.wait(caller(), operation, seconds))

    async def CancelOperation(self, request: lro.CancelOperationRequest, context: Context) -> Empty:
        """Ask an operation to end early."""
        await self._operations.cancel(caller(), operation_of(request.name))
        return Empty()

    async def DeleteOperation(
        self, request: lro.DeleteOperationRequest, context: Context
    ) -> NoReturn:
        """Not served: operations are the record of what was done."""
        raise NotServed("Operations are kept as a record and cannot be deleted.")


def _parent(name: str) -> tuple[ProjectId | None, InstanceId | None]:
    if name in ("", "operations"):
        return None, None
    if "/instances/" in name:
        return instance_of(name)
    return any_project_of(name, "name"), None


def _message(outcome: Outcome) -> lro.Operation:
    return operation_message(outcome.operation, outcome.instance, admin=is_admin(caller()))
