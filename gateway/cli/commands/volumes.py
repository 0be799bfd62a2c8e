"""volume-create, volume-list, volume-show, volume-update, volume-extend, volume-delete."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.each import each_of
from gateway.cli.commands.parameters import pairs
from gateway.cli.options import (
    VOLUMES,
    AllProjectsOption,
    FormatOption,
    VolumeArgument,
    VolumesArgument,
    command,
)
from gateway.cli.session import Session, new_request_id, open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from protos.novaray.v1.volumes_pb2 import Volume

app = typer.Typer()

SizeArgument = Annotated[
    int, typer.Argument(metavar="SIZE", help="GiB.", min=1, max=16_384, show_default=False)
]


@command(
    app,
    "volume-create",
    VOLUMES,
    "nova volume-create --name data 10",
    "nova volume-create --name root --image debian-12 20",
    "nova volume-create --name again --snapshot before-upgrade 10",
)
def volume_create(
    ctx: typer.Context,
    size: SizeArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it.", show_default=False)
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            help="Begin as this image, so that servers can boot from it.",
            autocompletion=complete.images,
            show_default=False,
        ),
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--snapshot",
            help="Begin as this snapshot of a volume.",
            autocompletion=complete.volume_snapshots,
            show_default=False,
        ),
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="Your own words.", show_default=False)
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Metadata; may be repeated."),
    ] = None,
    form: FormatOption = None,
) -> None:
    """Make a volume: a disk that outlives servers."""
    if image is not None and snapshot is not None:
        raise typer.BadParameter("--image and --snapshot exclude one another.")
    given = pairs(metadata or [], "--metadata")
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from protos.novaray.v1.volumes_pb2 import Volume

    asked = Volume(
        display_name=name or "",
        description=description or "",
        metadata=given,
        size_gb=size,
        image=lookup.find_image(client, image).name if image else "",
        snapshot=lookup.find_volume_snapshot(client, snapshot).name if snapshot else "",
    )
    _show(session, client.create_volume(asked, new_request_id()))


@command(
    app,
    "volume-list",
    VOLUMES,
    "nova volume-list",
    "nova volume-list --format json | jq -r '.[].id'",
)
def volume_list(
    ctx: typer.Context, all_projects: AllProjectsOption = False, form: FormatOption = None
) -> None:
    """List volumes, newest first."""
    session = open_session(ctx, form)

    from gateway.cli.views import volumes

    found = list(session.client.list_volumes(all_projects=all_projects))
    session.out.result(
        lambda: render(volumes.COLUMNS, [volumes.row(volume) for volume in found]),
        lambda: [volumes.as_json(volume) for volume in found],
    )


@command(app, "volume-show", VOLUMES, "nova volume-show data")
def volume_show(ctx: typer.Context, volume: VolumeArgument, form: FormatOption = None) -> None:
    """Show a volume."""
    session = open_session(ctx, form)
    _show(session, _find(session, volume))


@command(
    app,
    "volume-update",
    VOLUMES,
    "nova volume-update data --name old-data",
    "nova volume-update data --description 'before the upgrade'",
)
def volume_update(
    ctx: typer.Context,
    volume: VolumeArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="Call it so.", show_default=False)
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="Your own words.", show_default=False)
    ] = None,
    form: FormatOption = None,
) -> None:
    """Describe a volume otherwise."""
    if name is None and description is None:
        raise typer.BadParameter("Give --name or --description.")
    session = open_session(ctx, form)
    found = _find(session, volume)
    fields = []
    if name is not None:
        found.display_name = name
        fields.append("display_name")
    if description is not None:
        found.description = description
        fields.append("description")
    session.client.update_volume(found, fields)


@command(app, "volume-extend", VOLUMES, "nova volume-extend data 20")
def volume_extend(
    ctx: typer.Context, volume: VolumeArgument, size: SizeArgument, form: FormatOption = None
) -> None:
    """Make a volume larger; a server that has it sees its disk grow."""
    session = open_session(ctx, form)
    found = _find(session, volume)
    found.size_gb = size
    session.client.update_volume(found, ["size_gb"])


@command(app, "volume-delete", VOLUMES, "nova volume-delete data old-data")
def volume_delete(ctx: typer.Context, volumes: VolumesArgument, form: FormatOption = None) -> None:
    """Delete volumes that are attached to nothing and have no snapshots."""
    session = open_session(ctx, form)

    def delete(volume: str) -> str:
        found = _find(session, volume)
        session.client.delete_volume(found.name)
        session.out.sentence(f"Request to delete volume {volume} has been accepted.")
        return found.uid

    deleted, failures = each_of(session, dict.fromkeys(volumes), delete)
    if session.out.is_json:
        session.out.result(str, lambda: list(deleted))
    if failures:
        raise typer.Exit(int(failures[0].exit_code))


def _find(session: Session, volume: str) -> "Volume":
    from gateway.cli import lookup

    return lookup.find_volume(session.client, volume)


def _show(session: Session, volume: "Volume") -> None:
    from gateway.cli.views import volumes

    session.out.result(
        lambda: render_properties(volumes.properties(volume)), lambda: volumes.as_json(volume)
    )
