"""boot, list, show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.accepted import accepted_json, finish
from gateway.cli.commands.guest_options import Truth, read_files, read_user_data
from gateway.cli.commands.nics import read_nics, requested
from gateway.cli.commands.parameters import pairs
from gateway.cli.failures import Failure
from gateway.cli.options import (
    SERVERS,
    AllProjectsOption,
    FormatOption,
    PollOption,
    RequestIdOption,
    ServerArgument,
    command,
)
from gateway.cli.resolve import as_uuid
from gateway.cli.session import Session, new_request_id, open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import Operation

    from protos.novaray.v1.instances_pb2 import Instance

app = typer.Typer()


@command(
    app,
    "boot",
    SERVERS,
    "nova boot --image cirros-0.3.4-x86_64-uec --flavor m1.tiny MyFirstInstance",
    "nova boot --image cirros --flavor m1.tiny --meta role=web --poll web1",
    "nova boot --user-data ./test.file --image cirros --flavor m1.tiny injectTest",
    "nova boot --image cirros --flavor m1.tiny --key-name laptop --poll web2",
    "nova boot --boot-volume root --flavor m1.tiny web3",
    "nova boot --image cirros --flavor m1.tiny --nic net-name=a --nic net-name=b vm",
)
def boot(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it. Need not be unique.")
    ],
    flavor: Annotated[
        str,
        typer.Option("--flavor", help="Name or ID of a flavor.", autocompletion=complete.flavors),
    ],
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            help="Name or ID of an image.",
            autocompletion=complete.images,
            show_default=False,
        ),
    ] = None,
    boot_volume: Annotated[
        str | None,
        typer.Option(
            "--boot-volume",
            metavar="VOLUME",
            help="Boot from this volume, and not from an image.",
            autocompletion=complete.volumes,
            show_default=False,
        ),
    ] = None,
    delete_boot_volume: Annotated[
        bool, typer.Option("--delete-boot-volume", help="Delete that volume with the server.")
    ] = False,
    nic: Annotated[
        list[str] | None,
        typer.Option(
            "--nic",
            metavar="NIC",
            help="A card: net-name=LABEL or net-id=ID, then ,v4-fixed-ip=ADDRESS where it must "
            "have that one. May be repeated.",
            show_default=False,
        ),
    ] = None,
    key_name: Annotated[
        str | None,
        typer.Option(
            "--key-name",
            help="Key pair that opens it.",
            autocompletion=complete.keypairs,
            show_default=False,
        ),
    ] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; may be repeated."),
    ] = None,
    user_data: Annotated[
        Path | None,
        typer.Option(
            "--user-data",
            metavar="FILE",
            help="What cloud-init, or its like, finds in the guest.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", metavar="DST=SRC", help="Put the file SRC into the guest; may be repeated."
        ),
    ] = None,
    config_drive: Annotated[
        Truth | None,
        typer.Option(
            "--config-drive",
            case_sensitive=False,
            help="Tell the guest all this on a drive, too.",
            show_default=False,
        ),
    ] = None,
    admin_pass: Annotated[
        str | None,
        typer.Option(
            "--admin-pass",
            metavar="PASSWORD",
            help="Of the guest's administrator. Made up where it is not given.",
            show_default=False,
        ),
    ] = None,
    hostname: Annotated[
        str | None,
        typer.Option(
            "--hostname",
            help="What the guest calls itself. Made of NAME where it is not given.",
            show_default=False,
        ),
    ] = None,
    availability_zone: Annotated[
        str | None, typer.Option("--availability-zone", help="Only there.", show_default=False)
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Only on this host. For admins.", show_default=False),
    ] = None,
    poll: PollOption = False,
    request_id: RequestIdOption = None,
    form: FormatOption = None,
) -> None:
    """Boot a new server."""
    if (image is None) == (boot_volume is None):
        raise typer.BadParameter("Give either --image or --boot-volume.")
    metadata = pairs(meta or [], "--meta")
    nics = read_nics(nic or [])
    data, files = read_user_data(user_data), read_files(file or [])
    request_id = _checked_request_id(request_id)
    session = open_session(ctx, form)
    client = session.client

    from gateway.cli import lookup
    from gateway.cli.views import instances, operations
    from protos.novaray.v1.instances_pb2 import CreateInstanceRequest, Instance

    request = CreateInstanceRequest(
        flavor=lookup.find_flavor(client, flavor).name,
        image=lookup.find_image(client, image).name if image else "",
        boot_volume=lookup.find_volume(client, boot_volume).name if boot_volume else "",
        delete_boot_volume=delete_boot_volume,
        instance=Instance(
            display_name=name,
            key_name=key_name or "",
            metadata=metadata,
            hostname=hostname or "",
            config_drive=config_drive is Truth.TRUE,
        ),
        user_data=data,
        files=files,
        admin_password=admin_pass or "",
        request_id=request_id,
        availability_zone=availability_zone or "",
        host=host or "",
        networks=requested(client, nics),
    )
    try:
        operation = client.create_instance(request)
    except Failure as failure:
        if not failure.unsettled:
            raise
        again = f"Repeat it with --request-id {request_id}: that makes one server in all."
        raise failure.with_hint(f"{failure.hint} {again}".strip()) from failure
    progress = operations.metadata(operation)
    created = client.get_instance(progress.instance)
    rows = instances.properties(
        created,
        progress=_while_building(created, operation),
        admin_password=progress.admin_password,
    )
    session.out.sentence(render_properties(rows))
    if poll:
        created, operation = finish(session, operation, created)
    if session.out.is_json:
        said = accepted_json(created, operation) | {"admin_password": progress.admin_password}
        session.out.result(str, lambda: said)


@command(
    app,
    "list",
    SERVERS,
    "nova list",
    "nova list --status ACTIVE --limit 20",
    "nova list --format json | jq -r '.[].id'",
)
def list_(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Option("--name", help="Only servers of this name.", show_default=False)
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            help="Only in this status: ACTIVE, SHUTOFF, ERROR, SOFT_DELETED, …",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Only on this host. For admins.", show_default=False),
    ] = None,
    tags: Annotated[
        str | None,
        typer.Option("--tags", help="Only with all of these: web,blue.", show_default=False),
    ] = None,
    locked: Annotated[
        bool | None,
        typer.Option("--locked/--not-locked", help="Only those.", show_default=False),
    ] = None,
    all_projects: AllProjectsOption = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="At most so many, the newest.", show_default=False),
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="Also host, flavor and image.")] = False,
    form: FormatOption = None,
) -> None:
    """List servers: in the table by name, as JSON newest first."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import instances

    wanted = {
        "display_name": name,
        "state": status and status.upper(),
        "host": host,
        "tags": tags,
        "locked": None if locked is None else str(locked).lower(),
    }
    conditions = [lookup.condition(key, value) for key, value in wanted.items() if value]
    found = list(
        session.client.list_instances(
            " AND ".join(conditions), all_projects=all_projects, limit=limit
        )
    )
    session.out.result(
        lambda: render(
            instances.table_columns(projects=all_projects, long=long),
            [
                instances.table_row(i, projects=all_projects, long=long)
                for i in instances.sorted_for_table(found)
            ],
        ),
        lambda: [instances.as_json(i) for i in found],
    )


@command(app, "show", SERVERS, "nova show MyFirstInstance")
def show(
    ctx: typer.Context,
    server: ServerArgument,
    long: Annotated[
        bool, typer.Option("--long", help="Also the host, the operation and the etag.")
    ] = False,
    form: FormatOption = None,
) -> None:
    """Show what is known about a server."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import instances

    found = lookup.find_instance(session.client, server)

    def table() -> str:
        progress = _progress_now(session, found)
        return render_properties(instances.properties(found, progress=progress, long=long))

    session.out.result(table, lambda: instances.as_json(found))


def _progress_now(session: Session, instance: "Instance") -> int:
    """How far a server under construction is. Others are not worth a call."""
    if instance.state != instance.STATE_BUILD or not instance.operation:
        return 0
    operation = session.client.get_operation(instance.operation.rpartition("/")[2])
    return _while_building(instance, operation)


def _while_building(instance: "Instance", operation: "Operation") -> int:
    from gateway.cli.views import operations

    if instance.state != instance.STATE_BUILD:
        return 0
    return operations.metadata(operation).progress_percent


def _checked_request_id(given: str | None) -> str:
    if given is None:
        return new_request_id()
    if (request_id := as_uuid(given)) is None:
        raise typer.BadParameter(f"'{given}' is not a UUID.", param_hint="'--request-id'")
    return request_id
