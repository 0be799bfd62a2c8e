"""Options and arguments that several commands have, and how a command's help is put together."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import typer

from gateway.cli import complete
from gateway.cli.output import Format

Command = TypeVar("Command", bound=Callable[..., Any])

SERVERS: Final = "Servers"
POWER: Final = "Servers: on and off"
REMAKE: Final = "Servers: another size, another disk, an image"
DESCRIBE: Final = "Servers: names, tags, locks"
INSIDE: Final = "Servers: consoles, diagnostics"
HISTORY: Final = "Servers: what happened"
CATALOG: Final = "Flavors, hosts"
IMAGES: Final = "Images"
KEYPAIRS: Final = "Key pairs"
VOLUMES: Final = "Volumes"
NETWORKS: Final = "Networks"
OTHER: Final = "Other"

FormatOption = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="table for people, json for programs.", show_default=False),
]
PollOption = Annotated[
    bool, typer.Option("--poll", help="Wait for the end and show how far it is.")
]
RequestIdOption = Annotated[
    str | None,
    typer.Option(
        "--request-id",
        metavar="UUID",
        help="The same id asks for the same thing once, however often it is sent.",
        show_default=False,
    ),
]
ServerArgument = Annotated[
    str,
    typer.Argument(
        metavar="SERVER",
        help="Name or ID of a server.",
        autocompletion=complete.servers,
        show_default=False,
    ),
]
ServersArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SERVER...",
        help="Names or IDs of servers.",
        autocompletion=complete.servers,
        show_default=False,
    ),
]
VolumeArgument = Annotated[
    str,
    typer.Argument(
        metavar="VOLUME",
        help="Name or ID of a volume.",
        autocompletion=complete.volumes,
        show_default=False,
    ),
]
VolumesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="VOLUME...",
        help="Names or IDs of volumes.",
        autocompletion=complete.volumes,
        show_default=False,
    ),
]
NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="Name or ID of a network.",
        autocompletion=complete.networks,
        show_default=False,
    ),
]
NetworksArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK...",
        help="Names or IDs of networks.",
        autocompletion=complete.networks,
        show_default=False,
    ),
]
AllProjectsOption = Annotated[
    bool, typer.Option("--all-projects", "--all-tenants", help="Of all projects. For admins.")
]


def command(
    app: typer.Typer, name: str, panel: str | None, *examples: str
) -> Callable[[Command], Command]:
    """Register a command. Its docstring is its help; every command has an example."""
    heading = "Example:" if len(examples) == 1 else "Examples:"
    epilog = "\n".join([heading, *(f"  {example}" for example in examples)])
    return app.command(name, epilog=epilog, rich_help_panel=panel)
