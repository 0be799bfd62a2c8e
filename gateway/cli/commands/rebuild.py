"""rebuild, rescue, unrescue: what makes servers boot something else."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.accepted import accepted_json, finish
from gateway.cli.commands.each import act
from gateway.cli.commands.guest_options import read_files, read_user_data
from gateway.cli.commands.parameters import pairs
from gateway.cli.options import (
    REMAKE,
    FormatOption,
    PollOption,
    ServerArgument,
    ServersArgument,
    command,
)
from gateway.cli.session import Session, new_request_id, open_session
from gateway.cli.table import render_properties

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from protos.novaray.v1.instances_pb2 import Instance

app = typer.Typer()

GraceOption = Annotated[
    float | None,
    typer.Option(
        "--grace",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="How long the guest may take to shut down by itself.",
        show_default=False,
    ),
]


@command(
    app,
    "rebuild",
    REMAKE,
    "nova rebuild MyFirstInstance cirros-0.3.4-x86_64-uec-kernel",
    "nova rebuild --poll --name web2 --key-name laptop web1 cirros",
)
def rebuild(
    ctx: typer.Context,
    server: ServerArgument,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="Name or ID of the new image.",
            autocompletion=complete.images,
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="A new name.", show_default=False)
    ] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta", metavar="KEY=VALUE", help="In place of all metadata; may be repeated."
        ),
    ] = None,
    key_name: Annotated[
        str | None,
        typer.Option(
            "--key-name",
            help="Another key pair.",
            autocompletion=complete.keypairs,
            show_default=False,
        ),
    ] = None,
    key_unset: Annotated[
        bool, typer.Option("--key-unset", help="No key pair from now on.")
    ] = False,
    user_data: Annotated[
        Path | None,
        typer.Option(
            "--user-data",
            metavar="FILE",
            help="What cloud-init, or its like, finds in the guest.",
            show_default=False,
        ),
    ] = None,
    user_data_unset: Annotated[
        bool, typer.Option("--user-data-unset", help="No user data from now on.")
    ] = False,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", metavar="DST=SRC", help="Put the file SRC into the guest; may be repeated."
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--rebuild-password",
            metavar="PASSWORD",
            help="Of the guest's administrator. Made up where it is not given.",
            show_default=False,
        ),
    ] = None,
    grace: GraceOption = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Make a server anew from an image: ID, addresses and host stay, its disks do not."""
    for option, value, unset in (
        ("--key-name", key_name, key_unset),
        ("--user-data", user_data, user_data_unset),
    ):
        if value is not None and unset:
            raise typer.BadParameter(f"{option} and {option}-unset exclude one another.")
    data = read_user_data(user_data) if user_data or user_data_unset else None
    metadata, files = pairs(meta or [], "--meta"), read_files(file or [])
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from gateway.cli.views import instances, operations
    from protos.novaray.v1.instances_pb2 import RebuildInstanceRequest

    found = lookup.find_instance(client, server)
    source = lookup.find_image(client, image)
    operation = client.rebuild_instance(
        RebuildInstanceRequest(
            name=found.name,
            request_id=new_request_id(),
            image=source.name,
            display_name=name or "",
            metadata=metadata,
            key_name="" if key_unset else key_name,
            user_data=data,
            files=files,
            admin_password=password or "",
            grace_seconds=grace,
        )
    )
    secret = operations.metadata(operation).admin_password
    now = client.get_instance(found.name)
    # What was asked: it becomes the server's once the old guest is shut down.
    now.image, now.image_display_name = source.name, source.display_name
    session.out.sentence(render_properties(instances.rebuilt(now, admin_password=secret)))
    _end(session, now, operation, secret, poll=poll)


@command(
    app,
    "rescue",
    REMAKE,
    "nova rescue MyFirstInstance",
    "nova rescue --poll --image debian-12 --password s3same web1",
)
def rescue(
    ctx: typer.Context,
    server: ServerArgument,
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            help="Name or ID of the image to boot; its own where it is not given.",
            autocompletion=complete.images,
            show_default=False,
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            help="Of the rescue guest's administrator. Made up where it is not given.",
            show_default=False,
        ),
    ] = None,
    grace: GraceOption = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Boot a rescue image in a server's place, with the server's own disk as the second."""
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from gateway.cli.views import operations
    from protos.novaray.v1.instances_pb2 import RescueInstanceRequest

    found = lookup.find_instance(client, server)
    operation = client.rescue_instance(
        RescueInstanceRequest(
            name=found.name,
            request_id=new_request_id(),
            image=lookup.find_image(client, image).name if image else "",
            admin_password=password or "",
            grace_seconds=grace,
        )
    )
    secret = operations.metadata(operation).admin_password
    session.out.sentence(render_properties([("adminPass", secret)]))
    _end(session, found, operation, secret, poll=poll)


@command(app, "unrescue", REMAKE, "nova unrescue MyFirstInstance", "nova unrescue --poll web1")
def unrescue(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """End a rescue: servers boot from their own disks again."""
    session = open_session(ctx, form)
    act(session, "unrescue", servers, session.client.unrescue_instance, poll=poll)


def _end(
    session: Session, instance: "Instance", operation: "Operation", secret: str, *, poll: bool
) -> None:
    if poll:
        instance, operation = finish(session, operation, instance)
    if session.out.is_json:
        said = accepted_json(instance, operation) | {"admin_password": secret}
        session.out.result(str, lambda: said)
