"""operation list, show, wait, cancel."""

from typing import Annotated

import typer

from gateway.cli.options import FormatOption, command
from gateway.cli.session import open_session
from gateway.cli.table import render, render_properties

app = typer.Typer(no_args_is_help=True)

OperationArgument = Annotated[
    str,
    typer.Argument(
        metavar="OPERATION",
        help='ID of an operation, as "nova operation list" has it.',
        show_default=False,
    ),
]


@command(app, "list", None, "nova operation list", "nova operation list --server MyFirstInstance")
def list_(
    ctx: typer.Context,
    server: Annotated[
        str | None,
        typer.Option("--server", help="Only of this server (name or ID).", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    form: FormatOption = None,
) -> None:
    """List what was and is being done, newest first."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import operations

    instance = lookup.find_instance(session.client, server).name if server else None
    found = list(session.client.list_operations(instance, limit=limit))
    session.out.result(
        lambda: render(operations.COLUMNS, [operations.row(o) for o in found]),
        lambda: [operations.as_json(o) for o in found],
    )


@command(app, "show", None, "nova operation show 840c18ac-0046-49dc-b809-7d83447c6b63.1")
def show(ctx: typer.Context, operation: OperationArgument, form: FormatOption = None) -> None:
    """Show an operation and its steps."""
    session = open_session(ctx, form)

    from gateway.cli.views import operations

    found = session.client.get_operation(operation)

    def tables() -> str:
        steps = operations.metadata(found).steps
        return "\n".join(
            [
                render_properties(operations.properties(found)),
                render(operations.STEP_COLUMNS, [operations.step_row(step) for step in steps]),
            ]
        )

    session.out.result(tables, lambda: operations.as_json(found))


@command(app, "wait", None, "nova operation wait 840c18ac-0046-49dc-b809-7d83447c6b63.1")
def wait(ctx: typer.Context, operation: OperationArgument, form: FormatOption = None) -> None:
    """Wait for the end of an operation and show how far it is."""
    session = open_session(ctx, form)

    from gateway.cli.progress import follow
    from gateway.cli.views import operations

    found = session.client.get_operation(operation)
    meta = operations.metadata(found)
    found = follow(session.client, session.out, found, meta.instance.rpartition("/")[2])
    session.out.result(
        lambda: f"Operation {operation} has succeeded.", lambda: operations.as_json(found)
    )


@command(app, "cancel", None, "nova operation cancel 840c18ac-0046-49dc-b809-7d83447c6b63.1")
def cancel(ctx: typer.Context, operation: OperationArgument, form: FormatOption = None) -> None:
    """Ask an operation to end early and undo what it did."""
    session = open_session(ctx, form)

    from gateway.cli.views import operations

    session.client.cancel_operation(operation)
    session.out.result(
        lambda: f"Request to cancel operation {operation} has been accepted.",
        lambda: operations.as_json(session.client.get_operation(operation)),
    )
