"""version."""

from importlib.metadata import version as installed_version

import typer

from gateway.cli.options import OTHER, FormatOption, command
from gateway.cli.session import open_session
from gateway.cli.table import render_properties

app = typer.Typer()


@command(app, "version", OTHER, "nova version")
def version(ctx: typer.Context, form: FormatOption = None) -> None:
    """Show the versions of this command and of the server."""
    session = open_session(ctx, form)
    client = installed_version("novaray")
    server = session.client.version()
    session.out.result(
        lambda: render_properties(
            [
                ("client", client),
                ("server", server.release),
                ("endpoint", session.connection.endpoint),
                ("api_level", server.api_level),
                ("min_api_level", server.min_api_level),
            ]
        ),
        lambda: {
            "client": client,
            "server": server.release,
            "endpoint": session.connection.endpoint,
            "api_level": server.api_level,
            "min_api_level": server.min_api_level,
        },
    )
