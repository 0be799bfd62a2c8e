"""``image register``."""

from pathlib import Path
from typing import Annotated

import typer

from actors.model.ids import ProjectId
from actors.model.image import DiskFormat
from cluster.commands.common import command, load_settings
from cluster.manifest import Entry, read_manifest

app = typer.Typer(no_args_is_help=True)


@app.callback()
def root() -> None:
    """Images of the cluster."""


@command(
    app,
    "register",
    "nova-manage image register --manifest build/guest/images.json",
    "nova-manage image register debian-12.qcow2 --name debian-12 --min-disk 2",
    "nova-manage image register vmlinuz --format aki --name my-kernel",
)
def register_command(
    file: Annotated[
        Path | None, typer.Argument(help="A file on this node.", show_default=False)
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Several at once, as tools/guest_image lists them.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="The file's own name where it is not given.")] = "",
    form: Annotated[DiskFormat, typer.Option("--format", help="What it is.")] = DiskFormat.QCOW2,
    min_disk: Annotated[int, typer.Option(min=0, help="GiB of disk it needs.")] = 0,
    min_memory: Annotated[int, typer.Option(min=0, help="MiB of memory it needs.")] = 0,
    kernel: Annotated[str, typer.Option(help="Image to boot it with: name or id.")] = "",
    ramdisk: Annotated[str, typer.Option(help="Its ramdisk: name or id.")] = "",
    command_line: Annotated[str, typer.Option(help="What its kernel is told.")] = "",
) -> None:
    """Take files of this node into the cluster, for everybody to boot.

    What is registered already, with the same content, stays as it is.
    """
    if (file is None) == (manifest is None):
        raise typer.BadParameter("Give either FILE or --manifest.")
    if manifest is not None:
        entries = read_manifest(manifest)
    else:
        assert file is not None
        entries = (
            Entry(
                name=name or file.stem,
                file=file,
                disk_format=form,
                min_disk_gb=min_disk,
                min_memory_mb=min_memory,
                kernel=kernel or None,
                ramdisk=ramdisk or None,
                properties={"os_command_line": command_line} if command_line else {},
            ),
        )
    _register(entries)


def _register(entries: tuple[Entry, ...]) -> None:
    from cluster.credentials import ADMIN_PROJECT
    from cluster.driver import ask

    async def register_all() -> list[str]:
        from actors.handles.owners import ImagesHandle
        from cluster.manifest import register

        lines = []
        for entry in entries:
            image, new = await register(ImagesHandle(), ProjectId(ADMIN_PROJECT), entry)
            lines.append(f"{image.name}: {'registered' if new else 'there already'} ({image.id})")
        return lines

    for line in ask(load_settings(), register_all):
        typer.echo(line)
