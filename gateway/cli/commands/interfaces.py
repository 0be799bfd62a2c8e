"""interface-list."""

import typer

from gateway.cli.options import NETWORKS, FormatOption, ServerArgument, command
from gateway.cli.session import open_session
from gateway.cli.table import render

app = typer.Typer()


@command(app, "interface-list", NETWORKS, "nova interface-list MyFirstInstance")
def interface_list(ctx: typer.Context, server: ServerArgument, form: FormatOption = None) -> None:
    """List the network cards of a server, in the order of its guest's hardware."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import networks

    found = lookup.find_instance(session.client, server)
    session.out.result(
        lambda: render(
            networks.CARD_COLUMNS, [networks.card_row(found, card) for card in found.addresses]
        ),
        lambda: [networks.card_json(found, card) for card in found.addresses],
    )
