"""``--nic`` of boot: which network a card is on, and with which address."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from gateway.cli.resolve import as_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.cli.client import Client
    from protos.novaray.v1.instances_pb2 import RequestedNetwork

_FORM: Final = "net-id=ID|net-name=LABEL[,v4-fixed-ip=ADDRESS]"
_KEYS: Final = ("net-id", "net-name", "v4-fixed-ip")


@dataclass(frozen=True, slots=True)
class Nic:
    """One card, as the command line says it. Of id and name one is empty."""

    network_id: str = ""
    network_name: str = ""
    address: str = ""


def read_nics(items: "Iterable[str]") -> list[Nic]:
    """The cards that the options ask for.

    Raises:
        BadParameter: One cannot be read.
    """
    return [_read(item) for item in items]


def requested(client: "Client", nics: "Iterable[Nic]") -> "list[RequestedNetwork]":
    """The cards in the server's words.

    Raises:
        Failure: No network of this name, or several.
    """
    from gateway.cli import lookup
    from protos.novaray.v1.instances_pb2 import RequestedNetwork

    return [
        RequestedNetwork(
            # Whether there is a network with this id the server says by itself.
            network=f"networks/{nic.network_id}"
            if nic.network_id
            else lookup.find_network(client, nic.network_name).name,
            address=nic.address,
        )
        for nic in nics
    ]


def _read(item: str) -> Nic:
    given: dict[str, str] = {}
    for part in item.split(","):
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value or key in given:
            raise _wrong(item, f"it has the form {_FORM}")
        given[key] = value
    if ("net-id" in given) == ("net-name" in given):
        raise _wrong(item, "give either net-id or net-name")
    network_id = as_uuid(given["net-id"]) if "net-id" in given else ""
    if network_id is None:
        raise _wrong(item, f"'{given['net-id']}' is not a UUID")
    return Nic(network_id, given.get("net-name", ""), given.get("v4-fixed-ip", ""))


def _wrong(item: str, why: str) -> typer.BadParameter:
    return typer.BadParameter(f"'{item}': {why}.", param_hint="'--nic'")
