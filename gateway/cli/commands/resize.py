"""resize, resize-confirm, resize-revert, and set-size, which needs no restart."""

from typing import Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.each import act
from gateway.cli.options import (
    REMAKE,
    FormatOption,
    PollOption,
    ServerArgument,
    ServersArgument,
    command,
)
from gateway.cli.session import Session, open_session

app = typer.Typer()

_CONFIRM = "confirm"
_REVERT = "revert"


@command(
    app,
    "resize",
    REMAKE,
    "nova resize MyFirstInstance m1.small",
    "nova resize confirm MyFirstInstance",
    "nova resize revert MyFirstInstance",
    "nova resize --poll web1 m1.large",
)
def resize(
    ctx: typer.Context,
    server: Annotated[
        str,
        typer.Argument(
            metavar="SERVER",
            help="Name or ID of a server; or the word confirm or revert, with the server after "
            "it. A server that is called so is named by its ID.",
            autocompletion=complete.servers,
            show_default=False,
        ),
    ],
    flavor: Annotated[
        str,
        typer.Argument(
            metavar="FLAVOR",
            help="Name or ID of the new flavor; its disk must not be smaller.",
            autocompletion=complete.flavors,
            show_default=False,
        ),
    ],
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Give a server another flavor. Confirm it then, or revert to what there was."""
    session = open_session(ctx, form)
    if server == _CONFIRM:
        _confirm(session, [flavor], poll=poll)
        return
    if server == _REVERT:
        _revert(session, [flavor], poll=poll)
        return
    client = session.client

    from gateway.cli import lookup

    wanted = lookup.find_flavor(client, flavor).name
    act(
        session,
        "resize",
        [server],
        lambda name, request_id: client.resize_instance(name, request_id, wanted),
        poll=poll,
    )


@command(
    app,
    "set-size",
    REMAKE,
    "nova set-size MyFirstInstance --memory 1024",
    "nova set-size --poll web1 --memory 2048 --vcpus 4",
)
def set_size(
    ctx: typer.Context,
    server: ServerArgument,
    memory: Annotated[
        int | None,
        typer.Option(
            "--memory",
            metavar="MIB",
            min=1,
            help="Memory, in steps of 128 MiB above its flavor's.",
            show_default=False,
        ),
    ] = None,
    vcpus: Annotated[
        int | None,
        typer.Option(
            "--vcpus",
            metavar="N",
            min=1,
            help="vCPUs. They can be changed where the host has KVM.",
            show_default=False,
        ),
    ] = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Give a server that runs more memory, or take it back, within what its flavor allows."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "change the size of",
        [server],
        lambda name, request_id: client.change_size(name, request_id, memory, vcpus),
        poll=poll,
    )


@command(app, "resize-confirm", REMAKE, "nova resize-confirm MyFirstInstance")
def resize_confirm(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Keep the new size of servers; the old disks are removed."""
    _confirm(open_session(ctx, form), servers, poll=poll)


@command(app, "resize-revert", REMAKE, "nova resize-revert MyFirstInstance")
def resize_revert(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Bring back size and disks of servers; what was written since the resize is lost."""
    _revert(open_session(ctx, form), servers, poll=poll)


def _confirm(session: Session, servers: list[str], *, poll: bool) -> None:
    act(session, "confirm the resize of", servers, session.client.confirm_resize, poll=poll)


def _revert(session: Session, servers: list[str], *, poll: bool) -> None:
    act(session, "revert the resize of", servers, session.client.revert_resize, poll=poll)
