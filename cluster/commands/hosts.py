"""``host join``, ``leave``, ``list``, ``enable`` and ``disable``."""

from pathlib import Path
from typing import Annotated

import typer

from actors.model.host import HostUsage
from cluster.commands.common import JsonOption, command, load_settings, show_json, show_table
from cluster.progress import Progress

app = typer.Typer(no_args_is_help=True)

HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="Name or UUID of a host.")]


@command(
    app,
    "join",
    "nova-manage host join --address 192.0.2.1:6379 --token-file ray-token",
    "nova-manage host join",
)
def join_command(
    address: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the head's Ray is; what was joined last where it is not given.",
            show_default=False,
        ),
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A copy of the head's ray-token file.", show_default=False
        ),
    ] = None,
) -> None:
    """Make this node a host of a cluster, and wait until its scheduler knows it is up.

    All nodes need the same versions of novaray, Python and Ray. Joining again is no error.
    """
    from cluster.join import join
    from cluster.member import has_joined, head_address

    settings = load_settings()
    if not address:
        if not has_joined(settings):
            raise typer.BadParameter("Say where the head is: --address HOST:PORT.")
        address = head_address(settings)
    progress = Progress()
    join(settings, address, token_file, progress)
    typer.echo(f"Host {settings.node_name} has joined after {progress.seconds:.1f} s.")


@command(app, "leave", "nova-manage host leave")
def leave_command() -> None:
    """End this node's part of the cluster. Its guests run on; joining again finds them."""
    from cluster.join import leave

    settings = load_settings()
    leave(settings, Progress())
    typer.echo(f"Host {settings.node_name} has left; its guests run on.")


@command(app, "list", "nova-manage host list", "nova-manage host list --json")
def list_command(as_json: JsonOption = False) -> None:
    """Show all hosts with what is claimed of each."""
    from cluster.driver import ask

    async def hosts() -> tuple[HostUsage, ...]:
        from actors.handles.owners import SchedulerHandle

        return await SchedulerHandle().hosts()

    found = ask(load_settings(), hosts)
    if as_json:
        show_json([usage.model_dump(mode="json") for usage in found])
        return
    show_table(
        ("NAME", "STATE", "ENABLED", "TYPE", "VCPUS", "MEMORY MiB", "INSTANCES", "WHY", "UUID"),
        [
            (
                usage.record.name,
                usage.record.state.value,
                "yes" if usage.record.enabled else "no",
                usage.record.virt_type,
                f"{usage.claimed.vcpus}/{usage.record.inventory.capacity.vcpus}",
                f"{usage.claimed.memory_mb}/{usage.record.inventory.capacity.memory_mb}",
                usage.instances,
                usage.record.trouble or usage.record.disabled_reason or "-",
                usage.record.id,
            )
            for usage in found
        ],
    )


@command(app, "disable", 'nova-manage host disable h2 --reason "new disks"')
def disable_command(
    host: HostArgument,
    reason: Annotated[str, typer.Option(help="Why; others see it.")] = "",
) -> None:
    """Place no more instances on a host. Those that are there stay."""
    _set_enabled(host, enabled=False, reason=reason)
    typer.echo(f"Host {host} is disabled: it gets no more instances.")


@command(app, "enable", "nova-manage host enable h2")
def enable_command(host: HostArgument) -> None:
    """Place instances on a host again."""
    _set_enabled(host, enabled=True, reason="")
    typer.echo(f"Host {host} is enabled.")


def _set_enabled(host: str, *, enabled: bool, reason: str) -> None:
    from cluster.driver import ask

    async def change() -> None:
        from actors.handles.owners import SchedulerHandle

        await SchedulerHandle().set_enabled(host, enabled, reason)

    ask(load_settings(), change)
