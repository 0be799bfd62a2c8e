"""lock, unlock, reset-state, restore, force-delete: servers kept from harm, and brought back."""

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands.each import act, each_of
from gateway.cli.options import (
    DESCRIBE,
    SERVERS,
    FormatOption,
    PollOption,
    ServersArgument,
    command,
)
from gateway.cli.session import Session, open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from protos.novaray.v1.instances_pb2 import Instance

app = typer.Typer()


@command(app, "lock", DESCRIBE, "nova lock --reason 'in use till May' MyFirstInstance")
def lock(
    ctx: typer.Context,
    servers: ServersArgument,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; whoever is refused is told.", show_default=False)
    ] = "",
    form: FormatOption = None,
) -> None:
    """Keep everybody but admins from changing servers."""
    session = open_session(ctx, form)
    client = session.client
    _edit(
        session,
        servers,
        lambda found: client.lock_instance(found.name, reason),
        lambda server: f"Server {server} is locked.",
    )


@command(app, "unlock", DESCRIBE, "nova unlock MyFirstInstance")
def unlock(ctx: typer.Context, servers: ServersArgument, form: FormatOption = None) -> None:
    """Let servers be changed again. An admin's lock only an admin takes away."""
    session = open_session(ctx, form)
    client = session.client
    _edit(
        session,
        servers,
        lambda found: client.unlock_instance(found.name),
        lambda server: f"Server {server} is unlocked.",
    )


@command(
    app,
    "reset-state",
    DESCRIBE,
    "nova reset-state MyFirstInstance",
    "nova reset-state --active web1",
)
def reset_state(
    ctx: typer.Context,
    servers: ServersArgument,
    active: Annotated[bool, typer.Option("--active", help="To ACTIVE; else to ERROR.")] = False,
    form: FormatOption = None,
) -> None:
    """Say what servers are, and end what is being done to them. For admins."""
    session = open_session(ctx, form)
    client = session.client

    def reset(found: "Instance") -> "Instance":
        state = found.STATE_ACTIVE if active else found.STATE_ERROR
        return client.reset_instance_state(found.name, state)

    state = "active" if active else "error"
    _edit(
        session,
        servers,
        reset,
        # In python-novaclient's words.
        lambda server: f"Reset state for server {server} succeeded; new state is {state}",
    )


@command(app, "restore", SERVERS, "nova restore MyFirstInstance", "nova restore --poll web1 web2")
def restore(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Bring back servers that were deleted and are not yet reclaimed."""
    from gateway.cli import lookup

    session = open_session(ctx, form)
    call = session.client.restore_instance
    act(session, "restore", servers, call, poll=poll, find=lookup.find_deleted)


@command(app, "force-delete", SERVERS, "nova force-delete MyFirstInstance")
def force_delete(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Delete servers for good, also those that a delete has kept for a while."""
    from gateway.cli import lookup

    session = open_session(ctx, form)
    call = session.client.force_delete_instance
    act(session, "delete", servers, call, poll=poll, find=lookup.find_deleted_or_not)


def _edit(
    session: Session,
    servers: list[str],
    edit: "Callable[[Instance], Instance]",
    told: "Callable[[str], str]",
) -> None:
    """Do the same to each server; one that is refused does not keep the others from it."""
    from gateway.cli import lookup
    from gateway.cli.views import instances

    def one(server: str) -> "Instance":
        after = edit(lookup.find_instance(session.client, server))
        session.out.sentence(told(server))
        return after

    done, failures = each_of(session, dict.fromkeys(servers), one)
    if session.out.is_json:
        session.out.result(str, lambda: [instances.as_json(after) for after in done])
    if failures:
        raise typer.Exit(int(failures[0].exit_code))
