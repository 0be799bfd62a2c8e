"""network-create, network-list, network-show, network-delete."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands.each import each_of
from gateway.cli.options import (
    NETWORKS,
    AllProjectsOption,
    FormatOption,
    NetworkArgument,
    NetworksArgument,
    command,
)
from gateway.cli.session import Session, new_request_id, open_session
from gateway.cli.table import render, render_properties

if TYPE_CHECKING:
    from protos.novaray.v1.networks_pb2 import Network

app = typer.Typer()


class Kind(StrEnum):
    """How frames come from one host to another."""

    FLAT = "flat"
    VXLAN = "vxlan"


def _address(option: str, words: str, default: str | bool = False) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(
        option, metavar="ADDRESS", help=words, show_default=default
    )
    return found


@command(
    app,
    "network-create",
    NETWORKS,
    "nova network-create web --fixed-range-v4 10.1.0.0/24",
    "nova network-create lab --fixed-range-v4 10.2.0.0/16 --dns1 9.9.9.9",
    "nova network-create lan --fixed-range-v4 10.7.0.0/24 --kind flat --shared",
)
def network_create(
    ctx: typer.Context,
    label: Annotated[
        str, typer.Argument(metavar="LABEL", help="What to call it. Need not be unique.")
    ],
    fixed_range_v4: Annotated[
        str,
        typer.Option("--fixed-range-v4", metavar="CIDR", help="Its addresses: a /8 to a /29."),
    ],
    gateway: Annotated[
        str | None, _address("--gateway", "Where guests send what is for others.", "first address")
    ] = None,
    dhcp_server: Annotated[
        str | None, _address("--dhcp-server", "Of the DHCP server, on every host.", "next address")
    ] = None,
    dns1: Annotated[
        str | None, _address("--dns1", "Name server for guests.", "the network's own")
    ] = None,
    dns2: Annotated[str | None, _address("--dns2", "Another one.")] = None,
    allowed_start: Annotated[
        str | None, _address("--allowed-start", "The lowest that is given to guests.")
    ] = None,
    allowed_end: Annotated[
        str | None, _address("--allowed-end", "The highest that is given to guests.")
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option("--kind", help="flat, over a card of the hosts, is for admins."),
    ] = Kind.VXLAN,
    mtu: Annotated[
        int | None,
        typer.Option(
            "--mtu", min=576, max=9000, help="Largest packet, bytes.", show_default="what fits"
        ),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Every project may use it. For admins.")
    ] = False,
    form: FormatOption = None,
) -> None:
    """Make a network that servers can be on."""
    pool = _pool(allowed_start, allowed_end)
    session = open_session(ctx, form)

    from protos.novaray.v1.networks_pb2 import AddressRange, Network, Subnet

    asked = Network(
        display_name=label,
        kind=Network.Kind.Value(f"KIND_{kind.name}"),
        mtu=mtu or 0,
        shared=shared,
        dns_servers=[server for server in (dns1, dns2) if server is not None],
        subnets=[
            Subnet(
                cidr=fixed_range_v4,
                gateway=gateway or "",
                dhcp_server=dhcp_server or "",
                allocation_pools=[AddressRange(first=pool[0], last=pool[1])] if pool else [],
            )
        ],
    )
    _show(session, session.client.create_network(asked, new_request_id()))


@command(
    app,
    "network-list",
    NETWORKS,
    "nova network-list",
    "nova network-list --format json | jq -r '.[].id'",
)
def network_list(
    ctx: typer.Context, all_projects: AllProjectsOption = False, form: FormatOption = None
) -> None:
    """List the networks that servers of this project can be on."""
    session = open_session(ctx, form)

    from gateway.cli.views import networks

    found = list(session.client.list_networks(all_projects=all_projects))
    session.out.result(
        lambda: render(networks.COLUMNS, [networks.row(network) for network in found]),
        lambda: [networks.as_json(network) for network in found],
    )


@command(app, "network-show", NETWORKS, "nova network-show private")
def network_show(ctx: typer.Context, network: NetworkArgument, form: FormatOption = None) -> None:
    """Show a network."""
    session = open_session(ctx, form)
    _show(session, _find(session, network))


@command(app, "network-delete", NETWORKS, "nova network-delete web lab")
def network_delete(
    ctx: typer.Context, networks: NetworksArgument, form: FormatOption = None
) -> None:
    """Delete networks that no server is on."""
    session = open_session(ctx, form)

    def delete(network: str) -> str:
        found = _find(session, network)
        session.client.delete_network(found.name)
        return found.uid

    deleted, failures = each_of(session, dict.fromkeys(networks), delete)
    if session.out.is_json:
        session.out.result(str, lambda: list(deleted))
    if failures:
        raise typer.Exit(int(failures[0].exit_code))


def _pool(start: str | None, end: str | None) -> tuple[str, str] | None:
    if start is not None and end is not None:
        return start, end
    if start is not end:
        raise typer.BadParameter("Give both --allowed-start and --allowed-end, or neither.")
    return None


def _find(session: Session, network: str) -> "Network":
    from gateway.cli import lookup

    return lookup.find_network(session.client, network)


def _show(session: Session, network: "Network") -> None:
    from gateway.cli.views import networks

    session.out.result(
        lambda: render_properties(networks.properties(network)), lambda: networks.as_json(network)
    )
