"""The OpenStack tree (Nova: ``nova/api/metadata/base.py``), version by version.

Each version has what it had when it was new. Guests read ``latest`` or the newest that they know.
"""

from typing import Final

from actors.guestdata.guest import Guest, Json, json_bytes
from actors.model.network import Nic

_FOLSOM: Final = "2012-08-10"
_GRIZZLY: Final = "2013-04-04"
_HAVANA: Final = "2013-10-17"
_LIBERTY: Final = "2015-10-15"
_NEWTON_ONE: Final = "2016-06-30"
_NEWTON_TWO: Final = "2016-10-06"
_OCATA: Final = "2017-02-22"
_ROCKY: Final = "2018-08-27"
_VICTORIA: Final = "2020-10-14"

#: Oldest first. As texts, too, each is less than those that came after it.
OPENSTACK_VERSIONS: Final = (
    _FOLSOM, _GRIZZLY, _HAVANA, _LIBERTY, _NEWTON_ONE, _NEWTON_TWO, _OCATA, _ROCKY, _VICTORIA,
    "latest",
)  # fmt: skip


def openstack_tree(
    guest: Guest, *, with_password: bool, versions: tuple[str, ...] = OPENSTACK_VERSIONS
) -> dict[str, bytes]:
    """The files below ``openstack/``, by path.

    Args:
        guest: Whose.
        with_password: Put ``admin_pass`` into ``meta_data.json``. On the drive alone, as in Nova:
            the service answers whatever process of the guest asks.
        versions: Of these alone. Injected files belong to none.
    """
    tree = {
        f"{version}/{name}": content
        for version in versions
        for name, content in _documents(guest, version, with_password=with_password).items()
    }
    tree.update((file.content_path, file.content) for file in guest.files)
    return tree


def _documents(guest: Guest, version: str, *, with_password: bool) -> dict[str, bytes]:
    documents = {"meta_data.json": json_bytes(_meta_data(guest, version, with_password))}
    if guest.user_data is not None:
        documents["user_data"] = guest.user_data
    vendor_data = guest.share.vendor_data
    if version >= _HAVANA:
        documents["vendor_data.json"] = json_bytes(vendor_data)
    if version >= _LIBERTY:
        documents["network_data.json"] = json_bytes(_network_data(guest))
    if version >= _NEWTON_TWO:
        documents["vendor_data2.json"] = json_bytes({"static": vendor_data} if vendor_data else {})
    return documents


def _meta_data(guest: Guest, version: str, with_password: bool) -> dict[str, Json]:
    record = guest.record
    document: dict[str, Json] = {
        "uuid": record.id,
        "hostname": guest.hostname,
        "name": record.name,
        "launch_index": 0,
        "availability_zone": record.availability_zone,
    }
    if record.metadata:
        document["meta"] = record.metadata
    if guest.files:
        document["files"] = [
            {"path": file.path, "content_path": f"/{file.content_path}"} for file in guest.files
        ]
    if record.key_name and guest.public_key:
        name, key = record.key_name, guest.public_key
        document["public_keys"] = {name: key}
        document["keys"] = [{"name": name, "type": "ssh", "data": key}]
    if with_password and guest.admin_password:
        document["admin_pass"] = guest.admin_password
    if version >= _GRIZZLY:
        document["random_seed"] = guest.random_seed
    if version >= _LIBERTY:
        document["project_id"] = record.project
    if version >= _NEWTON_ONE:
        document["devices"] = []
    if version >= _VICTORIA:
        document["dedicated_cpus"] = []
    return document


def _network_data(guest: Guest) -> dict[str, Json]:
    """Cards and where their addresses come from (Nova: ``nova/virt/netutils.py``).

    By DHCP all of them: it brings address, routes and MTU.
    """
    nics = guest.record.nics
    servers = dict.fromkeys(str(one) for nic in nics for one in nic.network.name_servers)
    return {
        "links": [_link(nic) for nic in nics],
        "networks": [
            {
                "id": f"network{number}",
                "type": "ipv4_dhcp",
                "link": nic.device,
                "network_id": nic.network.id,
            }
            for number, nic in enumerate(nics)
        ],
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def _link(nic: Nic) -> Json:
    return {
        "id": nic.device,
        "vif_id": nic.port,
        # The kind of card that Nova names for a tap device on a Linux bridge.
        "type": "bridge",
        "mtu": nic.network.mtu,
        "ethernet_mac_address": nic.mac,
    }
