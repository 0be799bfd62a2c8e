"""instance-action-list, instance-action: what was done to a server, in Nova's words."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.failures import Failure
from gateway.cli.options import HISTORY, FormatOption, ServerArgument, command
from gateway.cli.session import open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from gateway.cli.client import Client

app = typer.Typer()


@command(app, "instance-action-list", HISTORY, "nova instance-action-list MyFirstInstance")
def instance_action_list(
    ctx: typer.Context, server: ServerArgument, form: FormatOption = None
) -> None:
    """List what was done to a server, also to a deleted one by its ID."""
    session = open_session(ctx, form)

    from gateway.cli.views import history

    found = _operations(session.client, server)
    session.out.result(
        lambda: render(history.COLUMNS, [history.row(one) for one in found]),
        lambda: [history.as_json(one) for one in found],
    )


@command(
    app,
    "instance-action",
    HISTORY,
    "nova instance-action MyFirstInstance 4ad2b6f6-3ce0-4d7c-a1d3-9d2c3fd59d63",
)
def instance_action(
    ctx: typer.Context,
    server: ServerArgument,
    request_id: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST_ID",
            help='ID of a request, as "nova instance-action-list" has it.',
            show_default=False,
        ),
    ],
    form: FormatOption = None,
) -> None:
    """Show one thing that was done to a server, with its steps."""
    session = open_session(ctx, form)

    from gateway.cli.views import history

    found = [
        one for one in _operations(session.client, server) if history.request_id(one) == request_id
    ]
    if not found:
        raise Failure(
            f"Server {server} has no action of request {request_id}.",
            "ACTION_NOT_FOUND",
            hint=f'See "nova instance-action-list {server}".',
        )
    one = found[0]
    session.out.result(
        lambda: "\n".join(
            [
                render_properties(history.properties(one)),
                render(history.EVENT_COLUMNS, history.event_rows(one)),
            ]
        ),
        lambda: history.as_json(one, events=True),
    )


def _operations(client: "Client", server: str) -> "list[Operation]":
    """The oldest first, as python-novaclient sorts them."""
    from gateway.cli import lookup, resolve

    try:
        name = lookup.find_instance(client, server).name
    except Failure:
        # A deleted server is found by its id alone, and only its operations are left.
        uid = resolve.as_uuid(server)
        found = list(client.list_operations(client.instance_name(uid))) if uid else []
        if not found:
            raise
    else:
        found = list(client.list_operations(name))
    return found[::-1]
