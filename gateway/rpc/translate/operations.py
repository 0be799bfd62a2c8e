"""Operations to ``google.longrunning.Operation`` (AIP-151)."""

from typing import Final

from google.longrunning.operations_pb2 import Operation
from google.protobuf.any_pb2 import Any
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from actors.model.details import Snapshot
from actors.model.errors import Kind
from actors.model.instance import Fault, InstanceRecord
from actors.model.operation import (
    Action,
    OperationRecord,
    OperationState,
    StepEntry,
    StepState,
)
from gateway.errors import BY_REASON, WIRE, Wire
from gateway.rpc.problems import body_status
from gateway.rpc.translate.instances import instance_message, instance_name
from gateway.rpc.translate.instants import timestamp
from protos.novaray.v1 import instances_pb2 as pb

_ACTION: Final = {
    action: pb.InstanceOperationMetadata.Action.Value(f"ACTION_{action.name}") for action in Action
}
_STATE: Final = {
    OperationState.RUNNING: pb.InstanceOperationMetadata.STATE_RUNNING,
    OperationState.UNDOING: pb.InstanceOperationMetadata.STATE_UNDOING,
    OperationState.SUCCEEDED: pb.InstanceOperationMetadata.STATE_SUCCEEDED,
    OperationState.FAILED: pb.InstanceOperationMetadata.STATE_FAILED,
    OperationState.CANCELLED: pb.InstanceOperationMetadata.STATE_CANCELLED,
}
_STEP_STATE: Final = {
    StepState.STARTED: pb.OperationStep.STATE_STARTED,
    StepState.SUCCEEDED: pb.OperationStep.STATE_SUCCEEDED,
    StepState.FAILED: pb.OperationStep.STATE_FAILED,
    StepState.UNDO_STARTED: pb.OperationStep.STATE_UNDO_STARTED,
    StepState.UNDONE: pb.OperationStep.STATE_UNDONE,
}


def operation_message(
    record: OperationRecord,
    instance: InstanceRecord | None = None,
    *,
    admin: bool,
    admin_password: str = "",
) -> Operation:
    """The operation on the wire.

    Args:
        record: The operation.
        instance: What it made or changed, for its response. Lists and watches have none at hand;
            there the response says the instance's name only.
        admin: Whether the reader may know hosts.
        admin_password: The guest's, for the caller that the operation is the answer to.
    """
    message = Operation(
        name=f"operations/{record.id}",
        metadata=_packed(_metadata(record, admin=admin, admin_password=admin_password)),
        done=record.done,
    )
    if record.state is OperationState.SUCCEEDED:
        message.response.CopyFrom(_packed(_response(record, instance, admin=admin)))
    elif record.done:
        message.error.CopyFrom(_error(record, admin=admin))
    return message


def progress(record: OperationRecord) -> int:
    """The steps of this attempt that are done and not undone, in percent; 100 only at the end."""
    if record.state is OperationState.SUCCEEDED:
        return 100
    done = {
        entry.name
        for entry in record.steps
        if entry.attempt == record.attempt and entry.state is StepState.SUCCEEDED
    }
    return min(99, 100 * len(done) // max(1, record.step_count))


def _metadata(
    record: OperationRecord, *, admin: bool, admin_password: str
) -> pb.InstanceOperationMetadata:
    return pb.InstanceOperationMetadata(
        instance=instance_name(record.project, record.instance),
        action=_ACTION[record.action],
        state=_STATE[record.state],
        step=record.step,
        progress_percent=progress(record),
        attempt=record.attempt,
        waiting_for=record.waiting_for,
        request_id=record.request_id,
        host=(record.host or "") if admin else "",
        steps=[_step(entry) for entry in record.steps],
        create_time=timestamp(record.created),
        update_time=timestamp(record.updated),
        end_time=timestamp(record.finished),
        user=record.user,
        admin_password=admin_password,
        image=f"images/{record.details.image}" if isinstance(record.details, Snapshot) else "",
    )


def _step(entry: StepEntry) -> pb.OperationStep:
    return pb.OperationStep(
        step=entry.name,
        attempt=entry.attempt,
        state=_STEP_STATE[entry.state],
        start_time=timestamp(entry.started),
        end_time=timestamp(entry.finished),
        error=entry.error,
    )


def _response(record: OperationRecord, instance: InstanceRecord | None, *, admin: bool) -> Message:
    if record.action in (Action.DELETE, Action.SOFT_DELETE):
        return Empty()
    if instance is None:
        name = instance_name(record.project, record.instance)
        return pb.Instance(name=name, uid=record.instance)
    return instance_message(instance, admin=admin)


def _error(record: OperationRecord, *, admin: bool) -> Status:
    subject = {"instance": record.instance, "operation": record.id}
    if record.fault is not None:
        fault = record.fault
        hosts = fault.hosts if admin else {}
        return body_status(_wire(fault), fault.reason, fault.message, {**subject, **hosts})
    if record.state is OperationState.CANCELLED:
        return body_status(
            WIRE[Kind.CANCELLED],
            "CANCELLED",
            f"The {record.action.value} of instance {record.instance} was cancelled.",
            subject,
        )
    return body_status(
        WIRE[Kind.INTERNAL], "INTERNAL", f"The {record.action.value} failed.", subject
    )


def _wire(fault: Fault) -> Wire:
    if fault.reason in BY_REASON:
        return BY_REASON[fault.reason]
    try:
        return WIRE[Kind(fault.kind)]
    except ValueError:
        # Written by a newer release.
        return Wire(StatusCode.INTERNAL, 500)


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
