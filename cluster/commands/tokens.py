"""``token create`` and ``revoke``."""

from pathlib import Path
from typing import Annotated

import typer

from actors.model.identity import Role
from cluster.commands.common import command, load_settings
from cluster.credentials import (
    Credentials,
    checksum,
    credentials_file,
    new_token,
    read_credentials,
)
from cluster.trouble import Trouble

app = typer.Typer(no_args_is_help=True)


@command(
    app,
    "create",
    "nova-manage token create --user alice --project blue --output alice.toml",
    "nova-manage token create --user ci --project blue --role reader",
)
def create_command(
    user: Annotated[str, typer.Option(help="Who it is for.")],
    project: Annotated[str, typer.Option(help="The project it acts in.")],
    role: Annotated[
        Role, typer.Option(help="reader sees, member does, admin sees and does all.")
    ] = Role.MEMBER,
    output: Annotated[
        Path | None,
        typer.Option(help="Write a credentials file for nova there, with the CA beside it."),
    ] = None,
) -> None:
    """Make a bearer token. It is shown once: the cluster keeps only its checksum."""
    from cluster.certificates import Certificates
    from cluster.credentials import client_endpoint
    from cluster.driver import ask
    from cluster.files import write_private

    if not (user.strip() and project.strip()):
        raise typer.BadParameter("A user and a project have at least one character.")
    settings = load_settings()
    ca = Certificates(settings.state_dir / "pki").ca
    if not ca.exists():
        raise Trouble("This node has no gateway.", "Make tokens on the head.")
    beside = (output or credentials_file(settings)).absolute().parent / "ca.pem"
    made = Credentials(client_endpoint(settings), new_token(), project, user, str(beside))

    async def ensure() -> None:
        from cluster.bootstrap import ensure_token

        await ensure_token(made, role)

    ask(settings, ensure)
    if output is None:
        typer.echo(made.token)
        return
    write_private(beside, ca.read_bytes())
    made.write(output)
    typer.echo(f"{output} and {beside} are what {user} needs (NOVARAY_CREDENTIALS={output}).")


@command(app, "revoke", "nova-manage token revoke --file alice.toml")
def revoke_command(
    file: Annotated[
        Path | None, typer.Option(help="A credentials file with the token.", show_default=False)
    ] = None,
    token: Annotated[
        str, typer.Option(help="The token itself; others can see it.", show_default=False)
    ] = "",
) -> None:
    """Make a token worthless. Gateways forget it within five seconds."""
    from cluster.driver import ask

    if (file is None) == (not token):
        raise typer.BadParameter("Give either --file or --token.")
    if file is not None:
        found = read_credentials(file)
        if found is None:
            raise Trouble(f"There is no file {file}.", "Is the path right?")
        token = found.token

    async def revoke() -> None:
        from actors.handles.conductor import ConductorHandle

        await ConductorHandle().revoke_token(checksum(token))

    ask(load_settings(), revoke)
    typer.echo("The token is revoked.")
