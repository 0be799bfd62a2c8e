"""delete, start, stop, reboot, pause, …: the same of each server named."""

from typing import Annotated

import typer

from gateway.cli.commands.each import act
from gateway.cli.options import POWER, SERVERS, FormatOption, PollOption, ServersArgument, command
from gateway.cli.session import open_session

app = typer.Typer()

GraceOption = Annotated[
    float | None,
    typer.Option(
        "--grace",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="How long a guest may take to shut down by itself; else its flavor or image says, "
        "or 60.",
        show_default=False,
    ),
]


@command(app, "delete", SERVERS, "nova delete MyFirstInstance", "nova delete --poll web1 web2 web3")
def delete(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Delete servers, whatever is being done to them. The cluster may keep them for a while."""
    session = open_session(ctx, form)
    act(session, "delete", servers, session.client.delete_instance, poll=poll)


@command(app, "start", POWER, "nova start MyFirstInstance", "nova start --poll web1 web2")
def start(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Start servers that are shut off."""
    session = open_session(ctx, form)
    act(session, "start", servers, session.client.start_instance, poll=poll)


@command(app, "stop", POWER, "nova stop MyFirstInstance", "nova stop --grace 5 --poll web1")
def stop(
    ctx: typer.Context,
    servers: ServersArgument,
    grace: GraceOption = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Shut servers down: by the power button first, by force after the grace time."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "stop",
        servers,
        lambda name, request_id: client.stop_instance(name, request_id, grace),
        poll=poll,
    )


@command(app, "reboot", POWER, "nova reboot MyFirstInstance", "nova reboot --hard --poll web1")
def reboot(
    ctx: typer.Context,
    servers: ServersArgument,
    hard: Annotated[
        bool, typer.Option("--hard", help="The plug, not the button: also where a guest hangs.")
    ] = False,
    grace: GraceOption = None,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Reboot servers."""
    session = open_session(ctx, form)
    client = session.client
    act(
        session,
        "reboot",
        servers,
        lambda name, request_id: client.reboot_instance(
            name, request_id, hard=hard, grace_seconds=grace
        ),
        poll=poll,
    )


@command(app, "pause", POWER, "nova pause MyFirstInstance")
def pause(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Stop the clock of servers; they stay in their hosts' memory."""
    session = open_session(ctx, form)
    act(session, "pause", servers, session.client.pause_instance, poll=poll)


@command(app, "unpause", POWER, "nova unpause MyFirstInstance")
def unpause(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Let paused servers run on."""
    session = open_session(ctx, form)
    act(session, "unpause", servers, session.client.unpause_instance, poll=poll)


@command(app, "suspend", POWER, "nova suspend MyFirstInstance")
def suspend(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Write the memory of servers to disk, and free it on their hosts."""
    session = open_session(ctx, form)
    act(session, "suspend", servers, session.client.suspend_instance, poll=poll)


@command(app, "resume", POWER, "nova resume MyFirstInstance")
def resume(
    ctx: typer.Context,
    servers: ServersArgument,
    poll: PollOption = False,
    form: FormatOption = None,
) -> None:
    """Bring suspended servers back, where they were."""
    session = open_session(ctx, form)
    act(session, "resume", servers, session.client.resume_instance, poll=poll)
