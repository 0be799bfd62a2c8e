"""What all commands of ``nova-manage`` share: settings, help with examples, tables."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cluster.config import Settings
from cluster.trouble import Trouble

Command = TypeVar("Command", bound=Callable[..., Any])

#: Exit codes; they stand in the help of ``nova-manage`` too.
FAILED: Final = 1
USAGE: Final = 2
UNHEALTHY: Final = 4
INTERRUPTED: Final = 130

JsonOption = Annotated[bool, typer.Option("--json", help="For programs.", show_default=False)]


def command(app: typer.Typer, name: str, *examples: str) -> Callable[[Command], Command]:
    """Register a command. Its docstring is its help; every command has an example."""
    heading = "Example:" if len(examples) == 1 else "Examples:"
    epilog = "\n\n".join([heading, *(f"  {example}" for example in examples)])
    return app.command(name, epilog=epilog)


def load_settings() -> Settings:
    """The node's settings.

    Raises:
        Trouble: They are wrong; says which.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise Trouble(
            f"The settings are wrong: {wrong}.",
            "They come from /etc/novaray/novaray.toml and NOVARAY_*; docs/settings.md lists them.",
        ) from None
    except (OSError, ValueError) as error:
        raise Trouble(
            f"The settings cannot be read: {error}.", "Correct /etc/novaray/novaray.toml."
        ) from None


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain table on standard output."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 400  # a file has no edge to wrap at
    console.print(table)


def show_json(data: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
