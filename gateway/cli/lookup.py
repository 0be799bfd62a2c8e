"""Finding what the user named, with as few calls as it takes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from gateway.cli import resolve
from gateway.cli.failures import Failure
from gateway.cli.views import catalog, instances
from gateway.cli.views import images as image_view
from gateway.cli.views import networks as network_view
from gateway.cli.views import volumes as volume_view

if TYPE_CHECKING:
    from gateway.cli.client import Client
    from protos.novaray.v1.flavors_pb2 import Flavor
    from protos.novaray.v1.images_pb2 import Image
    from protos.novaray.v1.instances_pb2 import Instance
    from protos.novaray.v1.networks_pb2 import Network
    from protos.novaray.v1.volumes_pb2 import Volume, VolumeSnapshot

#: How many of the same name are listed as candidates.
_CANDIDATES: Final = 50
#: What a list otherwise does not show.
_KEPT: Final = 'state = "SOFT_DELETED"'
#: How many names are looked through for similar ones.
_NEIGHBOURS: Final = 1000


def find_instance(client: Client, text: str) -> Instance:
    """The instance with this id, else the only one with this name.

    Raises:
        Failure: None, or several.
    """
    return _find(client, text)


def find_deleted(client: Client, text: str) -> Instance:
    """The instance with this id, else the only one of this name that a delete has kept.

    Raises:
        Failure: None, or several.
    """
    return _find(client, text, _KEPT)


def find_deleted_or_not(client: Client, text: str) -> Instance:
    """As ``find_instance``; where there is none, as ``find_deleted``.

    Raises:
        Failure: None, or several.
    """
    try:
        return find_instance(client, text)
    except Failure as failure:
        if failure.reason != "SERVER_NOT_FOUND":
            raise
        try:
            return find_deleted(client, text)
        except Failure as other:
            # What is nearly of this name is more likely meant where it lives.
            raise (failure if other.reason == failure.reason else other) from None


def _find(client: Client, text: str, filter_text: str = "") -> Instance:
    if uid := resolve.as_uuid(text):
        try:
            return client.get_instance(client.instance_name(uid))
        except Failure as failure:
            if failure.code != "NOT_FOUND":
                raise
    named = " AND ".join(filter(None, (condition("display_name", text), filter_text)))
    found = list(client.list_instances(named, limit=_CANDIDATES))
    if len(found) == 1:
        return found[0]
    if found:
        raise resolve.ambiguous(resolve.SERVER, text, [instances.candidate(i) for i in found])
    # Names are only fetched to be helpful, so only once somebody needs help.
    near = itertools.islice(client.list_instances(filter_text, limit=_NEIGHBOURS), _NEIGHBOURS)
    raise resolve.unknown(resolve.SERVER, text, (i.display_name for i in near))


def find_flavor(client: Client, text: str) -> Flavor:
    """The flavor with this id or name.

    Raises:
        Failure: None, or several.
    """
    flavors = {f.name: f for f in client.list_flavors()}
    candidates = [catalog.flavor_candidate(f) for f in flavors.values()]
    return flavors[f"flavors/{resolve.pick(resolve.FLAVOR, text, candidates).id}"]


def find_image(client: Client, text: str) -> Image:
    """The image with this id, else the only one with this name.

    Raises:
        Failure: None, or several.
    """
    images = {i.name: i for i in client.list_images()}
    candidates = [image_view.candidate(i) for i in images.values()]
    return images[f"images/{resolve.pick(resolve.IMAGE, text, candidates).id}"]


def find_volume(client: Client, text: str) -> Volume:
    """The volume with this id, else the only one with this name.

    Raises:
        Failure: None, or several.
    """
    volumes = {v.uid: v for v in client.list_volumes()}
    candidates = [volume_view.candidate(v) for v in volumes.values()]
    return volumes[resolve.pick(resolve.VOLUME, text, candidates).id]


def find_volume_snapshot(client: Client, text: str) -> VolumeSnapshot:
    """The snapshot of a volume with this id, else the only one with this name.

    Raises:
        Failure: None, or several.
    """
    snapshots = {s.uid: s for s in client.list_volume_snapshots()}
    candidates = [volume_view.snapshot_candidate(s) for s in snapshots.values()]
    return snapshots[resolve.pick(resolve.SNAPSHOT, text, candidates).id]


def find_network(client: Client, text: str) -> Network:
    """The network with this id, else the only one of this name that servers here may be on.

    Raises:
        Failure: None, or several.
    """
    if uid := resolve.as_uuid(text):
        try:
            return client.get_network(f"networks/{uid}")
        except Failure as failure:
            if failure.code != "NOT_FOUND":
                raise
    networks = {n.uid: n for n in client.list_networks()}
    candidates = [network_view.candidate(n) for n in networks.values()]
    return networks[resolve.pick(resolve.NETWORK, text, candidates).id]


def condition(field: str, value: str) -> str:
    """One condition of a list filter (AIP-160), with the value quoted."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field} = "{escaped}"'
