"""Names for the shell to complete. Quick and silent: whatever goes wrong offers nothing."""

import itertools
import os
from typing import TYPE_CHECKING, Final

# Typer reads the annotations of what completes.
import typer

from gateway.cli.failures import Failure
from gateway.cli.settings import Overrides, load_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.cli.client import Client

#: Nobody waits longer for a Tab, seconds.
_TIMEOUT: Final = 1.0
_MOST: Final = 200


def servers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of servers."""
    return _names(
        ctx, incomplete, lambda c: (i.display_name for i in c.list_instances(limit=_MOST))
    )


def flavors(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of flavors."""
    return _names(ctx, incomplete, lambda c: (f.display_name for f in c.list_flavors()))


def images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of images."""
    return _names(ctx, incomplete, lambda c: (i.display_name for i in c.list_images()))


def keypairs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the caller's key pairs."""
    return _names(ctx, incomplete, lambda c: (k.display_name for k in c.list_keypairs("me")))


def volumes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of volumes."""
    return _names(ctx, incomplete, lambda c: (v.display_name for v in c.list_volumes()))


def volume_snapshots(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of snapshots of volumes."""
    return _names(ctx, incomplete, lambda c: (s.display_name for s in c.list_volume_snapshots()))


def networks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of networks."""
    return _names(ctx, incomplete, lambda c: (n.display_name for n in c.list_networks()))


def _names(
    ctx: typer.Context, incomplete: str, fetch: "Callable[[Client], Iterable[str]]"
) -> list[str]:
    try:
        given = ctx.find_root().params
        overrides = Overrides(
            **{key: given.get(key) for key in ("endpoint", "token", "project", "ca")}
        )
        connection = load_connection(overrides, os.environ)
        from gateway.cli.client import Client

        client = Client(connection, _TIMEOUT)
        found = (name for name in fetch(client) if name.startswith(incomplete))
        return sorted(set(itertools.islice(found, _MOST)))
    except Failure:
        return []
