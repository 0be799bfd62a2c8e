"""keypair-add, keypair-list, keypair-show, keypair-delete."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import complete
from gateway.cli.failures import Failure
from gateway.cli.options import KEYPAIRS, FormatOption, command
from gateway.cli.session import new_request_id, open_session
from gateway.cli.table import printable, render, render_properties

if TYPE_CHECKING:
    from collections.abc import Callable

    from protos.novaray.v1.keypairs_pb2 import Keypair

app = typer.Typer()

#: The caller, in names.
_ME: Final = "me"

UserOption = Annotated[
    str, typer.Option("--user", help="Of this user. For admins.", show_default=False)
]
KeypairArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of a key pair.", autocompletion=complete.keypairs),
]


@command(
    app,
    "keypair-add",
    KEYPAIRS,
    "nova keypair-add --pub-key ~/.ssh/id_ed25519.pub laptop",
    "nova keypair-add --save ~/.ssh/cloud cloud",
    "nova keypair-add cloud > cloud.pem",
)
def keypair_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    pub_key: Annotated[
        str | None,
        typer.Option(
            "--pub-key",
            metavar="FILE",
            help="Import this public key; - reads it from standard input.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Write a generated private key there. A file that exists is left alone.",
            show_default=False,
        ),
    ] = None,
    user: UserOption = _ME,
    form: FormatOption = None,
) -> None:
    """Import a public key, or generate a key here and print its private half.

    A private key never leaves this machine.
    """
    if pub_key is not None and save is not None:
        raise typer.BadParameter("Give either --pub-key or --save.")
    session = open_session(ctx, form)

    from gateway.cli.views import keypairs

    def send(public: str) -> "Keypair":
        return session.client.create_keypair(user, name, public, new_request_id())

    if pub_key is not None:
        made = send(_read(pub_key))
        if session.out.is_json:
            session.out.result(str, lambda: keypairs.as_json(made))
        return
    private, public = _generate(name)
    made = send(public) if save is None else _saved(save, private, lambda: send(public))
    session.out.result(
        lambda: private.rstrip("\n") if save is None else f"The private key is in {save}.",
        lambda: {
            **keypairs.as_json(made),
            "private_key": private if save is None else None,
        },
    )


@command(app, "keypair-list", KEYPAIRS, "nova keypair-list")
def keypair_list(ctx: typer.Context, user: UserOption = _ME, form: FormatOption = None) -> None:
    """List key pairs."""
    session = open_session(ctx, form)

    from gateway.cli.views import keypairs

    found = list(session.client.list_keypairs(user))
    session.out.result(
        lambda: render(keypairs.COLUMNS, [keypairs.row(k) for k in found]),
        lambda: [keypairs.as_json(k) for k in found],
    )


@command(app, "keypair-show", KEYPAIRS, "nova keypair-show laptop")
def keypair_show(
    ctx: typer.Context, name: KeypairArgument, user: UserOption = _ME, form: FormatOption = None
) -> None:
    """Show a key pair."""
    session = open_session(ctx, form)

    from gateway.cli.views import keypairs

    found = session.client.get_keypair(user, name)
    session.out.result(
        # The key itself below the table, as python-novaclient does: it is long, and to be copied.
        lambda: (
            f"{render_properties(keypairs.properties(found))}\n"
            f"Public key: {printable(found.public_key)}"
        ),
        lambda: keypairs.as_json(found),
    )


@command(app, "keypair-delete", KEYPAIRS, "nova keypair-delete laptop")
def keypair_delete(
    ctx: typer.Context, name: KeypairArgument, user: UserOption = _ME, form: FormatOption = None
) -> None:
    """Forget a key pair. Servers that were made with it keep it."""
    session = open_session(ctx, form)
    session.client.delete_keypair(user, name)
    if session.out.is_json:
        session.out.result(str, lambda: {"name": name})


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"The public key {file} cannot be read: {_problem(error)}.",
            "FILE_UNREADABLE",
            hint='"nova keypair-add NAME" without --pub-key makes a key.',
        ) from error


def _generate(comment: str) -> tuple[str, str]:
    """A new Ed25519 key: private and public half, as ssh-keygen writes them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {comment}"


def _saved(path: Path, private: str, send: "Callable[[], Keypair]") -> "Keypair":
    """Write the key, then send its public half: what nobody has must not open anything."""
    path = path.expanduser()
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(private)
    except OSError as error:
        raise Failure(
            f"The private key cannot be written to {path}: {_problem(error)}.", "FILE_NOT_WRITTEN"
        ) from error
    try:
        return send()
    except Failure as failure:
        if not failure.unsettled:
            path.unlink(missing_ok=True)
        raise


def _problem(error: Exception) -> str:
    return error.strerror or "unknown" if isinstance(error, OSError) else "it is no text"
