"""host-list."""

import typer

from gateway.cli.options import CATALOG, FormatOption, command
from gateway.cli.session import open_session
from gateway.cli.table import render

app = typer.Typer()


@command(app, "host-list", CATALOG, "nova host-list")
def host_list(ctx: typer.Context, form: FormatOption = None) -> None:
    """List the hosts and how much of each is claimed. For admins."""
    session = open_session(ctx, form)

    from gateway.cli.views import catalog

    hosts = list(session.client.list_hosts())
    session.out.result(
        lambda: render(catalog.HOST_COLUMNS, [catalog.host_row(h) for h in hosts]),
        lambda: [catalog.host_json(h) for h in hosts],
    )
