"""``up``, ``down``, ``status`` and ``env``."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cluster.commands.common import (
    UNHEALTHY,
    JsonOption,
    command,
    load_settings,
    show_json,
    show_table,
)
from cluster.progress import Progress
from cluster.status import Status

app = typer.Typer()

_UP: str = """\

novaray is up after {seconds:.1f} s.
  gateway      {endpoint}   (nova reads {credentials})
  host         {host}
{dashboard}
Try next:
  nova flavor-list
  nova-manage status
  nova-manage image register --manifest build/guest/images.json
"""
_DASHBOARD: str = """\
  dashboard    {url}   (asks for a token: the line in {token})
"""


@command(app, "up", "nova-manage up", "NOVARAY_LISTEN=0.0.0.0:8774 nova-manage up")
def up_command(
    autoscaling_config: Annotated[
        Path | None,
        typer.Option(help="For ray up: what it starts the other nodes by.", show_default=False),
    ] = None,
) -> None:
    """Start this node's control plane, gateway and host, or what of it does not run.

    Running it again changes nothing. After a crash, or after "down", it finds the same state and
    the same guests.
    """
    from cluster.credentials import credentials_file
    from cluster.up import up

    settings = load_settings()
    config = str(autoscaling_config.expanduser().resolve()) if autoscaling_config else ""
    done = up(settings, Progress(), config)
    dashboard = _DASHBOARD.format(url=done.dashboard, token=settings.ray_token_file)
    typer.echo(
        _UP.format(
            seconds=done.seconds,
            endpoint=done.endpoint,
            credentials=credentials_file(settings),
            host=done.host,
            dashboard=dashboard if done.dashboard else "",
        ),
        nl=False,
    )


@command(
    app,
    "down",
    "nova-manage down",
    "nova-manage down --purge --dry-run",
    "nova-manage down --purge --yes",
)
def down_command(
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove guests, disks, record, keys: everything.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --purge: list it, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop this node's control plane. Guests run on, and so does libvirt."""
    from cluster.down import down
    from cluster.purge import plan
    from cluster.purge import purge as remove_all

    settings = load_settings()
    if dry_run and not purge:
        raise typer.BadParameter("--dry-run goes with --purge.")
    if not purge:
        ended = down(settings, Progress())
        typer.echo("novaray is down; its guests run on." if ended else "novaray did not run.")
        return
    todo = plan(settings)
    lines = list(todo.lines())
    for line in lines:
        typer.echo(line)
    if todo.blind:
        typer.echo(f"guests    cannot be seen: {todo.blind}")
    if not lines:
        typer.echo("There is nothing to remove.")
    elif not dry_run and (yes or typer.confirm("Remove all of this for good?")):
        remove_all(settings, Progress())
        typer.echo("novaray is gone from this node.")


@command(app, "status", "nova-manage status", "nova-manage status --json")
def status_command(
    as_json: JsonOption = False,
    processes: Annotated[
        bool, typer.Option("--processes", help="Each of Ray's own processes, too.")
    ] = False,
) -> None:
    """Show actors, hosts, gateway and memory. Exit code 4 when something does not work."""
    from cluster.status import status

    found = status(load_settings())
    if as_json:
        show_json(found.as_json())
    else:
        _show(found, processes=processes)
    if not found.healthy:
        raise typer.Exit(UNHEALTHY)


@command(app, "env", 'eval "$(nova-manage env)"; ray list nodes')
def env_command() -> None:
    """Print what Ray's own tools and Python programs need in their environment."""
    from cluster.member import head_address
    from cluster.ray_environment import ray_environment

    settings = load_settings()
    for name, value in sorted(ray_environment(settings, head_address(settings)).items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


def _show(found: Status, *, processes: bool) -> None:
    if found.trouble:
        typer.echo(f"{found.trouble}\n")
    rows: list[tuple[object, ...]] = [
        (part.name, part.node, part.pid, part.restarts, part.state.lower(), f"{part.pss_mib:.0f}")
        for part in found.parts
        if part.node or processes
    ]
    of_ray = [part for part in found.parts if not part.node]
    if of_ray and not processes:
        memory = sum(part.pss_mib for part in of_ray)
        rows.append((f"Ray ({len(of_ray)} processes)", "", "", "", "", f"{memory:.0f}"))
    if rows:
        rows.append(("in all", "", "", "", "", f"{found.pss_mib:.0f}"))
        show_table(("ACTOR", "NODE", "PID", "RESTARTS", "STATE", "PSS MiB"), rows)
        typer.echo()
    if found.hosts:
        show_table(
            ("HOST", "STATE", "ENABLED", "INSTANCES", "TROUBLE", "UUID"),
            [
                (host.name, host.state, "yes" if host.enabled else "no", host.instances,
                 host.trouble or "-", host.id)
                for host in found.hosts
            ],
        )  # fmt: skip
        typer.echo()
    for name, pid in found.daemons.items():
        typer.echo(f"{name}: started by nova-manage, process {pid}")
    if found.gateway:
        typer.echo(f"gateway: {found.gateway}")
