"""What every command has at hand: the global options, the output, and a client made when needed."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gateway.cli.output import Format, Output
from gateway.cli.settings import DEFAULT_TIMEOUT, Connection, Overrides, load_connection

if TYPE_CHECKING:
    import typer

    from gateway.cli.client import Client


@dataclass(slots=True)
class GlobalOptions:
    """What stands before the command on the command line."""

    format: Format = Format.TABLE
    timeout: float = DEFAULT_TIMEOUT
    overrides: Overrides = field(default_factory=Overrides)


class Session:
    """One run of one command."""

    def __init__(self, options: GlobalOptions, form: Format | None = None) -> None:
        self._options = options
        self.out = Output(form or options.format)

    @cached_property
    def connection(self) -> Connection:
        """Where to, and as whom."""
        return load_connection(self._options.overrides, os.environ)

    @cached_property
    def client(self) -> Client:
        """The client. Here and not above, so that help and completion need no gRPC."""
        from gateway.cli.client import Client

        return Client(self.connection, self._options.timeout)

    @cached_property
    def visitor(self) -> Client:
        """A client of somebody who has no account, but a token for one thing."""
        from gateway.cli.client import Client

        connection = load_connection(self._options.overrides, os.environ, account=False)
        return Client(connection, self._options.timeout)


def open_session(ctx: typer.Context, form: Format | None) -> Session:
    """The session of a command: its own ``--format`` beats the global one."""
    options = ctx.find_root().obj
    assert isinstance(options, GlobalOptions)
    if form is not None:
        # Whoever reports a failure later looks here.
        options.format = form
    session = Session(options)
    ctx.call_on_close(lambda: _hang_up(session))
    return session


def new_request_id() -> str:
    """A request id, made once a command so that gRPC may repeat its call."""
    return str(uuid.uuid4())


def _hang_up(session: Session) -> None:
    for made in ("client", "visitor"):
        if client := session.__dict__.get(made):
            client.close()
