"""image-upload, image-download."""

import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import complete
from gateway.cli.commands.images import ImageArgument, find, show
from gateway.cli.failures import Failure
from gateway.cli.options import IMAGES, FormatOption, command
from gateway.cli.output import write_bytes
from gateway.cli.session import Session, new_request_id, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from protos.novaray.v1.images_pb2 import Image

app = typer.Typer()


class DiskFormat(StrEnum):
    """What ``--disk-format`` takes."""

    QCOW2 = "qcow2"
    RAW = "raw"
    AKI = "aki"
    ARI = "ari"


@command(
    app,
    "image-upload",
    IMAGES,
    "nova image-upload --file debian-12.qcow2 --min-disk 2 debian-12",
    "nova image-upload --file vmlinuz --disk-format aki my-kernel",
    "nova image-upload --file disk.img --kernel my-kernel disk",
)
def image_upload(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The image.")],
    disk_format: Annotated[
        DiskFormat | None,
        typer.Option("--disk-format", help="Told from the file's content.", show_default=False),
    ] = None,
    min_disk: Annotated[int, typer.Option(help="GiB of disk it needs.")] = 0,
    min_ram: Annotated[int, typer.Option(help="MiB of memory it needs.")] = 0,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="KEY=VALUE", help="May be repeated."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="For every project; admins only.")
    ] = False,
    kernel: Annotated[
        str, typer.Option(help="Image to boot it with: name or ID.", autocompletion=complete.images)
    ] = "",
    ramdisk: Annotated[
        str, typer.Option(help="Its ramdisk: name or ID.", autocompletion=complete.images)
    ] = "",
    form: FormatOption = None,
) -> None:
    """Make an image of a file.

    A lost connection is made again. If the command itself ends too early, the same command line
    goes on where it was.
    """
    session = open_session(ctx, form)

    from gateway.cli.image_file import FORMATS, HEAD, format_seen
    from gateway.cli.transfer import checksum, upload
    from protos.novaray.v1.images_pb2 import Image

    with _opened(file) as opened:
        size, sha256 = checksum(opened, session.out)
        opened.seek(0)
        seen = format_seen(opened.read(HEAD))
        wanted = Image(
            display_name=name,
            disk_format=FORMATS[disk_format] if disk_format else seen,
            min_disk_gb=min_disk,
            min_memory_mb=min_ram,
            public=public,
            kernel=find(session, kernel).name if kernel else "",
            ramdisk=find(session, ramdisk).name if ramdisk else "",
            properties=dict(_pairs(properties or [])),
        )
        image = _unfinished(session, wanted) or session.client.create_image(
            wanted, new_request_id()
        )
        try:
            done = upload(session.client, session.out, opened, image, size, sha256)
        except Failure as failure:
            if failure.unsettled:
                raise failure.with_hint("The same command line goes on where it was.") from failure
            # The server has refused the bytes; an image without any is of no use.
            with suppress(Failure):
                session.client.delete_image(image.name)
            raise
    show(session, done)


@command(
    app,
    "image-download",
    IMAGES,
    "nova image-download --file debian-12.qcow2 debian-12",
    "nova image-download --file - debian-12 | qemu-img info -",
)
def image_download(
    ctx: typer.Context,
    image: ImageArgument,
    file: Annotated[
        str, typer.Option("--file", metavar="FILE", help="Where to; - for standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    form: FormatOption = None,
) -> None:
    """Write an image to a file. Its checksum is checked before the file has its name."""
    session = open_session(ctx, form)

    from gateway.cli.transfer import download

    target = Path(file)
    if file != "-" and not force and target.exists():
        raise Failure(f"{file} exists.", "FILE_EXISTS", hint="Choose another name, or add --force.")
    found = find(session, image)
    if file == "-":
        download(session.client, session.out, found, write_bytes)
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as opened:
            download(session.client, session.out, found, opened.write)
        part.replace(target)
    except OSError as error:
        raise Failure(
            f"{file} cannot be written: {error.strerror or error}.", "FILE_NOT_WRITTEN"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _unfinished(session: Session, wanted: "Image") -> "Image | None":
    """An upload of this name that was cut off. Its checksum is checked at its end, as any's."""
    from gateway.cli.lookup import condition

    project = session.client.parent.removeprefix("projects/")
    named = f"{condition('display_name', wanted.display_name)} AND {condition('project', project)}"
    for state in ("SAVING", "QUEUED"):
        found = list(session.client.list_images(f"{named} AND state = {state}"))
        if len(found) == 1 and found[0].disk_format == wanted.disk_format:
            image = session.client.get_image(found[0].name)
            session.out.notice(f"Going on with image {image.name.rpartition('/')[2]}.")
            return image
    return None


def _pairs(items: list[str]) -> "Iterator[tuple[str, str]]":
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise typer.BadParameter(f"{item!r} is not of the form KEY=VALUE.")
        yield key, value


def _opened(file: Path) -> "AbstractContextManager[BinaryIO]":
    try:
        return file.expanduser().open("rb")
    except OSError as error:
        raise Failure(
            f"{file} cannot be read: {error.strerror or error}.", "FILE_UNREADABLE"
        ) from error
