"""What a watch sees: a line and a JSON form for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.table import printable
from gateway.cli.views import instances, operations
from gateway.cli.views.words import iso_seconds

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.instances_pb2 import WatchInstancesResponse


def line(message: WatchInstancesResponse) -> str:
    """One change in one line: when, what, which, how it is now."""
    if message.WhichOneof("change") == "instance":
        instance = message.instance
        parts = [
            iso_seconds(instance.update_time),
            "server   ",
            instance.uid,
            f"{instances.status(instance):7}",
            f"{instances.task_state(instance) or '-':12}",
            printable(instance.display_name),
            instances.networks(instance),
        ]
    else:
        meta = operations.metadata(message.operation)
        parts = [
            iso_seconds(meta.update_time),
            "operation",
            operations.operation_id(message.operation),
            operations.action(meta),
            operations.state(meta),
            meta.step,
            f"{meta.progress_percent}%",
            f"waiting for {meta.waiting_for}" if meta.waiting_for else "",
        ]
    return "  ".join(part for part in parts if part)


def as_json(message: WatchInstancesResponse) -> dict[str, Json]:
    """One change. Both keys are always there; the one that did not change is null."""
    changed = message.WhichOneof("change")
    return {
        "instance": instances.as_json(message.instance) if changed == "instance" else None,
        "operation": operations.as_json(message.operation) if changed == "operation" else None,
        "resume_token": message.resume_token,
    }
