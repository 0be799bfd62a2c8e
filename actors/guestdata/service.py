"""What the metadata service answers (Nova: ``InstanceMetadata.lookup``)."""

from dataclasses import dataclass
from typing import Final

from actors.guestdata.ec2 import EC2_VERSIONS, ec2_meta_data, find, listing
from actors.guestdata.guest import Guest
from actors.guestdata.openstack import OPENSTACK_VERSIONS, openstack_tree

_TEXT: Final = "text/plain"
_JSON: Final = "application/json"
_BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its MIME type."""

    body: bytes
    content_type: str = _TEXT


def answer(guest: Guest, path: str) -> Answer | None:
    """What is at a URL's path; None where nothing is.

    Below ``/openstack`` lies OpenStack's tree, at ``/`` and at ``/ec2`` EC2's. A directory answers
    with the names in it. A slash more or less does not matter.
    """
    parts = tuple(part for part in path.split("/") if part)
    match parts:
        case ("openstack", *rest):
            return _openstack(guest, tuple(rest))
        case ("ec2", *rest):
            return _ec2(guest, tuple(rest))
        case _:
            return _ec2(guest, parts)


def _openstack(guest: Guest, parts: tuple[str, ...]) -> Answer | None:
    if not parts:
        return _lines(OPENSTACK_VERSIONS)
    versions = tuple(version for version in OPENSTACK_VERSIONS if version == parts[0])
    tree = openstack_tree(guest, with_password=False, versions=versions)
    path = "/".join(parts)
    if path in tree:
        return Answer(tree[path], _type_of(parts))
    names = [name.removeprefix(f"{path}/") for name in tree if name.startswith(f"{path}/")]
    return _lines(names) if names and path in OPENSTACK_VERSIONS else None


def _ec2(guest: Guest, parts: tuple[str, ...]) -> Answer | None:
    match parts:
        case ():
            return _lines(EC2_VERSIONS)
        case (version, *_) if version not in EC2_VERSIONS:
            return None
        case (_,):
            return _lines(["meta-data/"] + ["user-data"] * (guest.user_data is not None))
        case (_, "user-data"):
            return None if guest.user_data is None else Answer(guest.user_data, _BINARY)
        case (_, "meta-data", *rest):
            node = find(ec2_meta_data(guest), tuple(rest))
            return None if node is None else Answer(listing(node).encode())
        case _:
            return None


def _type_of(parts: tuple[str, ...]) -> str:
    if parts[-1].endswith(".json"):
        return _JSON
    # What a tenant wrote, whatever it is.
    return _BINARY


def _lines(names: list[str] | tuple[str, ...]) -> Answer:
    return Answer("\n".join(names).encode())
