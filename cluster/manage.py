"""``nova-manage``: what operators do with a cluster."""

import os
import sys
import traceback
from typing import Annotated, Final

import typer

from actors.model.errors import ComputeError
from cluster.commands import hosts, images, lifecycle, tokens
from cluster.commands.common import FAILED, INTERRUPTED, USAGE
from cluster.trouble import Trouble

_EPILOG: Final = """\
Exit codes: 0 done; 1 it could not be done; 2 the command line cannot be read; 4 status found
something that does not work; 130 interrupted.

Settings: /etc/novaray/novaray.toml, or the file named by NOVARAY_CONFIG; NOVARAY_* beat it.

Example:

  nova-manage up
"""

app = typer.Typer(
    name="nova-manage",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nova-manage (novaray) {version('novaray')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error came from.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Version of this command."
        ),
    ] = False,
) -> None:
    """Operate a novaray cluster: start it, stop it, look at it, add hosts and images."""
    del debug, version  # run() and the callback see to them


app.registered_commands += lifecycle.app.registered_commands
app.add_typer(hosts.app, name="host", help="Hosts of the cluster.")
app.add_typer(images.app, name="image", help="Images of the cluster.")
app.add_typer(tokens.app, name="token", help="Bearer tokens for the gateway.")


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line; its exit code."""
    try:
        result = app(arguments, prog_name="nova-manage", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("Interrupted. Run the command again to go on.\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Trouble, ComputeError) as error:
        return _fail(str(error), arguments)
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug only
        said = f"{type(error).__name__}: {error}"
        return _fail(f"This is a bug of nova-manage: {said} Run it with --debug.", arguments)
    return result if isinstance(result, int) else 0


def _usage(error: typer.TyperException) -> int:
    message = error.format_message()
    if message:  # without one, the help has been shown
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "nova-manage"
        sys.stderr.write(f'ERROR: {message} See "{path} --help" for an example.\n')
    return USAGE


def _fail(sentence: str, arguments: list[str]) -> int:
    if "--debug" in arguments:
        traceback.print_exc()
    sys.stderr.write(f"ERROR: {sentence}\n")
    return FAILED
