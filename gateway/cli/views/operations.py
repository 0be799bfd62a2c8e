"""Operations: rows, properties, the log of their steps, and their JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.views.words import (
    iso_micros,
    iso_seconds,
    json_time,
    last_part,
    seconds_between,
    word,
)

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import InstanceOperationMetadata, OperationStep

COLUMNS: Final = ("ID", "Action", "State", "Step", "Progress", "Attempt", "Created")
STEP_COLUMNS: Final = ("Step", "Attempt", "State", "Started", "Seconds", "Error")


def operation_id(operation: Operation) -> str:
    """``operations/{id}`` → the id."""
    return last_part(operation.name)


def metadata(operation: Operation) -> InstanceOperationMetadata:
    """What the server says of it. Empty where it says nothing that this client knows."""
    from protos.novaray.v1.instances_pb2 import InstanceOperationMetadata

    found = InstanceOperationMetadata()
    operation.metadata.Unpack(found)
    return found


def action(meta: InstanceOperationMetadata) -> str:
    """``create``, ``delete``, ``stop``, ``start``."""
    return word(meta.Action, meta.action, "ACTION_").lower()


def state(meta: InstanceOperationMetadata) -> str:
    """``running``, ``undoing``, ``succeeded``, ``failed``, ``cancelled``."""
    return word(meta.State, meta.state, "STATE_").lower()


def row(operation: Operation) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    meta = metadata(operation)
    return (
        operation_id(operation),
        action(meta),
        state(meta),
        meta.step or None,
        f"{meta.progress_percent}%",
        meta.attempt,
        iso_seconds(meta.create_time),
    )


def properties(operation: Operation) -> list[tuple[str, object]]:
    """The property table of one operation."""
    meta = metadata(operation)
    error = operation.error.message if operation.HasField("error") else None
    return [
        ("id", operation_id(operation)),
        ("action", action(meta)),
        ("server", last_part(meta.instance)),
        ("state", state(meta)),
        ("done", operation.done),
        ("step", meta.step or None),
        ("progress", f"{meta.progress_percent}%"),
        ("attempt", meta.attempt),
        ("waiting_for", meta.waiting_for or None),
        ("host", meta.host or None),
        ("error", error),
        ("request_id", meta.request_id),
        ("user", meta.user),
        ("created", iso_seconds(meta.create_time)),
        ("updated", iso_seconds(meta.update_time)),
        ("ended", iso_seconds(meta.end_time) or None),
    ]


def step_row(step: OperationStep) -> tuple[object, ...]:
    """The cells below ``STEP_COLUMNS``."""
    took = seconds_between(step.start_time, step.end_time)
    return (
        step.step,
        step.attempt,
        _step_state(step),
        iso_micros(step.start_time),
        None if took is None else f"{took:.3f}",
        step.error,
    )


def as_json(operation: Operation) -> dict[str, Json]:
    """The JSON form. Every key is always there."""
    meta = metadata(operation)
    return {
        "id": operation_id(operation),
        "action": action(meta),
        "instance": last_part(meta.instance),
        "state": state(meta),
        "done": operation.done,
        "step": meta.step or None,
        "progress_percent": meta.progress_percent,
        "attempt": meta.attempt,
        "waiting_for": meta.waiting_for or None,
        "host": meta.host or None,
        "error": _error(operation),
        "request_id": meta.request_id,
        "user": meta.user,
        "created": json_time(meta.create_time),
        "updated": json_time(meta.update_time),
        "ended": json_time(meta.end_time),
        "steps": [_step_json(step) for step in meta.steps],
    }


def _error(operation: Operation) -> Json:
    if not operation.HasField("error"):
        return None
    from gateway.cli.statuses import told_by

    told = told_by(operation.error)
    return {
        "code": told.code,
        "reason": told.reason,
        "message": told.message,
        "metadata": dict(sorted(told.metadata.items())),
    }


def _step_state(step: OperationStep) -> str:
    return word(step.State, step.state, "STATE_").lower().replace("_", " ")


def _step_json(step: OperationStep) -> Json:
    return {
        "step": step.step,
        "attempt": step.attempt,
        "state": _step_state(step).replace(" ", "_"),
        "started": json_time(step.start_time),
        "ended": json_time(step.end_time),
        "error": step.error or None,
    }
