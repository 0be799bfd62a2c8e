"""volume-attach, volume-detach, volume-attachments."""

from typing import Annotated

import typer

from gateway.cli.commands.each import act
from gateway.cli.options import (
    VOLUMES,
    FormatOption,
    PollOption,
    ServerArgument,
    VolumeArgument,
    command,
)
from gateway.cli.session import open_session
from gateway.cli.table import render

app = typer.Typer()


@command(
    app,
    "volume-attach",
    VOLUMES,
    "nova volume-attach MyFirstInstance data",
    "nova volume-attach --poll --delete-on-termination web1 scratch",
)
def volume_attach(
    ctx: typer.Context,
    server: ServerArgument,
    volume: VolumeArgument,
    delete_on_termination: Annotated[
        bool, typer.Option("--delete-on-termination", help="Delete it with the server.")
    ] = False,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Give a server a volume: its guest sees a new disk."""
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup

    found = lookup.find_volume(client, volume).name
    act(
        session,
        f"attach volume {volume} to",
        [server],
        lambda name, request_id: client.attach_volume(
            name, request_id, found, delete_on_termination=delete_on_termination
        ),
        poll=poll,
    )


@command(
    app,
    "volume-detach",
    VOLUMES,
    "nova volume-detach MyFirstInstance data",
    "nova volume-detach --poll web1 scratch",
)
def volume_detach(
    ctx: typer.Context,
    server: ServerArgument,
    volume: VolumeArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Take a volume from a server. Unmount it in the guest first."""
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup

    found = lookup.find_volume(client, volume).name
    act(
        session,
        f"detach volume {volume} from",
        [server],
        lambda name, request_id: client.detach_volume(name, request_id, found),
        poll=poll,
    )


@command(app, "volume-attachments", VOLUMES, "nova volume-attachments MyFirstInstance")
def volume_attachments(
    ctx: typer.Context, server: ServerArgument, form: FormatOption = None
) -> None:
    """List the volumes of a server."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import volumes

    found = lookup.find_instance(session.client, server)
    session.out.result(
        lambda: render(
            volumes.ATTACHMENT_COLUMNS,
            [volumes.attachment_row(found, volume) for volume in found.volumes],
        ),
        lambda: [volumes.attachment_json(volume) for volume in found.volumes],
    )
