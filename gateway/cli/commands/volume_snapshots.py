"""volume-snapshot-create, volume-snapshot-list, volume-snapshot-delete."""

from typing import Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.each import each_of
from gateway.cli.options import (
    VOLUMES,
    AllProjectsOption,
    FormatOption,
    VolumeArgument,
    command,
)
from gateway.cli.session import new_request_id, open_session
from gateway.cli.table import render, render_properties

app = typer.Typer()


@command(
    app,
    "volume-snapshot-create",
    VOLUMES,
    "nova volume-snapshot-create data before-upgrade",
)
def volume_snapshot_create(
    ctx: typer.Context,
    volume: VolumeArgument,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
    ],
    description: Annotated[
        str | None, typer.Option("--description", help="Your own words.", show_default=False)
    ] = None,
    form: FormatOption = None,
) -> None:
    """Keep a volume as it is now; a server that has it runs on."""
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from gateway.cli.views import volumes
    from protos.novaray.v1.volumes_pb2 import VolumeSnapshot

    asked = VolumeSnapshot(
        volume=lookup.find_volume(client, volume).name,
        display_name=name,
        description=description or "",
    )
    made = client.create_volume_snapshot(asked, new_request_id())
    session.out.result(
        lambda: render_properties(volumes.snapshot_properties(made)),
        lambda: volumes.snapshot_json(made),
    )


@command(app, "volume-snapshot-list", VOLUMES, "nova volume-snapshot-list")
def volume_snapshot_list(
    ctx: typer.Context, all_projects: AllProjectsOption = False, form: FormatOption = None
) -> None:
    """List snapshots of volumes, newest first."""
    session = open_session(ctx, form)

    from gateway.cli.views import volumes

    found = list(session.client.list_volume_snapshots(all_projects=all_projects))
    session.out.result(
        lambda: render(volumes.SNAPSHOT_COLUMNS, [volumes.snapshot_row(one) for one in found]),
        lambda: [volumes.snapshot_json(one) for one in found],
    )


@command(app, "volume-snapshot-delete", VOLUMES, "nova volume-snapshot-delete before-upgrade")
def volume_snapshot_delete(
    ctx: typer.Context,
    snapshots: Annotated[
        list[str],
        typer.Argument(
            metavar="SNAPSHOT...",
            help="Names or IDs of snapshots of volumes.",
            autocompletion=complete.volume_snapshots,
            show_default=False,
        ),
    ],
    form: FormatOption = None,
) -> None:
    """Delete snapshots of volumes. Volumes that were made from them keep what they have."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    def delete(snapshot: str) -> str:
        found = lookup.find_volume_snapshot(session.client, snapshot)
        session.client.delete_volume_snapshot(found.name)
        session.out.sentence(f"Request to delete snapshot {snapshot} has been accepted.")
        return found.uid

    deleted, failures = each_of(session, dict.fromkeys(snapshots), delete)
    if session.out.is_json:
        session.out.result(str, lambda: list(deleted))
    if failures:
        raise typer.Exit(int(failures[0].exit_code))
