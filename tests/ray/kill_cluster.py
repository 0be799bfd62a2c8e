"""A real cluster to kill processes of: Ray, SQLite, libvirt's test driver, in a folder of its own.

The test driver lives in the HostActor's process: killing that is what a power failure is to a
host, its domains are gone. What nobody here may kill are processes of other clusters: all are found
by this cluster's own folder, or by this cluster's own GCS.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import select
import shutil
import signal
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray._private.state
import ray.util
from ray._private.authentication_test_utils import reset_auth_token_state

from actors.handles.hosts import HostHandle
from actors.handles.remote import host_name, instances_name
from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.details import AttachVolume, DetachVolume, Details
from actors.model.errors import Unavailable
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.host import Claim
from actors.model.ids import (
    HostId,
    ImageId,
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    UserId,
    instance_id_for,
    volume_id_for,
)
from actors.model.image import BootFile, BootSource, DiskFormat, Image
from actors.model.instance import InstanceRecord, PowerState, Status
from actors.model.network import Port
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import Accepted, EventKind, InstanceQuery
from actors.model.volume import CreateVolume
from actors.ports.store import Table
from cluster import bootstrap, ray_cluster, spawn
from cluster.config import Settings
from cluster.connect import ClusterHandle, connect
from cluster.credentials import ensure_ray_token
from cluster.driver import joined
from cluster.identity import control_id, host_id, make_folders
from cluster.labels import CONTROL_LABEL, HOST_LABEL
from tests.ray.ports import free_ports
from tests.sagas.points import details_of

PROJECT = ProjectId("3c6e7f0aa1b24c0d9e8f7a6b5c4d3e2f")
USER = UserId("alice")
#: It can grow while it runs.
MICRO = DEFAULT_FLAVORS[-1].evolve(
    extra_specs={"novaray:max_memory_mb": "512", "novaray:max_vcpus": "4"}
)

#: A start, or an actor's way back; on a machine that others use too.
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.01
_EVENTS = 1000
_LISTEN_SECONDS = 1.0

Value = TypeVar("Value")


@dataclass(frozen=True)
class Gates:
    """The points at which actors are held (``cluster.runtime.FileGate``)."""

    folder: Path

    def close(self, point: str) -> None:
        """Hold whoever reaches the point from now on."""
        self._reached(point).unlink(missing_ok=True)
        self.folder.joinpath(point).touch()

    def open(self) -> None:
        """Let everybody pass."""
        for file in self.folder.iterdir():
            file.unlink(missing_ok=True)

    async def arrival(self, point: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until somebody is held at the point."""
        async with asyncio.timeout(seconds):
            while not self._reached(point).exists():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(_POLL_SECONDS)

    def _reached(self, point: str) -> Path:
        return self.folder / f"{point}.reached"


@dataclass(frozen=True)
class Remains:
    """What there is of instances, outside their own records."""

    domains: Mapping[InstanceId, PowerState]
    disks: Collection[str]
    claims: Sequence[InstanceId]
    ports: Sequence[InstanceId]


class KillCluster:
    """One node with all actors, as ``nova-manage up`` starts it, but for the gateway."""

    def __init__(self, folder: Path) -> None:
        self.gates = Gates(folder / "gates")
        self.gates.folder.mkdir()
        self.settings = Settings(
            state_dir=folder / "state",
            run_dir=folder / "run",
            config_dir=folder / "config",
            libvirt_uri="test://",
            dashboard=False,
            # Not loopback: where Ray is imported already it takes that for a mistake.
            node_address=str(ray.util.get_node_ip_address()),  # type: ignore[no-untyped-call]
            ray_port=free_ports(1)[0],
            host_name="kill-host",
            # Room for an instance, and the growth of some, at each point of each operation at once.
            vcpus=1024,
            memory_mb=1 << 20,
            disk_gb=1 << 14,
            gates=self.gates.folder,
            # Nothing happens by itself while a test looks.
            reclaim_instance_seconds=3600,
            shelved_offload_seconds=-1,
        )
        make_folders(self.settings)
        ensure_ray_token(self.settings)
        self.host: HostId = host_id(self.settings)
        self._driver = ExitStack()

    async def start(self) -> None:
        """Start Ray and all actors; this process is a driver of the cluster from then on."""
        labels = {CONTROL_LABEL: control_id(self.settings), HOST_LABEL: self.host}
        ray_cluster.start_node(self.settings, ray_cluster.node_spec(self.settings, labels))
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(self.settings.ray_token_file)
        reset_auth_token_state()  # another cluster's token may be known in this process
        self._driver.enter_context(joined(self.settings))
        self.spawn()
        logs = ray_cluster.logs_dir(self.settings)
        await bootstrap.eventually(
            lambda: bootstrap.ensure_catalog(self.settings), _READY_SECONDS, "network", logs
        )
        await bootstrap.eventually(
            lambda: bootstrap.host_is_up(self.host), _READY_SECONDS, "host", logs
        )

    def spawn(self) -> None:
        """Make the actors that are not there."""
        spawn.spawn_control(self.settings, control_id(self.settings))
        spawn.spawn_host(self.settings, self.host, "kill-host", self.settings.partitions)

    def actor_name(self, actor: str) -> str:
        """The Ray name: ``instances`` and ``host`` are short for the only ones there are."""
        return {"instances": instances_name(0), "host": host_name(self.host)}.get(actor, actor)

    async def pid(self, actor: str, after: int = 0) -> int:
        """The actor's process, once it lives; or the one after this."""
        name = self.actor_name(actor)
        async with asyncio.timeout(_READY_SECONDS):
            while True:
                table: dict[str, dict[str, Any]] = await asyncio.to_thread(
                    ray._private.state.actors
                )
                for one in table.values():
                    if (one["Name"], one["State"]) == (name, "ALIVE") and one["Pid"] != after:
                        return int(one["Pid"])
                await asyncio.sleep(_POLL_SECONDS)

    async def kill(self, actor: str) -> int:
        """Kill the actor's process with SIGKILL: it is dead when this returns its number."""
        pid = await self.pid(actor)
        self._kill([pid])
        return pid

    def kill_everything(self) -> None:
        """Kill all processes of this Ray cluster at once, with SIGKILL. All handles are dead."""
        # Not this one: it may not be a driver when its cluster goes.
        self._driver.close()
        self._kill([one.pid for one in ray_cluster.ray_processes(self.settings)])

    def end(self) -> None:
        """End what is left of it."""
        self._driver.close()
        ray_cluster.end_node(self.settings)

    def _kill(self, pids: Collection[int]) -> None:
        ours = {one.pid for one in ray_cluster.ray_processes(self.settings)}
        assert ours.issuperset(pids)
        with ExitStack() as files:
            descriptors = {}
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    descriptors[pid] = os.pidfd_open(pid)
                    files.callback(os.close, descriptors[pid])
            for descriptor in descriptors.values():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            for pid, descriptor in descriptors.items():
                dead, _, _ = select.select([descriptor], [], [], 60)
                assert dead, f"process {pid} does not die"


@dataclass
class Caller:
    """A user of the cluster, in one event loop."""

    cluster: KillCluster
    handles: ClusterHandle
    source: BootSource = field(init=False)

    async def new_image(self) -> None:
        """Boot from an image that no host has yet, from now on."""
        name = f"image-{secrets.token_hex(4)}"
        file = self.cluster.settings.run_dir / name
        file.write_bytes(secrets.token_bytes(4096))
        image = Image(
            id=ImageId(str(uuid.uuid4())),
            project=PROJECT,
            name=name,
            disk_format=DiskFormat.RAW,
            created=datetime.now(UTC),
        )
        made = await patiently(lambda: self.handles.images.register(image, str(file)))
        self.source = _source(made.id, name, made.sha256, made.size)

    def create(self) -> CreateInstance:
        """A request for an instance."""
        request = RequestId(str(uuid.uuid4()))
        return CreateInstance(
            instance=instance_id_for(PROJECT, request),
            project=PROJECT,
            user=USER,
            request_id=request,
            name="vm",
            flavor=MICRO,
            source=self.source,
        )

    async def boot(self) -> Accepted:
        """Create an instance."""
        request = self.create()
        return await patiently(lambda: self.handles.instances.create(request))

    async def running(self) -> InstanceId:
        """An instance that runs."""
        done = await self.done(await self.boot())
        assert done.state is OperationState.SUCCEEDED, done
        return done.instance

    async def after(self, *actions: Action) -> InstanceId:
        """An instance that ran, and to which this was done, one after another."""
        instance = await self.running()
        for action in actions:
            done = await self.done(await self.act(instance, action))
            assert done.state is OperationState.SUCCEEDED, done
        return instance

    async def boot_in_vain(self) -> Accepted:
        """Create an instance from an image that is gone: its boot fails, and is undone."""
        sha256 = hashlib.sha256(secrets.token_bytes()).hexdigest()
        gone = _source(ImageId(str(uuid.uuid4())), "gone", sha256, 4096)
        request = self.create().evolve(source=gone)
        return await patiently(lambda: self.handles.instances.create(request))

    async def act(
        self, instance: InstanceId, action: Action, details: Details | None = None
    ) -> Accepted:
        """Ask for an action on an instance. Each has a volume of its own to be given."""
        if action in (Action.ATTACH_VOLUME, Action.DETACH_VOLUME):
            details = await self._volume_of(instance, action)
        command = InstanceCommand(
            instance=instance,
            project=PROJECT,
            user=USER,
            request_id=RequestId(str(uuid.uuid4())),
            action=action,
            details=details or details_of(action, self.source),
            grace_seconds=0.5,
        )
        return await patiently(lambda: self.handles.instances.submit(command))

    async def ended(
        self, operations: Collection[OperationId], seconds: float = 120
    ) -> dict[OperationId, OperationRecord]:
        """The operations when all have ended; or as they are when the time is over."""
        found: dict[OperationId, OperationRecord] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                position = await self._position()
                found.update(await self._operations(operations))
                while not all(one.done for one in found.values()):
                    position = await self._listen(position, found)
        return found

    async def done(self, accepted: Accepted, seconds: float = 120) -> OperationRecord:
        """The operation when it has ended; or as it is when the time is over."""
        operation = accepted.operation.id
        return (await self.ended([operation], seconds))[operation]

    async def records(self) -> dict[InstanceId, InstanceRecord]:
        """All instances, those too that a plain list leaves out."""
        records: dict[InstanceId, InstanceRecord] = {}
        for status in (None, Status.SOFT_DELETED):
            query = InstanceQuery(project=PROJECT, status=status, limit=1000)
            page = await patiently(partial(self.handles.instances.list, query))
            records |= {record.id: record for record in page.items}
        return records

    async def delete_all(self, seconds: float = 120) -> None:
        """Delete all instances, and wait until that has ended."""
        deletes = [await self.act(one, Action.DELETE) for one in await self.records()]
        await self.ended([one.operation.id for one in deletes], seconds)

    async def remains(self) -> Remains:
        """What there is of all instances."""
        guests = await patiently(HostHandle(self.cluster.host).guests)
        claims = await patiently(lambda: self.handles.store.load(Table.CLAIMS))
        ports = await patiently(lambda: self.handles.store.load(Table.PORTS))
        return Remains(
            domains={guest.instance: guest.power_state for guest in guests},
            disks={path.name for path in self.cluster.settings.state_dir.glob("instances/*")},
            claims=[Claim.model_validate_json(body).instance for body in claims],
            ports=[Port.model_validate_json(body).instance for body in ports],
        )

    async def _volume_of(self, instance: InstanceId, action: Action) -> Details:
        """The same for each call: a volume is made once for an instance."""
        request = RequestId(str(uuid.uuid5(uuid.UUID(instance), "volume")))
        volume = volume_id_for(PROJECT, request)
        if action is Action.DETACH_VOLUME:
            return DetachVolume(volume=volume)
        command = CreateVolume(id=volume, project=PROJECT, user=USER, request_id=request, size_gb=1)
        await patiently(lambda: self.handles.volumes.create(command))
        return AttachVolume(volume=volume)

    async def _position(self) -> int:
        batch = await patiently(lambda: self.handles.instances.events_after(-1, 1, 0))
        return batch.next_sequence

    async def _operations(
        self, operations: Collection[OperationId]
    ) -> dict[OperationId, OperationRecord]:
        records = await asyncio.gather(
            *(patiently(partial(self.handles.instances.operation, one)) for one in operations)
        )
        return {record.id: record for record in records}

    async def _listen(self, position: int, found: dict[OperationId, OperationRecord]) -> int:
        batch = await patiently(
            lambda: self.handles.instances.events_after(position, _EVENTS, _LISTEN_SECONDS)
        )
        for event in batch.events:
            if event.kind is EventKind.OPERATION and event.id in found:
                record = event.operation()
                found[record.id] = record
        return batch.next_sequence


async def patiently(call: Callable[[], Awaitable[Value]]) -> Value:
    """Repeat a call while its actor is away."""
    while True:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(_POLL_SECONDS)


async def caller(cluster: KillCluster) -> Caller:
    """A user with an image that no host has yet."""
    made = Caller(cluster, await patiently(connect))
    await made.new_image()
    return made


@contextmanager
def kill_cluster() -> Iterator[KillCluster]:
    """A cluster that runs, and is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="novaray-kill-"))
    with _environment_restored(), ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        cluster = KillCluster(folder)
        stack.callback(cluster.end)
        asyncio.run(cluster.start())
        yield cluster


@contextmanager
def _environment_restored() -> Iterator[None]:
    """The environment as it was: the next test module may have a Ray cluster of another kind."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        reset_auth_token_state()


def _source(image: ImageId, name: str, sha256: str, size: int) -> BootSource:
    file = BootFile(image=image, sha256=sha256, size=size, disk_format=DiskFormat.RAW)
    return BootSource(image=image, image_name=name, disk=file, virtual_size=size)
