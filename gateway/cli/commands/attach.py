"""console, vnc, and tokens for both."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import complete
from gateway.cli.failures import Failure, Json
from gateway.cli.options import INSIDE, FormatOption, ServerArgument, command
from gateway.cli.output import write_bytes
from gateway.cli.session import Session, open_session
from gateway.cli.table import render_properties

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from protos.novaray.v1.consoles_pb2 import AttachConsoleRequest, ConsoleKind, ConsoleToken

app = typer.Typer()

OptionalServer = Annotated[
    str | None,
    typer.Argument(
        metavar="SERVER",
        help="Name or ID of a server.",
        autocompletion=complete.servers,
        show_default=False,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="A console token, instead of a server and an account.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Take over from whoever is attached.")]


@command(
    app,
    "console",
    INSIDE,
    "nova console MyFirstInstance",
    "nova --endpoint cloud:8774 --ca ca.pem console --token TOKEN",
)
def console(
    ctx: typer.Context,
    server: OptionalServer = None,
    token: TokenOption = None,
    force: ForceOption = False,
) -> None:
    """Attach this terminal to a server's serial console; Ctrl-] leaves it."""
    session = open_session(ctx, None)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure(
            "A console needs a terminal.",
            "NO_TERMINAL",
            hint='Without one, "nova console-log --follow" shows what a server writes.',
        )

    from gateway.cli.raw_terminal import Keys, raw_terminal
    from protos.novaray.v1.consoles_pb2 import CONSOLE_KIND_SERIAL

    client, target = _target(session, server, token, CONSOLE_KIND_SERIAL, force=force)
    keys = Keys()
    written = client.attach_console(target, keys)
    next(written)
    try:
        with raw_terminal():
            # \r: a raw terminal does not go back to the beginning of its line by itself.
            session.out.notice(f"Attached to {server or 'the console'}. Leave with Ctrl-].\r")
            keys.begin()
            for data in written:
                write_bytes(data)
                sys.stdout.flush()
    finally:
        written.close()
        # The guest's last line may not have ended.
        session.out.notice("\nDetached.")


@command(
    app,
    "vnc",
    INSIDE,
    "nova vnc MyFirstInstance",
    "nova vnc --port 5901 MyFirstInstance",
    "nova --endpoint cloud:8774 --ca ca.pem vnc --token TOKEN",
)
def vnc(
    ctx: typer.Context,
    server: OptionalServer = None,
    token: TokenOption = None,
    force: ForceOption = False,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port of 127.0.0.1; 0 takes a free one."),
    ] = 0,
    form: FormatOption = None,
) -> None:
    """Make a port of this machine that leads to a server's screen; Ctrl-C ends it."""
    session = open_session(ctx, form)

    from gateway.cli import local_port
    from protos.novaray.v1.consoles_pb2 import CONSOLE_KIND_VNC

    client, target = _target(session, server, token, CONSOLE_KIND_VNC, force=force)
    with local_port.listen(port) as listener:
        host, bound = listener.getsockname()
        session.out.record(
            lambda: f"Point a VNC viewer at {host}:{bound}. Ctrl-C ends this.",
            lambda: {"host": host, "port": bound},
        )
        local_port.serve(
            listener, lambda sent: client.attach_console(target, sent), session.out.failure
        )


@command(app, "get-serial-console", INSIDE, "nova get-serial-console MyFirstInstance")
def get_serial_console(
    ctx: typer.Context, server: ServerArgument, form: FormatOption = None
) -> None:
    """Make a token with which anybody can attach to a server's serial console."""
    from protos.novaray.v1.consoles_pb2 import CONSOLE_KIND_SERIAL

    _make_token(open_session(ctx, form), server, CONSOLE_KIND_SERIAL, "console")


@command(app, "get-vnc-console", INSIDE, "nova get-vnc-console MyFirstInstance novnc")
def get_vnc_console(
    ctx: typer.Context,
    server: ServerArgument,
    console_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Nova's word; novnc and xvpvnc are the same.")
    ] = "novnc",
    form: FormatOption = None,
) -> None:
    """Make a token with which anybody can look at a server's screen."""
    if console_type not in ("novnc", "xvpvnc"):
        raise typer.BadParameter(f"'{console_type}' is neither novnc nor xvpvnc.")

    from protos.novaray.v1.consoles_pb2 import CONSOLE_KIND_VNC

    _make_token(open_session(ctx, form), server, CONSOLE_KIND_VNC, "vnc")


def _target(
    session: Session,
    server: str | None,
    token: str | None,
    kind: "ConsoleKind.ValueType",
    *,
    force: bool,
) -> "tuple[Client, AttachConsoleRequest]":
    """Who attaches, and to what."""
    from gateway.cli import lookup
    from protos.novaray.v1.consoles_pb2 import AttachConsoleRequest

    if (server is None) == (token is None):
        raise typer.BadParameter("Give either a server or --token.")
    if token is not None:
        return session.visitor, AttachConsoleRequest(token=token, kind=kind, force=force)
    assert server is not None
    name = lookup.find_instance(session.client, server).name
    return session.client, AttachConsoleRequest(name=name, kind=kind, force=force)


def _make_token(session: Session, server: str, kind: "ConsoleKind.ValueType", verb: str) -> None:
    from gateway.cli import lookup
    from gateway.cli.views.words import iso_seconds

    name = lookup.find_instance(session.client, server).name
    made = session.client.create_console_token(name, kind)
    command = f"nova {verb} --token {made.token}"
    session.out.result(
        lambda: render_properties(
            [("type", verb), ("expires", iso_seconds(made.expire_time)), ("command", command)]
        ),
        lambda: _token_json(made, verb, command),
    )


def _token_json(made: "ConsoleToken", verb: str, command: str) -> dict[str, Json]:
    from gateway.cli.views.words import json_time, last_part

    return {
        "type": verb,
        "instance": last_part(made.instance),
        "token": made.token,
        "expires": json_time(made.expire_time),
        "command": command,
    }
