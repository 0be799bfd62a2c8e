"""screenshot, diagnostics: what a guest shows, and what it uses."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failures import Failure
from gateway.cli.options import INSIDE, FormatOption, ServerArgument, command
from gateway.cli.output import write_bytes
from gateway.cli.session import open_session
from gateway.cli.table import render_properties

app = typer.Typer()


@command(app, "screenshot", INSIDE, "nova screenshot MyFirstInstance --file screen.png")
def screenshot(
    ctx: typer.Context,
    server: ServerArgument,
    file: Annotated[
        str, typer.Option("--file", metavar="FILE", help="Where to; - for standard output.")
    ],
    form: FormatOption = None,
) -> None:
    """Save what a server's screen shows, as PNG."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    content_type, data = session.client.screenshot(
        lookup.find_instance(session.client, server).name
    )
    if file == "-":
        write_bytes(data)
        return
    try:
        Path(file).write_bytes(data)
    except OSError as error:
        raise Failure(
            f"{file} cannot be written: {error.strerror or error}.", "FILE_UNWRITABLE"
        ) from error
    session.out.result(
        lambda: f"Wrote {file}: {len(data)} bytes of {content_type}.",
        lambda: {"file": file, "content_type": content_type, "bytes": len(data)},
    )


@command(app, "diagnostics", INSIDE, "nova diagnostics MyFirstInstance")
def diagnostics(ctx: typer.Context, server: ServerArgument, form: FormatOption = None) -> None:
    """Show what a server that runs has used."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import diagnostics as views

    found = session.client.diagnostics(lookup.find_instance(session.client, server).name)
    session.out.result(
        lambda: render_properties(views.properties(found)), lambda: views.as_json(found)
    )
