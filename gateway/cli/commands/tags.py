"""server-tag-list, -add, -delete, -delete-all, -set: words that servers are found by."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from gateway.cli.commands.describe import edited
from gateway.cli.failures import Failure
from gateway.cli.options import DESCRIBE, FormatOption, ServerArgument, command
from gateway.cli.session import Session, open_session
from gateway.cli.table import render

app = typer.Typer()

TagsArgument = Annotated[
    list[str], typer.Argument(metavar="TAG...", help="Tags.", show_default=False)
]


@command(app, "server-tag-list", DESCRIBE, "nova server-tag-list MyFirstInstance")
def server_tag_list(ctx: typer.Context, server: ServerArgument, form: FormatOption = None) -> None:
    """List the tags of a server."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    tags = sorted(lookup.find_instance(session.client, server).tags)
    session.out.result(lambda: render(("Tag",), [(tag,) for tag in tags]), lambda: tags)


@command(app, "server-tag-add", DESCRIBE, "nova server-tag-add MyFirstInstance web blue")
def server_tag_add(
    ctx: typer.Context, server: ServerArgument, tags: TagsArgument, form: FormatOption = None
) -> None:
    """Add tags to a server."""
    _change(open_session(ctx, form), server, lambda held: [*held, *tags])


@command(app, "server-tag-set", DESCRIBE, "nova server-tag-set MyFirstInstance web green")
def server_tag_set(
    ctx: typer.Context, server: ServerArgument, tags: TagsArgument, form: FormatOption = None
) -> None:
    """Give a server these tags instead of those it has."""
    _change(open_session(ctx, form), server, lambda _: tags)


@command(app, "server-tag-delete", DESCRIBE, "nova server-tag-delete MyFirstInstance blue")
def server_tag_delete(
    ctx: typer.Context, server: ServerArgument, tags: TagsArgument, form: FormatOption = None
) -> None:
    """Take tags from a server."""

    def without(held: Sequence[str]) -> list[str]:
        for tag in tags:
            if tag not in held:
                raise Failure(
                    f"Server {server} has no tag '{tag}'.",
                    "TAG_NOT_FOUND",
                    hint=f'See "nova server-tag-list {server}".',
                )
        return [tag for tag in held if tag not in tags]

    _change(open_session(ctx, form), server, without)


@command(app, "server-tag-delete-all", DESCRIBE, "nova server-tag-delete-all MyFirstInstance")
def server_tag_delete_all(
    ctx: typer.Context, server: ServerArgument, form: FormatOption = None
) -> None:
    """Take all tags from a server."""
    _change(open_session(ctx, form), server, lambda _: [])


def _change(
    session: Session, server: str, change: Callable[[Sequence[str]], Sequence[str]]
) -> None:
    after = edited(
        session, server, lambda found: {"tags": list(dict.fromkeys(change(list(found.tags))))}
    )
    tags = sorted(after.tags)
    session.out.sentence(f"Tags of server {server}: {', '.join(tags) or 'none'}.")
    if session.out.is_json:
        session.out.result(str, lambda: tags)
