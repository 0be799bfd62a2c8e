"""image-create, backup, shelve, shelve-offload, unshelve: servers kept as images."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands.accepted import accepted_json, finish
from gateway.cli.commands.each import act
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

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from protos.novaray.v1.instances_pb2 import Instance

app = typer.Typer()

ImageNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the new image.", show_default=False)
]


@command(
    app,
    "image-create",
    REMAKE,
    "nova image-create MyFirstInstance monday",
    "nova image-create --poll --metadata stage=test web1 web1-tested",
)
def image_create(
    ctx: typer.Context,
    server: ServerArgument,
    name: ImageNameArgument,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata", metavar="KEY=VALUE", help="Property of the image; may be repeated."
        ),
    ] = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Make an image of a server, which runs on."""
    session = open_session(ctx, form)
    properties = pairs(metadata or [], "--metadata")

    from gateway.cli import lookup

    found = lookup.find_instance(session.client, server)
    operation = session.client.create_instance_image(found.name, new_request_id(), name, properties)
    session.out.sentence(f"Request to make image {name} of server {server} has been accepted.")
    _end(session, found, operation, poll=poll)


@command(
    app,
    "backup",
    REMAKE,
    "nova backup MyFirstInstance monday daily 7",
    "nova backup --poll web1 web1-may weekly 4",
)
def backup(
    ctx: typer.Context,
    server: ServerArgument,
    name: ImageNameArgument,
    kind: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="daily, weekly, or another word.", show_default=False),
    ],
    rotation: Annotated[
        int,
        typer.Argument(
            metavar="ROTATION",
            min=1,
            max=1000,
            help="How many backups of this type are kept, this one included.",
            show_default=False,
        ),
    ],
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Make an image of a server, and delete its oldest backups of the same type."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    found = lookup.find_instance(session.client, server)
    operation = session.client.backup_instance(found.name, new_request_id(), name, kind, rotation)
    session.out.sentence(f"Request to back up server {server} as {name} has been accepted.")
    _end(session, found, operation, poll=poll)


@command(app, "shelve", REMAKE, "nova shelve MyFirstInstance", "nova shelve --poll web1 web2")
def shelve(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Shut servers down and keep them as images; their hosts give their room back."""
    session = open_session(ctx, form)
    act(session, "shelve", servers, session.client.shelve_instance, poll=poll)


@command(app, "shelve-offload", REMAKE, "nova shelve-offload MyFirstInstance")
def shelve_offload(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Take shelved servers from their hosts now."""
    session = open_session(ctx, form)
    act(session, "offload", servers, session.client.offload_instance, poll=poll)


@command(
    app,
    "unshelve",
    REMAKE,
    "nova unshelve MyFirstInstance",
    "nova unshelve --host compute2 --poll web1",
)
def unshelve(
    ctx: typer.Context,
    servers: ServersArgument,
    host: Annotated[
        str,
        typer.Option("--host", metavar="HOST", help="Only there. For admins.", show_default=False),
    ] = "",
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Bring shelved servers back."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "unshelve",
        servers,
        lambda name, request_id: client.unshelve_instance(name, request_id, host),
        poll=poll,
    )


def _end(session: Session, instance: "Instance", operation: "Operation", *, poll: bool) -> None:
    if poll:
        instance, operation = finish(session, operation, instance)
    if session.out.is_json:
        session.out.result(str, lambda: accepted_json(instance, operation))
