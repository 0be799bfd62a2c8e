"""rename, update, meta: how a server is described."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.commands.parameters import pairs
from gateway.cli.failures import Failure
from gateway.cli.options import DESCRIBE, FormatOption, ServerArgument, command
from gateway.cli.session import Session, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protos.novaray.v1.instances_pb2 import Instance

#: How often a change is made anew because somebody else was quicker.
_TRIES: Final = 5

app = typer.Typer()


class MetaAction(StrEnum):
    """What becomes of metadata."""

    SET = "set"
    DELETE = "delete"


@command(app, "rename", DESCRIBE, "nova rename MyFirstInstance web1")
def rename(
    ctx: typer.Context,
    server: ServerArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="New name.", show_default=False)],
    form: FormatOption = None,
) -> None:
    """Rename a server. The guest keeps its hostname."""
    session = open_session(ctx, form)
    after = edited(session, server, lambda _: {"display_name": name})
    _tell(session, after, f"Server {server} is called {name} now.")


@command(
    app,
    "update",
    DESCRIBE,
    "nova update --description 'behind the load balancer' web1",
    "nova update --name web2 --hostname web2 web1",
)
def update(
    ctx: typer.Context,
    server: ServerArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="New name.", show_default=False)
    ] = None,
    description: Annotated[
        str | None,
        typer.Option("--description", help="New description; '' for none.", show_default=False),
    ] = None,
    hostname: Annotated[
        str | None,
        typer.Option("--hostname", help="What the guest is to call itself.", show_default=False),
    ] = None,
    form: FormatOption = None,
) -> None:
    """Change name, description or hostname of a server."""
    asked = {"display_name": name, "description": description, "hostname": hostname}
    wanted = {field: value for field, value in asked.items() if value is not None}
    if not wanted:
        raise typer.BadParameter("there is nothing to change.", param_hint="'--name'")
    session = open_session(ctx, form)
    after = edited(session, server, lambda _: wanted)
    _tell(session, after, f"Server {server} has been updated.")


@command(
    app,
    "meta",
    DESCRIBE,
    "nova meta MyFirstInstance set stage=test owner=alice",
    "nova meta MyFirstInstance delete stage",
)
def meta(
    ctx: typer.Context,
    server: ServerArgument,
    action: Annotated[MetaAction, typer.Argument(help="What to do.", show_default=False)],
    metadata: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", help="What to set; keys to delete.", show_default=False
        ),
    ],
    form: FormatOption = None,
) -> None:
    """Set or delete metadata of a server."""
    values = pairs(metadata, "KEY=VALUE") if action is MetaAction.SET else {}
    # As python-novaclient: KEY=VALUE names a key to delete, too.
    gone = [item.partition("=")[0] for item in metadata] if not values else []
    session = open_session(ctx, form)

    def change(found: "Instance") -> dict[str, object]:
        held = dict(found.metadata)
        for key in gone:
            if key not in held:
                raise Failure(
                    f"Server {server} has no metadata '{key}'.",
                    "METADATA_NOT_FOUND",
                    hint=f'See "nova show {server}".',
                )
        kept = {key: value for key, value in held.items() if key not in gone}
        return {"metadata": {**kept, **values}}

    after = edited(session, server, change)
    _tell(session, after, f"Metadata of server {server} has been {'set' if values else 'deleted'}.")


def edited(
    session: Session, server: str, change: "Callable[[Instance], Mapping[str, object]]"
) -> "Instance":
    """Read a server, and write the fields that ``change`` makes of it.

    What somebody else changes meanwhile is neither lost nor overwritten: it is read again.
    """
    from gateway.cli import lookup
    from protos.novaray.v1.instances_pb2 import Instance

    found = lookup.find_instance(session.client, server)
    for tries in range(1, _TRIES + 1):
        fields = change(found)
        wanted = Instance(name=found.name, etag=found.etag, **fields)  # type: ignore[arg-type]
        try:
            return session.client.update_instance(wanted, *fields)
        except Failure as failure:
            if failure.reason != "ETAG_MISMATCH" or tries == _TRIES:
                raise
        found = session.client.get_instance(found.name)
    raise AssertionError(_TRIES)


def _tell(session: Session, instance: "Instance", sentence: str) -> None:
    from gateway.cli.views import instances

    session.out.sentence(sentence)
    if session.out.is_json:
        session.out.result(str, lambda: instances.as_json(instance))
