"""image-list, image-show, image-delete, image-meta, image-update."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import complete
from gateway.cli.failures import Exit, Failure
from gateway.cli.options import IMAGES, FormatOption, command
from gateway.cli.session import Session, open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from protos.novaray.v1.images_pb2 import Image

app = typer.Typer()

#: Glance keeps these among the properties.
_COMPANIONS: Final = {"kernel_id": "kernel", "ramdisk_id": "ramdisk"}

ImageArgument = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE",
        help="Name or ID of an image.",
        autocompletion=complete.images,
        show_default=False,
    ),
]


class MetaAction(StrEnum):
    """What ``image-meta`` does."""

    SET = "set"
    DELETE = "delete"


@command(app, "image-list", IMAGES, "nova image-list")
def image_list(ctx: typer.Context, form: FormatOption = None) -> None:
    """List the images a server can be made from."""
    session = open_session(ctx, form)

    from gateway.cli.views import images

    found = sorted(session.client.list_images(), key=lambda i: i.name)
    session.out.result(
        lambda: render(images.COLUMNS, [images.row(i) for i in found]),
        lambda: [images.as_json(i) for i in found],
    )


@command(app, "image-show", IMAGES, "nova image-show cirros-0.3.4-x86_64-uec")
def imageshow(ctx: typer.Context, image: ImageArgument, form: FormatOption = None) -> None:
    """Show an image."""
    session = open_session(ctx, form)
    show(session, session.client.get_image(find(session, image).name))


@command(app, "image-delete", IMAGES, "nova image-delete old-image older-image")
def image_delete(
    ctx: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Names or IDs of images.",
            autocompletion=complete.images,
            show_default=False,
        ),
    ],
    form: FormatOption = None,
) -> int:
    """Forget images. Servers that were made from them keep what they have."""
    session = open_session(ctx, form)
    code, deleted = Exit.OK, []
    for image in images:
        try:
            found = find(session, image)
            session.client.delete_image(found.name)
            deleted.append(found)
        except Failure as failure:
            if failure.exit_code is Exit.NO_CONNECTION:
                raise
            # The others are deleted all the same, as python-novaclient does.
            session.out.failure(failure)
            code = failure.exit_code
    if session.out.is_json:
        from gateway.cli.views import images as view

        session.out.result(str, lambda: [view.as_json(image) for image in deleted])
    return code


@command(
    app,
    "image-meta",
    IMAGES,
    "nova image-meta my-image set os_type=linux hw_disk_bus=virtio",
    "nova image-meta my-image delete os_type",
)
def image_meta(
    ctx: typer.Context,
    image: ImageArgument,
    action: Annotated[MetaAction, typer.Argument(help="set or delete.", show_default=False)],
    metadata: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", help="To delete, KEY is enough.", show_default=False
        ),
    ],
    form: FormatOption = None,
) -> None:
    """Set or delete properties of an image."""
    session = open_session(ctx, form)
    found = session.client.get_image(find(session, image).name)
    fields = {"properties"}
    for item in metadata:
        key, equals, value = item.partition("=")
        if action is MetaAction.SET and not equals:
            raise typer.BadParameter(f"{item!r} is not of the form KEY=VALUE.")
        if key in _COMPANIONS:
            wanted = find(session, value).name if action is MetaAction.SET else ""
            setattr(found, _COMPANIONS[key], wanted)
            fields.add(_COMPANIONS[key])
        elif action is MetaAction.SET:
            found.properties[key] = value
        else:
            found.properties.pop(key, None)
    # Its etag goes along: what somebody else has set meanwhile is not lost.
    changed = session.client.update_image(found, sorted(fields))
    if session.out.is_json:
        show(session, changed)


@command(
    app,
    "image-update",
    IMAGES,
    "nova image-update my-image --name debian-12 --min-disk 2",
    "nova image-update my-image --public --protected",
)
def image_update(
    ctx: typer.Context,
    image: ImageArgument,
    name: Annotated[str | None, typer.Option(help="Call it so.", show_default=False)] = None,
    min_disk: Annotated[
        int | None, typer.Option(help="GiB of disk it needs.", show_default=False)
    ] = None,
    min_ram: Annotated[
        int | None, typer.Option(help="MiB of memory it needs.", show_default=False)
    ] = None,
    public: Annotated[
        bool | None,
        typer.Option("--public/--private", help="For every project. Admins make public."),
    ] = None,
    protected: Annotated[
        bool | None,
        typer.Option("--protected/--unprotected", help="Keep it from being deleted."),
    ] = None,
    form: FormatOption = None,
) -> None:
    """Change what describes an image."""
    session = open_session(ctx, form)
    found = find(session, image)
    wanted = {
        "display_name": name,
        "min_disk_gb": min_disk,
        "min_memory_mb": min_ram,
        "public": public,
        "protected": protected,
    }
    fields = [field for field, value in wanted.items() if value is not None]
    if not fields:
        raise typer.BadParameter("Say what to change.")
    for field in fields:
        setattr(found, field, wanted[field])
    found.etag = ""
    show(session, session.client.update_image(found, fields))


def find(session: Session, text: str) -> "Image":
    """The image with this name or id."""
    from gateway.cli.lookup import find_image

    return find_image(session.client, text)


def show(session: Session, image: "Image") -> None:
    """Write all that is known of an image."""
    from gateway.cli.views import images

    session.out.result(
        lambda: render_properties(images.properties(image)), lambda: images.as_json(image)
    )
