"""version, help."""

from importlib.metadata import version as installed_version
from typing import Annotated

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


@command(app, "help", OTHER, "nova help boot")
def help_(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND...", help="Which one.", show_default=False),
    ] = None,
) -> None:
    """Show what a command does, as COMMAND --help does."""
    nova = ctx.find_root()
    nova.command([*(words or []), "--help"], nova.info_name, standalone_mode=False)
