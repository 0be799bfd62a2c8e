"""clone: a server made of a server."""

from typing import Annotated

import typer

from gateway.cli.commands.accepted import accepted_json, finish
from gateway.cli.options import SERVERS, FormatOption, PollOption, ServerArgument, command
from gateway.cli.session import new_request_id, open_session
from gateway.cli.table import render_properties

app = typer.Typer()


@command(
    app,
    "clone",
    SERVERS,
    "nova clone MyFirstInstance",
    "nova clone --poll MyFirstInstance MySecondInstance",
)
def clone(
    ctx: typer.Context,
    server: ServerArgument,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NEW_NAME]",
            help="What to call the new one; SERVER's name with -clone behind it if not given.",
            show_default=False,
        ),
    ] = "",
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Make a server whose disk begins as another's is now; the other runs on."""
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from gateway.cli.views import instances, operations

    origin = lookup.find_instance(client, server)
    operation = client.clone_instance(origin.name, new_request_id(), name)
    progress = operations.metadata(operation)
    made = client.get_instance(progress.instance)
    rows = instances.properties(
        made, progress=progress.progress_percent, admin_password=progress.admin_password
    )
    session.out.sentence(render_properties(rows))
    if poll:
        made, operation = finish(session, operation, made)
    if session.out.is_json:
        said = accepted_json(made, operation) | {"admin_password": progress.admin_password}
        session.out.result(str, lambda: said)
