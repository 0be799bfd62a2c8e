"""The ``nova`` command: the command line, the global options, and what an exit code means."""

import io
import os
import sys
from typing import Annotated, Final

import typer

from gateway.cli.commands import (
    actions,
    attach,
    catalog,
    clone,
    console,
    describe,
    flavors,
    guard,
    history,
    image_files,
    images,
    interfaces,
    keeping,
    keypairs,
    look,
    networks,
    operations,
    rebuild,
    resize,
    servers,
    snapshots,
    tags,
    version,
    volume_attach,
    volume_snapshots,
    volumes,
    watch,
)
from gateway.cli.failures import Exit, Failure
from gateway.cli.options import HISTORY
from gateway.cli.output import Format, Output, ReaderGone, flush
from gateway.cli.session import GlobalOptions
from gateway.cli.settings import DEFAULT_TIMEOUT, Overrides

# Lines end where a terminal of 80 columns does.
_EPILOG: Final = """\
Exit codes:
    0  done; with --poll: the operation succeeded
    1  refused, failed, or a name is unknown or ambiguous
    2  the command line cannot be read
    3  no connection, or no valid credentials
  130  interrupted

Credentials: ~/.config/novaray/credentials.toml, or the file named by
NOVARAY_CREDENTIALS, with endpoint, token, project and ca. NOVARAY_ENDPOINT,
NOVARAY_TOKEN, NOVARAY_PROJECT and NOVARAY_CA beat it; options beat both.

Example:
  nova boot --image cirros-0.3.4-x86_64-uec --flavor m1.tiny MyFirstInstance
"""

app = typer.Typer(
    name="nova",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nova (novaray) {version('novaray')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="table for people, json for programs.")
    ] = Format.TABLE,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="HOST:PORT", help="Where the gateway is."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", help="Bearer token. Others can see it: better in the file."),
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="Project to act in.")] = None,
    ca: Annotated[
        str | None, typer.Option("--ca", metavar="FILE", help="CA of the gateway, PEM.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.001, help="For each call.")
    ] = DEFAULT_TIMEOUT,
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
    """Virtual machines on novaray."""
    del debug, version  # read in run() and acted upon by their callbacks
    options = ctx.ensure_object(GlobalOptions)
    options.format = form
    options.timeout = timeout
    options.overrides = Overrides(endpoint, token, project, ca)


for group in (
    servers,
    actions,
    rebuild,
    resize,
    clone,
    snapshots,
    describe,
    tags,
    guard,
    console,
    attach,
    look,
    history,
    watch,
    flavors,
    catalog,
    images,
    image_files,
    keeping,
    keypairs,
    volumes,
    volume_attach,
    volume_snapshots,
    networks,
    interfaces,
    version,
):
    app.registered_commands += group.app.registered_commands
app.add_typer(
    operations.app,
    name="operation",
    help="What was and is being done to servers.",
    epilog="Example:\n  nova operation list --server MyFirstInstance",
    rich_help_panel=HISTORY,
)


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's character set lacks is spelled out, not a failure.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(int(run(sys.argv[1:])))


def run(arguments: list[str]) -> int:
    """Run a command line; its exit code. Nothing but a bug of Python itself leaves here."""
    options = GlobalOptions(format=_format_asked(arguments))
    try:
        result = app(arguments, prog_name="nova", standalone_mode=False, obj=options)
        flush()
    except Failure as failure:
        _debug(arguments)
        Output(options.format).failure(failure)
        return failure.exit_code
    except typer.TyperException as error:
        return _usage(error, options.format)
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except ReaderGone:
        # The reader has seen enough. Python would complain about it when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug only
        _debug(arguments)
        Output(options.format).failure(_bug(error))
        return Exit.FAILED
    return result if isinstance(result, int) else Exit.OK


def _format_asked(arguments: list[str]) -> Format:
    """The format, before the command line is read: an error in it must be told in it too."""
    for at, argument in enumerate(arguments):
        following = arguments[at + 1] if at + 1 < len(arguments) else ""
        if argument in ("--format=json", "-fjson"):
            return Format.JSON
        if argument in ("--format", "-f") and following == "json":
            return Format.JSON
    return Format.TABLE


def _usage(error: typer.TyperException, form: Format) -> Exit:
    message = error.format_message()
    if not message:
        # Called with nothing to do: the help has been shown.
        return Exit.USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nova"
    failure = Failure(
        message, "USAGE", exit_code=Exit.USAGE, hint=f'See "{path} --help" for an example.'
    )
    Output(form).failure(failure)
    return Exit.USAGE


def _bug(error: Exception) -> Failure:
    return Failure(
        f"nova itself failed: {type(error).__name__}: {error}",
        "CLIENT_BUG",
        hint="Run it again with --debug before the command, and report what it shows.",
    )


def _debug(arguments: list[str]) -> None:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()
