"""Makes the actors: plain classes become Ray actors here, with their names, places and options.

Everything is spawned by name with ``get_if_exists``: spawning twice finds what is there.
"""

import functools
from typing import Any, Final

import ray

from actors.conductor import ConductorActor
from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.drivers.libvirt.testnode import write_test_node
from actors.handles.conductor import ConductorHandle
from actors.handles.hosts import HostsHandle
from actors.handles.instances import InstancesHandle
from actors.handles.owners import ImagesHandle, NetworkHandle, SchedulerHandle
from actors.handles.remote import (
    CONDUCTOR,
    IMAGES,
    NAMESPACE,
    NETWORK,
    SCHEDULER,
    host_name,
    instances_name,
)
from actors.host import HostActor, HostPorts, HostSettings
from actors.hostnet.bridge_network import BridgeNetwork
from actors.hostnet.no_network import NoNetwork
from actors.image import ImageActor
from actors.instance import InstanceActor
from actors.model.host import Inventory
from actors.model.ids import HostId
from actors.network import NetworkActor
from actors.ports.hypervisor import HostNetwork
from actors.sagas.saga import Cluster
from actors.scheduler import SchedulerActor
from cluster.config import Settings
from cluster.runtime import SystemClock, gate_for

#: Ray node labels: which node keeps the record, and which host a node is.
CONTROL_LABEL: Final = "novaray-control"
HOST_LABEL: Final = "novaray-host"

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


def spawn_control(settings: Settings, control: str) -> None:
    """The single owners and the partitions, on the node labelled ``control``."""
    clock, gate = SystemClock(), gate_for(settings.gates)
    store = ConductorHandle()

    def options(name: str) -> dict[str, Any]:
        return _options(name, CONTROL_LABEL, control)

    ray.remote(ConductorActor).options(**options(CONDUCTOR)).remote(
        str(settings.database), settings.partitions, settings.keep_events
    )
    ray.remote(SchedulerActor).options(**options(SCHEDULER)).remote(
        store, clock, settings.down_after_seconds
    )
    ray.remote(NetworkActor).options(**options(NETWORK)).remote(store, clock)
    ray.remote(ImageActor).options(**options(IMAGES)).remote(store, clock, str(settings.images_dir))
    cluster = Cluster(SchedulerHandle(), NetworkHandle(), HostsHandle())
    for number in range(settings.partitions):
        ray.remote(InstanceActor).options(**options(instances_name(number))).remote(
            number, settings.partitions, store, cluster, clock, gate
        )


def spawn_host(settings: Settings, host_id: HostId, name: str, partitions: int) -> None:
    """This host's HostActor, wherever the node with its UUID is."""
    ports = HostPorts(
        store=ConductorHandle(),
        scheduler=SchedulerHandle(),
        reports=InstancesHandle(partitions),
        images=ImagesHandle(),
        clock=SystemClock(),
        gate=gate_for(settings.gates),
    )
    identity = HostSettings(
        id=host_id,
        name=name,
        state_dir=settings.state_dir,
        heartbeat_seconds=settings.heartbeat_seconds,
        compare_seconds=settings.compare_seconds,
    )
    ray.remote(HostActor).options(**_options(host_name(host_id), HOST_LABEL, host_id)).remote(
        identity,
        ports,
        functools.partial(make_hypervisor, settings),
        functools.partial(make_network, settings),
    )


def make_hypervisor(settings: Settings) -> LibvirtHypervisor:
    """The host's libvirt; made in the HostActor's own process, where its files lie."""
    uri = write_test_node(settings.state_dir) if settings.is_test else settings.libvirt_uri
    return LibvirtHypervisor(
        LibvirtSettings(
            uri=uri,
            state_dir=settings.state_dir,
            virt_type=settings.virt_type,
            cpu_ratio=settings.cpu_ratio,
            memory_ratio=settings.memory_ratio,
            disk_ratio=settings.disk_ratio,
            reserved_memory_mb=settings.reserved_memory_mb,
            inventory=_inventory(settings),
        )
    )


def make_network(settings: Settings) -> HostNetwork:
    """The host's side of the networks: none where no guest has packets."""
    if settings.is_test:
        return NoNetwork()
    return BridgeNetwork(settings.state_dir / "network", settings.network_uplink or None)


def _inventory(settings: Settings) -> Inventory | None:
    """What the operator says the host has, where all of it is said."""
    if settings.vcpus is None or settings.memory_mb is None or settings.disk_gb is None:
        return None
    return Inventory(
        vcpus=settings.vcpus,
        memory_mb=settings.memory_mb,
        disk_gb=settings.disk_gb,
        reserved_memory_mb=settings.reserved_memory_mb,
        cpu_ratio=settings.cpu_ratio,
        memory_ratio=settings.memory_ratio,
        disk_ratio=settings.disk_ratio,
    )
