"""Operations as Nova's instance actions: rows, properties, events, and their JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.views.operations import action, metadata, operation_id, state
from gateway.cli.views.words import iso_micros, json_time, last_part, project_of, word

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import OperationStep

COLUMNS: Final = ("Action", "Request_ID", "Message", "Start_Time", "Updated_At")
EVENT_COLUMNS: Final = ("Event", "Start_Time", "Finish_Time", "Result", "Attempt", "Details")

#: What came of an operation; Nova has only the first.
_MESSAGES: Final = {"failed": "Error", "cancelled": "Cancelled"}
_RESULTS: Final = {"SUCCEEDED": "Success", "FAILED": "Error", "UNDONE": "Undone"}


def request_id(operation: Operation) -> str:
    """The request that made it."""
    return metadata(operation).request_id


def row(operation: Operation) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    meta = metadata(operation)
    return (
        action(meta),
        meta.request_id,
        _message(operation),
        iso_micros(meta.create_time),
        iso_micros(meta.update_time),
    )


def properties(operation: Operation) -> list[tuple[str, object]]:
    """The property table of one action."""
    meta = metadata(operation)
    why = operation.error.message if operation.HasField("error") else None
    return [
        ("action", action(meta)),
        ("instance_uuid", last_part(meta.instance)),
        ("message", _message(operation)),
        ("fault", why),
        ("operation", operation_id(operation)),
        ("project_id", project_of(meta.instance)),
        ("request_id", meta.request_id),
        ("start_time", iso_micros(meta.create_time)),
        ("updated_at", iso_micros(meta.update_time)),
        ("user_id", meta.user),
    ]


def event_rows(operation: Operation) -> list[tuple[object, ...]]:
    """The cells below ``EVENT_COLUMNS``: a row for each step of each attempt."""
    return [
        (
            step.step,
            iso_micros(step.start_time),
            iso_micros(step.end_time) or None,
            _result(step),
            step.attempt,
            step.error or None,
        )
        for step in metadata(operation).steps
    ]


def as_json(operation: Operation, *, events: bool = False) -> dict[str, Json]:
    """The JSON form. Every key is always there; events only of a single action."""
    meta = metadata(operation)
    found: dict[str, Json] = {
        "action": action(meta),
        "instance_uuid": last_part(meta.instance),
        "message": _message(operation),
        "fault": operation.error.message if operation.HasField("error") else None,
        "operation": operation_id(operation),
        "project_id": project_of(meta.instance),
        "request_id": meta.request_id,
        "start_time": json_time(meta.create_time),
        "updated_at": json_time(meta.update_time),
        "user_id": meta.user,
    }
    if events:
        found["events"] = [
            {
                "event": step.step,
                "start_time": json_time(step.start_time),
                "finish_time": json_time(step.end_time),
                "result": _result(step),
                "attempt": step.attempt,
                "details": step.error or None,
            }
            for step in meta.steps
        ]
    return found


def _message(operation: Operation) -> str | None:
    return _MESSAGES.get(state(metadata(operation)))


def _result(step: OperationStep) -> str | None:
    return _RESULTS.get(word(step.State, step.state, "STATE_"))
