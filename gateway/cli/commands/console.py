"""console-log."""

import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import Failure
from gateway.cli.options import INSIDE, FormatOption, ServerArgument, command
from gateway.cli.output import flush, write_bytes
from gateway.cli.session import Session, open_session
from gateway.cli.terminal import ConsoleText, plain

if TYPE_CHECKING:
    from gateway.cli.client import Client

app = typer.Typer()

#: As much as the server gives at most.
_PIECE: Final = 1 << 20
#: The first step of reading backwards.
_TAIL: Final = 1 << 14
_FOLLOW_SECONDS: Final = 0.5


@command(
    app,
    "console-log",
    INSIDE,
    "nova console-log MyFirstInstance",
    "nova console-log --length 20 --follow MyFirstInstance",
)
def console_log(
    ctx: typer.Context,
    server: ServerArgument,
    length: Annotated[
        int | None,
        typer.Option(
            "--length", metavar="LINES", min=0, help="Only the last lines.", show_default=False
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as the guest writes; Ctrl-C ends it.")
    ] = False,
    form: FormatOption = None,
) -> None:
    """Show what a server wrote to its console."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    client = session.client
    name = lookup.find_instance(client, server).name
    data, offset = tail(client, name, length)
    writer = _Writer(session)
    if not follow:
        writer.whole(data, offset)
        return
    writer.piece(data, offset)
    for piece, after in _following(client, name, offset):
        writer.piece(piece, after)


def tail(client: "Client", name: str, lines: int | None) -> tuple[bytes, int]:
    """The whole log, or its last lines, and where what follows begins.

    Read from the end in growing steps: a log may be long, and the last lines are mostly wanted.
    """
    if lines is None:
        return _whole(client, name)
    answer = client.console(name, -_TAIL, _TAIL)
    data, end = answer.data, answer.next_offset
    begin, step = end - len(data), _TAIL
    # One more line than asked for: the first one read may have begun earlier.
    while begin > 0 and data.count(b"\n") <= lines:
        step = min(step * 4, _PIECE, begin)
        answer = client.console(name, begin - step, step)
        if answer.next_offset != begin:
            # The log was rotated meanwhile: there is nothing older any more.
            break
        data, begin = answer.data + data, begin - step
    return last_lines(data, lines), end


def last_lines(data: bytes, lines: int) -> bytes:
    """The last lines; one without its newline counts."""
    if lines == 0:
        return b""
    return b"".join(data.splitlines(keepends=True)[-lines:])


def _whole(client: "Client", name: str) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    offset = 0
    while True:
        answer = client.console(name, offset, _PIECE)
        offset = answer.next_offset
        if not answer.data:
            return b"".join(pieces), offset
        pieces.append(answer.data)


def _following(client: "Client", name: str, offset: int) -> Iterator[tuple[bytes, int]]:
    pause = threading.Event()
    while True:
        try:
            answer = client.console(name, offset, _PIECE)
        except Failure as failure:
            if not failure.passing:
                raise
            # The guest writes on meanwhile, and nothing of it is lost.
            pause.wait(_FOLLOW_SECONDS)
            continue
        offset = answer.next_offset
        if answer.data:
            yield answer.data, offset
        else:
            pause.wait(_FOLLOW_SECONDS)


class _Writer:
    """Writes console bytes as they are, fit for a terminal, or as JSON."""

    def __init__(self, session: Session) -> None:
        self._out = session.out
        self._text = ConsoleText() if sys.stdout.isatty() else None

    def whole(self, data: bytes, offset: int) -> None:
        """All there is."""
        if self._out.is_json:
            self._out.result(str, lambda: _json(data, offset))
            return
        self._write(data, last=True)

    def piece(self, data: bytes, offset: int) -> None:
        """What there is so far."""
        if self._out.is_json:
            self._out.record(str, lambda: _json(data, offset))
            return
        self._write(data, last=False)

    def _write(self, data: bytes, *, last: bool) -> None:
        if self._text is None:
            write_bytes(data)
        else:
            text = self._text.take(data, last=last)
            write_bytes(text.encode(sys.stdout.encoding, errors="replace"))
            if last and data and not data.endswith(b"\n"):
                # A login prompt has no newline; the shell's own prompt stands below it.
                write_bytes(b"\n")
        flush()


def _json(data: bytes, offset: int) -> dict[str, str | int]:
    return {"text": plain(data), "next_offset": offset}
