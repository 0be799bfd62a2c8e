"""The EC2 tree (Nova: ``get_ec2_metadata``), for guests older than OpenStack's.

Nova serves nine versions from 1.0 on. What reads this tree asks for the last of them or for
``latest``, and those are the two that Nova's config drive has.
"""

from typing import Final

from actors.guestdata.guest import Guest, json_bytes
from actors.model.image import BootFile

EC2_VERSIONS: Final = ("2009-04-04", "latest")

#: EC2's ids have had 17 hexadecimal digits since 2016.
_DIGITS: Final = 17

#: A directory, or what a file says.
Node = dict[str, "Node"] | str


def ec2_meta_data(guest: Guest) -> dict[str, Node]:
    """What is below ``meta-data``. A directory's name may end in ``=…``: see ``listing``."""
    record = guest.record
    source = record.source
    address = str(record.nics[0].address) if record.nics else ""
    tree: dict[str, Node] = {
        "ami-id": _id("ami", source.image),
        "ami-launch-index": "0",
        "ami-manifest-path": "FIXME",  # Nova's word: there has never been a manifest
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": guest.hostname,
        "instance-action": "none",
        "instance-id": _id("i", record.id),
        "instance-type": record.flavor.name,
        "local-hostname": guest.hostname,
        "local-ipv4": address,
        "placement": {"availability-zone": record.availability_zone},
        "public-hostname": guest.hostname,
        "public-ipv4": "",
        "reservation-id": _id("r", record.id),
        "security-groups": "default",
    }
    tree.update(_boot_files(source.kernel, source.ramdisk))
    if record.key_name and guest.public_key:
        tree["public-keys"] = {f"0={record.key_name}": {"openssh-key": guest.public_key}}
    return tree


def ec2_tree(guest: Guest) -> dict[str, bytes]:
    """All files below ``ec2/`` on a config drive, by path."""
    meta_data = ec2_meta_data(guest)
    if keys := meta_data.pop("public-keys", None):
        assert isinstance(keys, dict)
        meta_data["public-keys"] = {"0": next(iter(keys.values()))}
    tree = {}
    for version in EC2_VERSIONS:
        tree[f"{version}/meta-data.json"] = json_bytes(meta_data)
        if guest.user_data is not None:
            tree[f"{version}/user-data"] = guest.user_data
    return tree


def find(tree: Node, path: tuple[str, ...]) -> Node | None:
    """What lies at a path; None where nothing does."""
    for part in path:
        if not isinstance(tree, dict):
            return None
        names = {name.partition("=")[0]: name for name in tree}
        if part not in names:
            return None
        tree = tree[names[part]]
    return tree


def listing(tree: Node) -> str:
    """What EC2 answers: a file's text, or the names in a directory.

    Directories end in ``/``, but for those of keys: ``0=mykey`` is the directory ``0``.
    """
    if isinstance(tree, str):
        return tree
    return "\n".join(
        f"{name}/" if isinstance(node, dict) and "=" not in name else name
        for name, node in sorted(tree.items())
    )


def _id(kind: str, uuid: str) -> str:
    """EC2's name for what has a UUID. Nova counts in its database instead."""
    return f"{kind}-{uuid.replace('-', '')[:_DIGITS]}"


def _boot_files(kernel: BootFile | None, ramdisk: BootFile | None) -> dict[str, Node]:
    files: dict[str, Node] = {}
    if kernel is not None:
        files["kernel-id"] = _id("aki", kernel.image)
    if ramdisk is not None:
        files["ramdisk-id"] = _id("ari", ramdisk.image)
    return files
