"""VolumeActor as a plain object: ``@ray.method`` gives its methods the type of their handles."""

from typing import cast

from actors.ports.clock import Clock
from actors.ports.store import Store
from actors.ports.volumes import Volumes
from actors.volume import VolumeActor, VolumeHosts


def volume_actor(
    store: Store, hosts: VolumeHosts, clock: Clock, *, shared: bool = False
) -> Volumes:
    """An actor in this process. Needs a running loop."""
    return cast("Volumes", VolumeActor(store, hosts, clock, shared=shared))
