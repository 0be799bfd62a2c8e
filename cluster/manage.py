"""``nova-manage``: what operators do with a cluster."""

import sys

import typer

from cluster.config import Settings
from cluster.progress import Progress
from cluster.trouble import Trouble

app = typer.Typer(name="nova-manage", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """Operate a novaray cluster."""


@app.command("up")
def up_command() -> None:
    """Start."""
    from cluster.up import up

    typer.echo(up(Settings(), Progress()))


@app.command("down")
def down_command() -> None:
    """Start."""
    from cluster.ray_cluster import end_node

    typer.echo(end_node(Settings()))


def main() -> None:
    """Run the command line of this process."""
    try:
        app()
    except Trouble as error:
        sys.stderr.write(f"ERROR: {error}\n")
        sys.exit(1)
