"""What is said of a request that was accepted, and of how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.failures import Json
    from gateway.cli.session import Session
    from protos.novaray.v1.instances_pb2 import Instance


def finish(
    session: Session, operation: Operation, instance: Instance
) -> tuple[Instance, Operation]:
    """Follow an operation to its end, say what came of it, and read the instance again."""
    from gateway.cli.progress import follow
    from gateway.cli.views import instances, operations

    name = instance.display_name
    operation = follow(session.client, session.out, operation, name)
    if not operation.response.Unpack(instance):
        kept = operations.action(operations.metadata(operation)) == "soft_delete"
        session.out.sentence(
            f"Server {name} has been deleted{', and can be restored for a while' if kept else ''}."
        )
        return instance, operation
    networks = instances.networks(instance)
    where = f" ({networks})" if networks else ""
    session.out.sentence(f"Server {name} is {instances.status(instance)}{where}.")
    return instance, operation


def accepted_json(instance: Instance, operation: Operation) -> dict[str, Json]:
    """The JSON form of both."""
    from gateway.cli.views import instances, operations

    return {"instance": instances.as_json(instance), "operation": operations.as_json(operation)}
