"""Makes the actors: plain classes become Ray actors here, with their names, places and options.

Everything is spawned by name with ``get_if_exists``: spawning twice finds what is there.
"""

import functools
from typing import Any, Final

import ray

from actors.conductor import ConductorActor
from actors.handles.hosts import HostsHandle
from actors.handles.instances import InstancesHandle
from actors.handles.owners import ImagesHandle, NetworkHandle, SchedulerHandle, VolumesHandle
from actors.handles.remote import (
    CONDUCTOR,
    IMAGES,
    NAMESPACE,
    NETWORK,
    SCHEDULER,
    VOLUMES,
    host_name,
    instances_name,
)
from actors.host import HostActor, HostPorts, HostSettings
from actors.image import ImageActor
from actors.instance import InstanceActor
from actors.model.ids import HostId
from actors.network import NetworkActor
from actors.sagas.saga import Cluster
from actors.scheduler import SchedulerActor
from actors.volume import VolumeActor
from cluster.config import Settings
from cluster.gateway import GatewayActor, GatewaySettings
from cluster.hypervisor import make_hypervisor, make_network
from cluster.labels import CONTROL_LABEL, HOST_LABEL
from cluster.logs import logged
from cluster.metrics import RayMetrics
from cluster.names import gateway_name
from cluster.runtime import SystemClock, gate_for
from cluster.writer import WriterStore

#: An actor serves as many calls at once as come: they wait for one another's answers.
_CONCURRENCY: Final = 10_000


def _options(name: str, label: str, value: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        # Ray starts it again whenever its process dies; it then reads its state from the store.
        "max_restarts": -1,
        # A call is made once: who calls knows whether it may be repeated.
        "max_task_retries": 0,
        "max_concurrency": _CONCURRENCY,
        "num_cpus": 0,
        # One event a call to Ray's dashboard would cost several per cent of every operation.
        "enable_task_events": False,
        "label_selector": {label: value},
    }


def _make(actor: type[Any], options: dict[str, Any]) -> Any:  # noqa: ANN401 - Ray's own class
    return ray.remote(logged(actor, options["name"])).options(**options)


def spawn_control(settings: Settings, control: str) -> None:
    """The single owners and the partitions, on the node labelled ``control``."""
    clock, gate = SystemClock(), gate_for(settings.gates)
    store = WriterStore()

    def options(name: str) -> dict[str, Any]:
        return _options(name, CONTROL_LABEL, control)

    _make(ConductorActor, options(CONDUCTOR)).remote(
        str(settings.database), settings.partitions, settings.keep_events
    )
    _make(SchedulerActor, options(SCHEDULER)).remote(
        store,
        clock,
        settings.down_after_seconds,
        resize_to_same_host=settings.resize_to_same_host,
    )
    _make(NetworkActor, options(NETWORK)).remote(store, clock, cards_mtu=settings.network_mtu)
    _make(ImageActor, options(IMAGES)).remote(
        store, clock, str(settings.images_dir), settings.max_image_gb << 30
    )
    _make(VolumeActor, options(VOLUMES)).remote(
        store, HostsHandle(), clock, shared=settings.volumes_shared
    )
    cluster = Cluster(
        SchedulerHandle(), NetworkHandle(), HostsHandle(), ImagesHandle(), VolumesHandle()
    )
    for number in range(settings.partitions):
        _make(InstanceActor, options(instances_name(number))).remote(
            number,
            settings.partitions,
            store,
            cluster,
            clock,
            gate,
            RayMetrics(instances_name(number)),
            policy=settings.policy,
        )


def spawn_host(settings: Settings, host_id: HostId, name: str, partitions: int) -> None:
    """This host's HostActor, wherever the node with its UUID is."""
    ports = HostPorts(
        store=WriterStore(),
        scheduler=SchedulerHandle(),
        reports=InstancesHandle(partitions),
        images=ImagesHandle(),
        networks=NetworkHandle(),
        hosts=HostsHandle(),
        clock=SystemClock(),
        gate=gate_for(settings.gates),
    )
    identity = HostSettings(
        id=host_id,
        name=name,
        state_dir=settings.state_dir,
        heartbeat_seconds=settings.heartbeat_seconds,
        compare_seconds=settings.compare_seconds,
        unused_image_seconds=settings.unused_image_seconds,
    )
    _make(HostActor, _options(host_name(host_id), HOST_LABEL, host_id)).remote(
        identity,
        ports,
        functools.partial(make_hypervisor, settings),
        functools.partial(make_network, settings),
    )


def spawn_gateway(settings: GatewaySettings, host_id: HostId) -> None:
    """The gateway of the node with this host's UUID."""
    _make(GatewayActor, _options(gateway_name(settings.node), HOST_LABEL, host_id)).remote(settings)


def end_actor(name: str) -> bool:
    """End an actor for good; whether there was one."""
    try:
        actor = ray.get_actor(name, NAMESPACE)
    except ValueError:
        return False
    ray.kill(actor, no_restart=True)
    return True
