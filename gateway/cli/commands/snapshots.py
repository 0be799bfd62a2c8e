"""snapshot-create, -list, -restore, -delete: disks of servers, kept on their hosts."""

from typing import Annotated

import typer

from gateway.cli.commands.each import act
from gateway.cli.options import SERVERS, FormatOption, PollOption, ServerArgument, command
from gateway.cli.session import open_session
from gateway.cli.table import render

app = typer.Typer()

SnapshotArgument = Annotated[
    str, typer.Argument(metavar="SNAPSHOT", help="Name of the snapshot.", show_default=False)
]


@command(
    app,
    "snapshot-create",
    SERVERS,
    "nova snapshot-create MyFirstInstance before-upgrade",
    "nova snapshot-create --poll web1 monday",
)
def snapshot_create(
    ctx: typer.Context,
    server: ServerArgument,
    snapshot: SnapshotArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Keep a server's disk as it is now; the server runs on."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "take a snapshot of",
        [server],
        lambda name, request_id: client.take_snapshot(name, request_id, snapshot),
        poll=poll,
    )


@command(app, "snapshot-list", SERVERS, "nova snapshot-list MyFirstInstance")
def snapshot_list(ctx: typer.Context, server: ServerArgument, form: FormatOption = None) -> None:
    """List the snapshots of a server, the oldest first."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import snapshots

    found = lookup.find_instance(session.client, server).snapshots
    session.out.result(
        lambda: render(snapshots.COLUMNS, [snapshots.row(one) for one in found]),
        lambda: [snapshots.as_json(one) for one in found],
    )


@command(
    app,
    "snapshot-restore",
    SERVERS,
    "nova snapshot-restore MyFirstInstance before-upgrade",
    "nova snapshot-restore --poll --grace 5 web1 monday",
)
def snapshot_restore(
    ctx: typer.Context,
    server: ServerArgument,
    snapshot: SnapshotArgument,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace",
            metavar="SECONDS",
            min=0,
            max=3600,
            help="How long the guest may take to shut down by itself.",
            show_default=False,
        ),
    ] = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Bring a server's disk back as it was; what was written since is lost."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "restore a snapshot of",
        [server],
        lambda name, request_id: client.restore_snapshot(name, request_id, snapshot, grace),
        poll=poll,
    )


@command(app, "snapshot-delete", SERVERS, "nova snapshot-delete MyFirstInstance before-upgrade")
def snapshot_delete(
    ctx: typer.Context,
    server: ServerArgument,
    snapshot: SnapshotArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Delete a snapshot of a server; its disk stays as it is."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "delete a snapshot of",
        [server],
        lambda name, request_id: client.delete_snapshot(name, request_id, snapshot),
        poll=poll,
    )
