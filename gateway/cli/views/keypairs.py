"""Key pairs: rows and JSON forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.views.words import iso_micros, json_time, word

if TYPE_CHECKING:
    from gateway.cli.failures import Json
    from protos.novaray.v1.keypairs_pb2 import Keypair

COLUMNS: Final = ("Name", "Type", "Fingerprint")


def row(keypair: Keypair) -> tuple[object, ...]:
    """The cells below ``COLUMNS``."""
    return keypair.display_name, _type(keypair), keypair.fingerprint


def properties(keypair: Keypair) -> list[tuple[str, object]]:
    """The rows of one key pair, as python-novaclient names them."""
    return [
        ("created_at", iso_micros(keypair.create_time)),
        ("fingerprint", keypair.fingerprint),
        ("name", keypair.display_name),
        ("type", _type(keypair)),
        ("user_id", _user(keypair)),
    ]


def as_json(keypair: Keypair) -> dict[str, Json]:
    """The JSON form."""
    return {
        "name": keypair.display_name,
        "type": _type(keypair),
        "fingerprint": keypair.fingerprint,
        "public_key": keypair.public_key,
        "user": _user(keypair),
        "created": json_time(keypair.create_time),
    }


def _type(keypair: Keypair) -> str:
    return word(keypair.Type, keypair.type, "TYPE_").lower()


def _user(keypair: Keypair) -> str:
    """The user in ``users/{user}/keypairs/{name}``: it may have a slash, the name has none."""
    return keypair.name.removeprefix("users/").rpartition("/keypairs/")[0]
