"""flavor-list, -show, -create, -update, -delete, -key, and who may use which."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import complete
from gateway.cli.options import CATALOG, FormatOption, command
from gateway.cli.session import Session, new_request_id, open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from protos.novaray.v1.flavors_pb2 import Flavor

app = typer.Typer()

#: Stands for an id that the server makes.
_AUTO: Final = "auto"
_TRUE: Final = ("true", "t", "yes", "y", "on", "1")
_FALSE: Final = ("false", "f", "no", "n", "off", "0")

FlavorArgument = Annotated[
    str,
    typer.Argument(
        metavar="FLAVOR", help="Name or ID of a flavor.", autocompletion=complete.flavors
    ),
]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="ID of a project.")]


class Change(StrEnum):
    """What to do with extra specs."""

    SET = "set"
    UNSET = "unset"


@command(app, "flavor-list", CATALOG, "nova flavor-list")
def flavor_list(ctx: typer.Context, form: FormatOption = None) -> None:
    """List the sizes a server can have."""
    session = open_session(ctx, form)
    # By ID as text, as python-novaclient does: 4, 42, 5.
    _print(session, sorted(session.client.list_flavors(), key=lambda f: f.name))


@command(app, "flavor-show", CATALOG, "nova flavor-show m1.tiny")
def flavor_show(ctx: typer.Context, flavor: FlavorArgument, form: FormatOption = None) -> None:
    """Show a flavor, with its extra specs."""
    session = open_session(ctx, form)

    from gateway.cli import lookup
    from gateway.cli.views import catalog

    found = lookup.find_flavor(session.client, flavor)
    session.out.result(
        lambda: render_properties(catalog.flavor_properties(found)),
        lambda: catalog.flavor_json(found),
    )


@command(
    app,
    "flavor-create",
    CATALOG,
    "nova flavor-create m2.small auto 2048 20 2",
    "nova flavor-create --swap 512 --is-public false web 100 1024 5 1",
)
def flavor_create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="Its ID; auto for one that is made.")],
    ram: Annotated[int, typer.Argument(metavar="RAM", help="MiB of memory.")],
    disk: Annotated[
        int, typer.Argument(metavar="DISK", help="GiB of root disk; 0: as large as the image.")
    ],
    vcpus: Annotated[int, typer.Argument(metavar="VCPUS", help="Virtual processors.")],
    ephemeral: Annotated[int, typer.Option(help="GiB of a second, empty disk.")] = 0,
    swap: Annotated[int, typer.Option(help="MiB of swap disk.")] = 0,
    rxtx_factor: Annotated[float, typer.Option(help="Shown, not enforced.")] = 1.0,
    is_public: Annotated[
        str, typer.Option(metavar="BOOL", help="Whether every project may use it.")
    ] = "true",
    description: Annotated[str, typer.Option(help="For people.", show_default=False)] = "",
    form: FormatOption = None,
) -> None:
    """Make a flavor. For admins."""
    public = _truth(is_public)
    session = open_session(ctx, form)

    from protos.novaray.v1.flavors_pb2 import CreateFlavorRequest, Flavor

    request = CreateFlavorRequest(
        flavor_id="" if id_ == _AUTO else id_,
        flavor=Flavor(
            display_name=name,
            memory_mb=ram,
            disk_gb=disk,
            vcpus=vcpus,
            ephemeral_gb=ephemeral,
            swap_mb=swap,
            rxtx_factor=rxtx_factor,
            public=public,
            description=description,
        ),
        request_id=new_request_id(),
    )
    _print(session, [session.client.create_flavor(request)])


@command(app, "flavor-update", CATALOG, "nova flavor-update m1.tiny 'For trying things out'")
def flavor_update(
    ctx: typer.Context,
    flavor: FlavorArgument,
    description: Annotated[str, typer.Argument(metavar="DESCRIPTION", help="For people.")],
    form: FormatOption = None,
) -> None:
    """Describe a flavor; nothing else of it changes. For admins."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    name = lookup.find_flavor(session.client, flavor).name
    _print(session, [session.client.describe_flavor(name, description)])


@command(app, "flavor-delete", CATALOG, "nova flavor-delete m2.small")
def flavor_delete(ctx: typer.Context, flavor: FlavorArgument, form: FormatOption = None) -> None:
    """Forget a flavor. Servers keep the copy they were made with. For admins."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    found = lookup.find_flavor(session.client, flavor)
    session.client.delete_flavor(found.name)
    if session.out.is_json:
        _print(session, [found])


@command(
    app,
    "flavor-key",
    CATALOG,
    "nova flavor-key m1.tiny set quota:cpu_shares=512 hw:watchdog_action=reset",
    "nova flavor-key m1.tiny unset quota:cpu_shares",
)
def flavor_key(
    ctx: typer.Context,
    flavor: FlavorArgument,
    action: Annotated[Change, typer.Argument(metavar="set|unset", help="What to do.")],
    specs: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="Extra specs; to unset, keys.")
    ],
    form: FormatOption = None,
) -> None:
    """Set or unset extra specs of a flavor. For admins."""
    pairs = dict(_key_value(spec, action) for spec in specs)
    session = open_session(ctx, form)

    from gateway.cli import lookup

    name = lookup.find_flavor(session.client, flavor).name
    add, remove = (pairs, ()) if action is Change.SET else ({}, tuple(pairs))
    changed = session.client.change_extra_specs(name, add, remove)
    if session.out.is_json:
        _print(session, [changed])


@command(app, "flavor-access-list", CATALOG, "nova flavor-access-list --flavor web")
def flavor_access_list(
    ctx: typer.Context,
    flavor: Annotated[
        str,
        typer.Option("--flavor", help="Name or ID of a flavor.", autocompletion=complete.flavors),
    ],
    form: FormatOption = None,
) -> None:
    """List the projects that may use a flavor that is not public. For admins."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    name = lookup.find_flavor(session.client, flavor).name
    _print_access(session, name, session.client.flavor_access(name))


@command(app, "flavor-access-add", CATALOG, "nova flavor-access-add web blue")
def flavor_access_add(
    ctx: typer.Context,
    flavor: FlavorArgument,
    project: ProjectArgument,
    form: FormatOption = None,
) -> None:
    """Let a project use a flavor that is not public. For admins."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    name = lookup.find_flavor(session.client, flavor).name
    _print_access(session, name, session.client.add_flavor_access(name, project))


@command(app, "flavor-access-remove", CATALOG, "nova flavor-access-remove web blue")
def flavor_access_remove(
    ctx: typer.Context,
    flavor: FlavorArgument,
    project: ProjectArgument,
    form: FormatOption = None,
) -> None:
    """Let a project use a flavor no more. For admins."""
    session = open_session(ctx, form)

    from gateway.cli import lookup

    name = lookup.find_flavor(session.client, flavor).name
    _print_access(session, name, session.client.remove_flavor_access(name, project))


def _print(session: Session, flavors: "list[Flavor]") -> None:
    from gateway.cli.views import catalog

    session.out.result(
        lambda: render(catalog.FLAVOR_COLUMNS, [catalog.flavor_row(f) for f in flavors]),
        lambda: [catalog.flavor_json(f) for f in flavors],
    )


def _print_access(session: Session, flavor: str, projects: list[str]) -> None:
    from gateway.cli.views import catalog

    session.out.result(
        lambda: render(catalog.ACCESS_COLUMNS, catalog.access_rows(flavor, projects)),
        lambda: catalog.access_json(flavor, projects),
    )


def _key_value(text: str, action: Change) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or (action is Change.SET and not equals):
        raise typer.BadParameter(f"'{text}' is not KEY=VALUE.", param_hint="'KEY=VALUE...'")
    return key, value


def _truth(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise typer.BadParameter(f"'{text}' is neither true nor false.", param_hint="'--is-public'")
