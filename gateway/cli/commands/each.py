"""The same of each server named: asked, followed to its end, and said."""

from typing import TYPE_CHECKING, TypeVar

import typer

from gateway.cli.commands.accepted import accepted_json, finish
from gateway.cli.failures import Exit, Failure
from gateway.cli.session import Session, new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.client import Client
    from protos.novaray.v1.instances_pb2 import Instance

    Accepted = tuple[Instance, Operation]

Item = TypeVar("Item")
Done = TypeVar("Done")


def act(
    session: Session,
    action: str,
    servers: list[str],
    call: "Callable[[str, str], Operation]",
    *,
    poll: bool,
    find: "Callable[[Client, str], Instance] | None" = None,
) -> None:
    """Ask for the same of each server, and with ``poll`` wait for the end of each."""
    from gateway.cli import lookup

    def ask(server: str) -> "Accepted":
        found = (find or lookup.find_instance)(session.client, server)
        operation = call(found.name, new_request_id())
        session.out.sentence(f"Request to {action} server {server} has been accepted.")
        return found, operation

    def end(accepted: "Accepted") -> "Accepted":
        instance, operation = accepted
        return finish(session, operation, instance)

    accepted, failures = each_of(session, dict.fromkeys(servers), ask)
    if poll:
        accepted, failed = each_of(session, accepted, end)
        failures += failed
    if session.out.is_json:
        session.out.result(str, lambda: [accepted_json(i, o) for i, o in accepted])
    if failures:
        raise typer.Exit(int(failures[0].exit_code))


def each_of(
    session: Session, items: "Iterable[Item]", step: "Callable[[Item], Done]"
) -> "tuple[list[Done], list[Failure]]":
    """Do the step for each item. One that fails does not keep the others from it."""
    done: list[Done] = []
    failures: list[Failure] = []
    for item in items:
        try:
            done.append(step(item))
        except Failure as failure:
            session.out.failure(failure)
            failures.append(failure)
            if failure.exit_code is Exit.NO_CONNECTION:
                # The rest would fail alike, each after its own waiting.
                break
    return done, failures
