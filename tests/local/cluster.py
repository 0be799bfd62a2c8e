"""The whole cluster in one event loop: what Ray does between actors is done here by a call.

Everything else is real: the actor shells, SQLite on disk, libvirt's test driver. A *crash* of an
actor drops it with all its tasks and makes a new one, which knows only what is on disk.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt

from actors.conductor import ConductorActor
from actors.drivers.libvirt.hypervisor import LibvirtHypervisor
from actors.drivers.libvirt.pool_disks import POOL
from actors.drivers.libvirt.settings import LibvirtSettings
from actors.drivers.libvirt.storage_xml import Volume
from actors.drivers.libvirt.testnode import write_test_node
from actors.host import HostActor, HostPorts, HostSettings
from actors.hostnet.no_network import NoNetwork
from actors.image import ImageActor
from actors.instance import InstanceActor
from actors.lifecycle.due import Policy
from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.details import Details
from actors.model.edits import InstanceEdit
from actors.model.errors import Unavailable
from actors.model.flat_network import default_network
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.guest_data import GuestData
from actors.model.host import HostUsage
from actors.model.ids import (
    HostId,
    ImageId,
    InstanceId,
    NetworkId,
    ProjectId,
    RequestId,
    UserId,
    VolumeId,
    instance_id_for,
    operation_id,
)
from actors.model.image import BootFile, BootSource, DiskFormat, Image
from actors.model.instance import InstanceRecord
from actors.model.network import Network, WantedCard
from actors.model.operation import Action, OperationRecord
from actors.model.query import Accepted, EventKind
from actors.model.reply import unwrap
from actors.network import NetworkActor
from actors.ports.clock import Clock
from actors.ports.host import HostStep, PowerReport
from actors.ports.hypervisor import HostNetwork
from actors.ports.metrics import NoMetrics
from actors.ports.network import PortRelease, PortRequest
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Table
from actors.sagas.saga import Cluster
from actors.scheduler import SchedulerActor
from actors.volume import VolumeActor
from cluster.runtime import SystemClock
from tests.local.gates import ScriptedGate
from tests.local.records import SOURCE
from tests.sagas.points import TELLS, details_of

PROJECT = ProjectId("3c6e7f0aa1b24c0d9e8f7a6b5c4d3e2f")
USER = UserId("alice")
_SCOPES = (libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
#: It can grow while it runs.
MICRO = DEFAULT_FLAVORS[-1].evolve(
    extra_specs={"novaray:max_memory_mb": "512", "novaray:max_vcpus": "4"}
)
#: Deleted instances can be restored for an hour.
KEEPING = Policy(reclaim_seconds=3600.0)


class Link:
    """Reaches an actor by what it is now; says ``Unavailable`` while it is away."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    async def call(self, method: str, *args: object) -> Any:
        actor = self._find()
        if actor is None:
            raise Unavailable("The actor is away.", "ACTOR_UNAVAILABLE")
        served = asyncio.create_task(getattr(actor, method)(*args))
        calls = actor.__dict__.setdefault("calls_under_way", set())
        calls.add(served)
        try:
            return await served
        except asyncio.CancelledError:
            if actor is self._find():
                raise  # the caller was cancelled, not the actor
            raise Unavailable("The actor died.", "ACTOR_UNAVAILABLE") from None
        finally:
            calls.discard(served)

    async def one(self, method: str, item: object) -> Any:
        return unwrap((await self.call(method, (item,)))[0])


class LocalStore(Link):
    """``ports.store.Store`` on the conductor."""

    def __getattr__(self, name: str) -> Any:
        async def forward(*args: object) -> Any:
            return await self.call(name, *args)

        return forward


class LocalScheduler(LocalStore):
    async def claim(self, request: ClaimRequest) -> Any:
        return await self.one("claim_many", request)

    async def release(self, release: Release) -> None:
        await self.one("release_many", release)


class LocalNetworks(LocalStore):
    async def allocate(self, request: PortRequest) -> Any:
        return await self.one("allocate_many", request)

    async def release(self, release: PortRelease) -> None:
        await self.one("release_many", release)


class LocalInstances(LocalStore):
    async def create(self, command: CreateInstance) -> Accepted:
        return await self.one("create_many", command)  # type: ignore[no-any-return]

    async def submit(self, command: InstanceCommand) -> Accepted:
        return await self.one("submit_many", command)  # type: ignore[no-any-return]

    async def edit(self, edit: InstanceEdit) -> InstanceRecord:
        return await self.one("edit_many", edit)  # type: ignore[no-any-return]

    async def get(self, instance: InstanceId) -> InstanceRecord:
        return await self.one("get_many", instance)  # type: ignore[no-any-return]

    async def operation(self, operation: str) -> OperationRecord:
        return await self.one("operation_many", operation)  # type: ignore[no-any-return]


@dataclass
class LocalHosts:
    """``ports.host.Hosts``."""

    find: Callable[[HostId], Any]

    def host(self, host_id: HostId) -> LocalStore:
        return LocalStore(lambda: self.find(host_id))


@dataclass
class LocalCluster:
    """The actors, and what they know of one another."""

    folder: Path
    gate: ScriptedGate = field(default_factory=ScriptedGate)
    hosts: int = 1
    actors: dict[str, Any] = field(default_factory=dict)
    hypervisors: dict[str, "Kept"] = field(default_factory=dict)
    flavor: Flavor = MICRO
    grace_seconds: float = 0.5
    resize_to_same_host: bool = True
    volumes_shared: bool = False
    policy: Policy = KEEPING
    clock: Clock = field(default_factory=SystemClock)
    #: The networks of a host, by its name.
    wires: Callable[[str], HostNetwork] = field(default=lambda _: NoNetwork())

    def __post_init__(self) -> None:
        self.store = LocalStore(lambda: self.actors.get("conductor"))
        self.scheduler = LocalScheduler(lambda: self.actors.get("scheduler"))
        self.network = LocalNetworks(lambda: self.actors.get("network"))
        self.images = LocalStore(lambda: self.actors.get("images"))
        self.volume_owner = LocalStore(lambda: self.actors.get("volumes"))
        self.instances = LocalInstances(lambda: self.actors.get("instances"))
        self.source: BootSource | None = None
        #: What instances are rebuilt from, and rescued with.
        self.other: BootSource | None = None

    async def start(self) -> None:
        """Everything, and one image."""
        for name in ("conductor", "scheduler", "network", "images", "volumes", "instances"):
            self.spawn(name)
        for number in range(1, self.hosts + 1):
            self.spawn(f"host{number}")
        await self.network.ensure_network(_network(self.clock))
        self.source = await self._register(1)
        self.other = await self._register(2)
        async with asyncio.timeout(30):
            while len([u for u in await self.usages() if not u.record.trouble]) < self.hosts:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    def spawn(self, name: str) -> None:
        """Make an actor."""
        self.actors[name] = self._make(name)

    async def crash(self, name: str) -> None:
        """Drop an actor with all its tasks, as ``kill -9`` does, and make a new one.

        The libvirt driver of a host stays: libvirtd outlives our process.
        """
        await self.kill(name)
        self.spawn(name)

    async def kill(self, name: str) -> None:
        """Drop an actor with all its tasks."""
        actor = self.actors.pop(name)
        await _drop(actor)

    def lose_patience(self) -> None:
        """A delete leaves a host that is away alone after a moment, and not after 15 s."""
        self.actors["instances"]._engine.evict_after_seconds = 0.2

    async def stop(self) -> None:
        """Drop everything."""
        for name in reversed(list(self.actors)):
            await self.kill(name)
        for hypervisor in self.hypervisors.values():
            hypervisor.close()

    async def boot(
        self,
        name: str = "vm",
        request_id: str | None = None,
        volume: VolumeId | None = None,
        *,
        delete_volume: bool = False,
        cards: tuple[WantedCard, ...] = (),
    ) -> Accepted:
        """Create an instance; with a volume, one that boots from it."""
        assert self.source is not None
        request = RequestId(request_id or f"request-{name}")
        return await self.instances.create(
            CreateInstance(
                instance=instance_id_for(PROJECT, request),
                project=PROJECT,
                user=USER,
                request_id=request,
                name=name,
                flavor=self.flavor,
                source=self.source,
                guest_data=_told(instance_id_for(PROJECT, request), "first"),
                boot_volume=volume,
                delete_boot_volume=delete_volume,
                cards=cards,
            )
        )

    async def act(
        self,
        instance: InstanceId,
        action: Action,
        request_id: str | None = None,
        details: Details | None = None,
    ) -> Accepted:
        """Ask for an action on an instance."""
        return await self.instances.submit(
            InstanceCommand(
                instance=instance,
                project=PROJECT,
                user=USER,
                request_id=RequestId(request_id or f"{action.value}-{instance}"),
                action=action,
                grace_seconds=self.grace_seconds,
                details=details or details_of(action, self.other or SOURCE),
                guest_data=_told(instance, "another") if action in TELLS else None,
                guest_data_keeps=frozenset({"user_data"}),
            )
        )

    async def ended(self, operation: OperationRecord, seconds: float = 40) -> OperationRecord:
        """Wait until an operation has ended, by the event stream, across crashes."""
        async with asyncio.timeout(seconds):
            position = 0
            while True:
                try:
                    batch = await self.store.events_after(position, 1000, 0.5)
                except Unavailable:
                    await asyncio.sleep(0.005)
                    continue
                position = batch.next_sequence
                for event in batch.events:
                    if event.kind is EventKind.OPERATION and event.id == operation.id:
                        found: OperationRecord = event.operation()
                        if found.done:
                            return found

    async def usages(self) -> tuple[HostUsage, ...]:
        usages: tuple[HostUsage, ...] = await self.scheduler.hosts()
        return usages

    async def claims(self) -> int:
        """Claims on disk."""
        return len(await self.store.load(Table.CLAIMS))

    async def ports(self) -> int:
        """Ports on disk."""
        return len(await self.store.load(Table.PORTS))

    def domains(self) -> dict[str, str]:
        """Power state of every domain on every host, by instance id."""
        return {
            guest.instance: guest.power_state.value
            for hypervisor in self.hypervisors.values()
            for guest in hypervisor.guests()
        }

    def vcpus(self, instance: InstanceId) -> list[int]:
        """What the guest has, and what its definition says."""
        found = []
        for one in self.hypervisors.values():
            with one.hypervisor._use("count vCPUs") as conn, suppress(libvirt.libvirtError):
                domain = conn.lookupByUUIDString(instance)
                found += [domain.vcpusFlags(flag) for flag in _SCOPES]
        return found

    def volumes(self) -> dict[str, str]:
        """The file below each disk, by the disk's name without the instance's id."""
        return {
            volume.name[36:]: Path(volume.backing or "").name
            for name in self.hypervisors
            for volume in self._volumes(name)
        }

    def disk_sizes(self, host: str) -> dict[str, int]:
        """The bytes that a guest sees of each disk on a host, by the disk's name."""
        return {volume.name: volume.capacity for volume in self._volumes(host)}

    def _volumes(self, host: str) -> list[Volume]:
        with self.hypervisors[host].hypervisor._use("list volumes") as conn:
            if POOL not in [pool.name() for pool in conn.listAllStoragePools()]:
                return []
            pool = conn.storagePoolLookupByName(POOL)
            return [Volume.from_text(each.XMLDesc(0)) for each in pool.listAllVolumes()]

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait for what no event tells of."""
        async with asyncio.timeout(30):
            while not what():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def until_none(self, table: Table) -> None:
        """Wait until a table is empty."""
        async with asyncio.timeout(30):
            while await self.store.load(table):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def told(self) -> int:
        """Versions of guest data on disk."""
        return len(await self.store.load(Table.GUEST_DATA))

    def disks(self) -> set[str]:
        """Instances that have a folder on a host."""
        return {path.name for path in self.folder.glob("host*/instances/*")}

    def _make(self, name: str) -> Any:
        if name == "conductor":
            return ConductorActor(str(self.folder / "novaray.sqlite"), 1)
        if name == "scheduler":
            return SchedulerActor(
                self.store, self.clock, resize_to_same_host=self.resize_to_same_host
            )
        if name == "network":
            return NetworkActor(self.store, self.clock)
        if name == "images":
            return ImageActor(self.store, self.clock, str(self.folder / "images"))
        if name == "volumes":
            return VolumeActor(
                self.store, LocalHosts(self._host), self.clock, shared=self.volumes_shared
            )
        if name == "instances":
            cluster = Cluster(
                self.scheduler,
                self.network,
                LocalHosts(self._host),
                self.images,
                self.volume_owner,
            )
            return InstanceActor(
                0, 1, self.store, cluster, self.clock, self.gate, NoMetrics(), policy=self.policy
            )
        return self._make_host(name)

    def _make_host(self, name: str) -> Any:
        folder = self.folder / name
        hypervisor = self.hypervisors.get(name)
        if hypervisor is None:
            uri = write_test_node(folder)
            hypervisor = Kept(LibvirtHypervisor(LibvirtSettings(uri=uri, state_dir=folder)))
            self.hypervisors[name] = hypervisor
        ports = HostPorts(
            store=self.store,
            scheduler=self.scheduler,
            reports=_Reports(self.instances),
            images=self.images,
            networks=self.network,
            hosts=LocalHosts(self._host),
            clock=self.clock,
            gate=self.gate,
        )
        settings = HostSettings(host_id(name), name, folder, 0.2, 0.5)
        return HostActor(settings, ports, lambda: hypervisor, lambda: self.wires(name))

    def _host(self, wanted: HostId) -> Any:
        for name in (f"host{number}" for number in range(1, self.hosts + 1)):
            if host_id(name) == wanted:
                return self.actors.get(name)
        return None

    async def _register(self, number: int) -> BootSource:
        file = self.folder / f"image-{number}.raw"
        file.write_bytes(b"disk" * 1024 * number)
        image = Image(
            id=ImageId(f"11111111-1111-4111-8111-11111111111{number}"),
            project=PROJECT,
            name=("cirros", "other")[number - 1],
            disk_format=DiskFormat.RAW,
            created=self.clock.now(),
        )
        image = await self.images.register(image, str(file))
        boot = BootFile(
            image=image.id, sha256=image.sha256, size=image.size, disk_format=image.disk_format
        )
        return BootSource(
            image=image.id, image_name=image.name, disk=boot, virtual_size=image.virtual_size
        )


def _told(instance: InstanceId, password: str) -> GuestData:
    return GuestData(
        id=operation_id(instance, 1), instance=instance, user_data="aGk=", admin_password=password
    )


class Kept:
    """A hypervisor that outlives its actors: what libvirtd is to HostActors."""

    def __init__(self, hypervisor: LibvirtHypervisor) -> None:
        self.hypervisor = self._hypervisor = hypervisor
        #: Why libvirtd is away; empty while it is there.
        self.away = ""
        self._power: Callable[..., None] | None = None
        self._link: Callable[..., None] | None = None

    def open(self, power: Callable[..., None], connection: Callable[..., None]) -> None:
        first = self._power is None
        self._power, self._link = power, connection
        if first:
            self._hypervisor.open(self._on_power, self._on_link)
        else:
            connection(True, "")

    def _on_power(self, *news: object) -> None:
        if self._power is not None:
            self._power(*news)

    def _on_link(self, *news: object) -> None:
        if self._link is not None:
            self._link(*news)

    def tell(self, *news: object) -> None:
        """What libvirt's event thread says."""
        self._on_power(*news)

    def leave(self, why: str) -> None:
        """What it is like when libvirtd stops."""
        self.away = why
        self._on_link(False, f"libvirt: {why}")

    def come_back(self) -> None:
        """What it is like when libvirtd is started again."""
        self.away = ""
        self._on_link(True, "")

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable(f"libvirt: {self.away}", "LIBVIRT_UNAVAILABLE")
        return getattr(self._hypervisor, name)


@dataclass
class _Reports:
    instances: LocalInstances

    async def power(self, reports: tuple[PowerReport, ...]) -> None:
        await self.instances.call("power", reports)

    async def progress(self, instance: InstanceId, sequence: int, step: HostStep) -> None:
        await self.instances.call("progress", instance, sequence, step)

    async def placed(self, host: HostId) -> tuple[InstanceRecord, ...]:
        placed: tuple[InstanceRecord, ...] = await self.instances.call("placed", host)
        return placed


def host_id(name: str) -> HostId:
    """A host's UUID."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return HostId(f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}")


def _network(clock: Clock) -> Network:
    return default_network(NetworkId("22222222-2222-4222-8222-222222222222"), clock.now())


async def _drop(actor: Any) -> None:
    """Cancel every task of an actor, and of the cells in it."""
    # Again and again: Python 3.11's wait_for can swallow a cancellation, and an owner whose commit
    # was cut off loads again.
    while tasks := _tasks_of(actor):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.05)
    if isinstance(actor, HostActor):
        actor._threads.shutdown(wait=True)
    if isinstance(actor, ConductorActor):
        close: Any = actor.close
        await close()


def _tasks_of(actor: Any) -> set["asyncio.Task[Any]"]:
    tasks = {task for task in asyncio.all_tasks() if _belongs(task, actor)}
    return tasks | {task for task in actor.__dict__.get("calls_under_way", ()) if not task.done()}


def _belongs(task: "asyncio.Task[Any]", actor: Any) -> bool:
    """Whether the task runs a method of the actor, or of something the actor made."""
    coroutine = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    owner = frame.f_locals.get("self") if frame is not None else None
    return owner is not None and (owner is actor or owner in _parts(actor))


def _parts(actor: Any) -> list[Any]:
    # An owner that is loading would take the epoch from the successor, as no dead process can.
    parts = [getattr(actor, name, None) for name in ("_owner", "_follower")]
    return [*getattr(actor, "_cells", {}).values(), *parts]


@asynccontextmanager
async def local_cluster(
    folder: Path,
    hosts: int = 1,
    *,
    resize_to_same_host: bool = True,
    volumes_shared: bool = False,
) -> AsyncIterator[LocalCluster]:
    """A cluster that is gone afterwards."""
    cluster = LocalCluster(
        folder, hosts=hosts, resize_to_same_host=resize_to_same_host, volumes_shared=volumes_shared
    )
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
