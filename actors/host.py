"""The HostActor: one hypervisor host, pinned to it by the host's own UUID.

Owns the host's libvirt connection, disks, image cache and bridges, and what is observed of them.
Decides nothing about an instance: it does the steps it is asked for, each converging, and tells
the instances' actors what the hypervisor says.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import ray

from actors.drivers import disk_source
from actors.drivers.clone_work import CloneWork
from actors.drivers.console_log import read_console_log
from actors.drivers.console_session import Console
from actors.drivers.consoles import Consoles
from actors.drivers.copy_work import CopyWork
from actors.drivers.guest_shelf import GuestShelf
from actors.drivers.guest_work import GuestWork
from actors.drivers.housekeeping import Housekeeping
from actors.drivers.image_cache import ImageCache
from actors.drivers.lanes import Lane, Lanes
from actors.drivers.observed import News, Observed
from actors.drivers.resize_work import ResizeWork
from actors.drivers.size_work import SizeWork
from actors.drivers.volume_work import VolumeWork
from actors.hostnet.follower import Follower
from actors.model.console import ConsoleKind, Screenshot
from actors.model.diagnostics import Diagnostics
from actors.model.errors import Cancelled, ComputeError, Unavailable
from actors.model.guest_data import GuestData
from actors.model.host import HostReport
from actors.model.ids import HostId, InstanceId, SnapshotId, VolumeId
from actors.model.instance import InstanceRecord, PowerState
from actors.model.query import ConsoleOutput
from actors.model.volume import Volume
from actors.ports.clock import Clock, Gate
from actors.ports.host import (
    DiskFile,
    HostJob,
    HostOutcome,
    Hosts,
    HostStep,
    PowerReport,
    StepResult,
)
from actors.ports.hypervisor import Guest, HostNetwork, Hypervisor, HypervisorFacts
from actors.ports.images import Images
from actors.ports.network import NetworkNews
from actors.ports.reports import Reports
from actors.ports.scheduler import Scheduler
from actors.ports.store import Batch, Eviction, HostStore, Remove, Table
from actors.store.tables import eviction_key

_log: Final = logging.getLogger(__name__)

#: libvirt calls that may block at the same time.
_THREADS: Final = 16
_RETRY_SECONDS: Final = 0.5
#: A job that takes longer tells its instance's actor of each step; a shorter one tells at its end.
_TELL_AFTER_SECONDS: Final = 0.5

_EVICTION: Final = (HostStep.ENSURE_ABSENT, HostStep.REMOVE_DISK, HostStep.REMOVE_NETWORK)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Who a host is, and how often it speaks."""

    id: HostId
    name: str
    state_dir: Path
    #: Between two reports to the scheduler.
    heartbeat_seconds: float = 5.0
    #: Between two full comparisons with libvirt, in case events were lost.
    compare_seconds: float = 60.0
    #: A cached image that nobody here needs is removed after so long.
    unused_image_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class HostPorts:
    """What a HostActor needs of the rest of the cluster."""

    store: HostStore
    scheduler: Scheduler
    reports: Reports
    images: Images
    networks: NetworkNews
    #: The other hosts: an instance that is resized may come from one.
    hosts: Hosts
    clock: Clock
    gate: Gate


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at guests' power states."""

    began: datetime
    #: ``Lane.turns`` of those that no job was working on.
    turns: Mapping[InstanceId, int]


class HostActor:
    """One host. Answers as ``ports.host.Host``.

    Hypervisor and network are made here, in the actor's own process, from what makes them.
    """

    def __init__(
        self,
        settings: HostSettings,
        ports: HostPorts,
        hypervisor: Callable[[], Hypervisor],
        network: Callable[[], HostNetwork],
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._hypervisor = hypervisor()
        self._network = network()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="libvirt")
        self._cache = ImageCache(settings.state_dir / "cache", ports.images)
        self._housekeeping = Housekeeping(
            settings.state_dir,
            settings.unused_image_seconds,
            self._hypervisor,
            self._cache,
            self._threads,
            ports.clock,
        )
        self._shelf = GuestShelf(ports.store)
        self._volumes = VolumeWork(
            self._hypervisor, self._cache, self._threads, ports.clock, self._beside
        )
        copies = CopyWork(self._hypervisor, ports.images, self._threads, ports.clock)
        resizes = ResizeWork(settings.id, ports.hosts, self._hypervisor, self._cache, self._threads)
        clones = CloneWork(self._hypervisor, self._cache, self._threads, self._beside)
        sizes = SizeWork(self._hypervisor, self._threads, ports.clock)
        self._work = GuestWork(
            self._hypervisor,
            self._network,
            self._cache,
            self._shelf,
            self._threads,
            ports.clock,
            ports.gate,
            self._volumes,
            {**copies.acts(), **resizes.acts(), **clones.acts(), **sizes.acts()},
        )
        self._lanes = Lanes()
        self._consoles = Consoles()
        self._facts: HypervisorFacts | None = None
        self._trouble = "libvirt: not connected yet"
        self._epoch = 0
        #: Guests that came up since this process started: the scheduler forgives failed boots.
        self._boots = 0
        self._observed = Observed()
        self._loop = asyncio.get_running_loop()
        self._network.open(self._guest_data)
        self._follower = Follower(
            settings.id, settings.name, ports.networks, self._network, self._threads, ports.clock
        )
        self._following = asyncio.create_task(self._follower.run())
        self._news = asyncio.Event()
        #: Rung when libvirt comes or goes: report at once, compare at once.
        self._beat = asyncio.Event()
        self._look = asyncio.Event()
        self._loading = asyncio.create_task(self._load())
        self._chores = [
            asyncio.create_task(self._forever(chore, name))
            for chore, name in (
                (self._heartbeat, "heartbeat"),
                (self._tell, "power reports"),
                (self._catch_up, "comparison"),
            )
        ]

    def __repr__(self) -> str:
        # Ray takes these words once, when the actor is made: no count would stay true.
        return f"Host({self._settings.name}, {self._hypervisor!r})"

    @ray.method
    async def run(self, job: HostJob) -> HostOutcome:
        """Do the job's steps, in order, up to the first that fails (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._do(job)

    @ray.method
    async def abandon(self, instance: InstanceId, sequence: int) -> None:
        """The job of this operation is wanted no more (``ports.host.Host``)."""
        self._lanes.lane(instance).abandon(sequence)

    @ray.method
    async def remove_volume(self, volume: VolumeId) -> None:
        """Remove a volume's bytes (``ports.volumes.VolumeHost``)."""
        await asyncio.shield(self._loading)
        await self._volumes.remove(volume)

    @ray.method
    async def grow_volume(self, volume: Volume) -> None:
        """Make a volume's bytes, and its guest's disk, larger (``ports.volumes.VolumeHost``)."""
        await asyncio.shield(self._loading)
        await self._volumes.grow(volume)

    @ray.method
    async def copy_volume(self, volume: Volume, snapshot: SnapshotId) -> None:
        """Copy a volume's bytes (``ports.volumes.VolumeHost``)."""
        await asyncio.shield(self._loading)
        await self._volumes.copy(volume, snapshot)

    @ray.method
    async def remove_volume_snapshot(self, snapshot: SnapshotId) -> None:
        """Remove a snapshot's bytes (``ports.volumes.VolumeHost``)."""
        await asyncio.shield(self._loading)
        await self._volumes.remove_snapshot(snapshot)

    async def _do(self, job: HostJob) -> HostOutcome:
        instance = job.instance.id
        lane = self._lanes.lane(instance)
        begun = self._ports.clock.monotonic()
        results: list[StepResult] = []
        told: list[asyncio.Task[None]] = []
        power = known = self._observed.of(instance)
        touched = False
        async with lane.turn(instance, job.sequence), self._watched(instance, job.sequence):
            for step in job.steps:
                result = await self._work.step(step, job, lane)
                results.append(result)
                if result.step is HostStep.ENSURE_RUNNING and result.error is None:
                    self._boots += 1
                power = result.power_state or power
                touched = touched or result.power_state is not None
                if result.error is not None:
                    break
                more = len(results) < len(job.steps)
                if more and self._ports.clock.monotonic() - begun > _TELL_AFTER_SECONDS:
                    # Beside the work, which must not wait for an actor that is away.
                    told.append(asyncio.create_task(self._progress(job, result)))
            done = all(result.error is None for result in results)
            if done and not touched and known is not PowerState.NOSTATE:
                # What is known may be what the instance's actor knew a while ago. Of a job that
                # fails its actor does not ask: what is seen then is news.
                with suppress(ComputeError):
                    power = await self._power(instance)
            if self._observed.job_done(instance, power, job.sequence):
                self._news.set()
        # Nothing is told after the answer: another attempt's steps have the same names.
        await asyncio.gather(*told)
        looked = touched or known is not PowerState.NOSTATE
        return HostOutcome(tuple(results), power if looked else None)

    @asynccontextmanager
    async def _watched(self, instance: InstanceId, sequence: int) -> AsyncIterator[None]:
        """What libvirt said meanwhile is not lost with a job that breaks."""
        try:
            yield
        except BaseException:
            if self._observed.job_broken(instance, sequence):
                self._news.set()
            raise

    @ray.method
    async def disk_files(self, instance: InstanceId) -> tuple[DiskFile, ...]:
        """The files of an instance's disks (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._blocking(lambda: disk_source.measured(self._hypervisor, instance))

    @ray.method
    async def read_disk(self, instance: InstanceId, name: str, offset: int, length: int) -> bytes:
        """A piece of one of them (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._blocking(
            lambda: disk_source.read(self._hypervisor, instance, name, offset, length)
        )

    @asynccontextmanager
    async def _beside(self, instance: InstanceId) -> AsyncIterator[Lane]:
        """Keep its operations waiting; what libvirt says of it meanwhile is told afterwards."""
        lane = self._lanes.lane(instance)
        async with lane.between_jobs(instance):
            try:
                yield lane
            finally:
                if self._observed.job_broken(instance, lane.newest):
                    self._news.set()

    @ray.method
    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """A piece of the console log (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        path = self._hypervisor.console_path(instance)
        return await self._blocking(lambda: read_console_log(path, instance, offset, limit))

    @ray.method
    async def console_open(self, instance: InstanceId, kind: ConsoleKind, force: bool) -> str:
        """Attach to a console (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._consoles.open(
            Console(instance, kind),
            lambda: self._blocking(lambda: self._hypervisor.open_console(instance, kind)),
            force=force,
        )

    @ray.method
    async def console_read(self, session: str, wait_seconds: float) -> bytes:
        """What has come from a console (``ports.host.Host``)."""
        return await self._consoles.session(session).read(wait_seconds)

    @ray.method
    async def console_write(self, session: str, data: bytes) -> None:
        """Input for a console (``ports.host.Host``)."""
        await self._consoles.session(session).write(data)

    @ray.method
    async def console_close(self, session: str) -> None:
        """Let go of a console (``ports.host.Host``)."""
        self._consoles.close(session)

    @ray.method
    async def screenshot(self, instance: InstanceId) -> Screenshot:
        """A picture of the guest's screen (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._blocking(lambda: self._hypervisor.screenshot(instance))

    @ray.method
    async def diagnostics(self, instance: InstanceId) -> Diagnostics:
        """What the guest has used so far (``ports.host.Host``)."""
        await asyncio.shield(self._loading)
        return await self._blocking(lambda: self._hypervisor.diagnostics(instance))

    @ray.method
    async def guests(self) -> tuple[Guest, ...]:
        """Our domains, as libvirt has them now.

        Raises:
            Unavailable: libvirtd is away.
        """
        await asyncio.shield(self._loading)
        return await self._blocking(self._hypervisor.guests)

    async def _progress(self, job: HostJob, result: StepResult) -> None:
        try:
            await self._ports.reports.progress(job.instance.id, job.sequence, result.step)
        except ComputeError as error:
            _log.info("progress of %s was not told: %s", job.instance.id, error)

    # --- starting -----------------------------------------------------------------------------

    async def _load(self) -> None:
        while True:
            try:
                self._epoch = await self._ports.store.begin_epoch(f"host/{self._settings.id}")
                await self._blocking(
                    lambda: self._hypervisor.open(self._on_power, self._on_connection)
                )
            except ComputeError as error:
                _log.warning("host %s cannot start yet: %s", self._settings.name, error)
            except Exception:  # noqa: BLE001 - a host that gave up here would be lost for good
                _log.exception("host %s cannot start yet", self._settings.name)
            else:
                return
            await self._ports.clock.sleep(_RETRY_SECONDS)

    # --- what guests ask (the metadata service's own thread calls this) ------------------------

    def _guest_data(self, record: InstanceRecord) -> Future[GuestData | None]:
        return asyncio.run_coroutine_threadsafe(self._shelf.of(record), self._loop)

    # --- what libvirt says (its own thread calls these) ---------------------------------------

    def _on_power(self, instance: InstanceId, state: PowerState) -> None:
        self._loop.call_soon_threadsafe(self._power_changed, instance, state)

    def _on_connection(self, up: bool, why: str) -> None:
        self._loop.call_soon_threadsafe(self._connection_changed, up, why)

    def _power_changed(self, instance: InstanceId, state: PowerState) -> None:
        lane = self._lanes.lane(instance)
        if lane.busy:
            self._observed.event_during_job(instance, state)
            lane.bell.set()
        elif self._observed.event(instance, state, lane.newest):
            self._news.set()

    def _connection_changed(self, up: bool, why: str) -> None:
        self._trouble = "" if up else why
        _log.info("host %s: %s", self._settings.name, self._trouble or "libvirt is there")
        self._beat.set()
        self._look.set()

    # --- chores -------------------------------------------------------------------------------

    async def _forever(self, chore: Callable[[], Awaitable[None]], name: str) -> None:
        await asyncio.shield(self._loading)
        while True:
            try:
                await chore()
            except ComputeError as error:
                _log.info("host %s: %s waits: %s", self._settings.name, name, error)
                await self._ports.clock.sleep(_RETRY_SECONDS)
            except Exception:  # noqa: BLE001 - one chore's bug must not take the host along
                _log.exception("host %s: %s met a bug", self._settings.name, name)
                await self._ports.clock.sleep(self._settings.heartbeat_seconds)

    async def _heartbeat(self) -> None:
        """Tell the scheduler how this host is, at once when it changes."""
        if self._facts is None or not self._trouble:
            self._facts = await self._blocking(self._hypervisor.facts)
        facts = self._facts
        await self._ports.scheduler.report(
            HostReport(
                id=self._settings.id,
                name=self._settings.name,
                epoch=self._epoch,
                inventory=facts.inventory,
                hypervisor=facts.driver,
                hypervisor_version=facts.version,
                virt_type=facts.virt_type,
                trouble=self._trouble,
                boots=self._boots,
            )
        )
        await _until(self._beat, self._settings.heartbeat_seconds)

    async def _tell(self) -> None:
        """Tell the instances' actors what changed under no operation."""
        await self._news.wait()
        self._news.clear()
        news = self._observed.take()
        look = self._begin_look(one.instance for one in news)
        await self._send(await self._as_they_are(news), look)

    async def _as_they_are(self, news: tuple[News, ...]) -> tuple[News, ...]:
        """What these guests are by now.

        An event comes in its own time: a reboot's "stopped" may come after the guest has started.
        """
        try:
            states = await asyncio.gather(*(self._power(one.instance) for one in news))
        except ComputeError:
            self._look.set()  # the next comparison will tell
            raise
        return tuple(
            replace(one, power_state=state) for one, state in zip(news, states, strict=True)
        )

    async def _power(self, instance: InstanceId) -> PowerState:
        return await self._blocking(lambda: self._hypervisor.power_state(instance))

    async def _catch_up(self) -> None:
        """After a start or a lost connection, and now and then: compare all with libvirt."""
        if not self._trouble:
            placed = await self._ports.reports.placed(self._settings.id)
            await self._evict({record.id: record for record in placed})
            await self._blocking(lambda: self._network.restore(placed))
            await self._compare(placed)
            await self._housekeeping.sweep(placed)
        await _until(self._look, self._settings.compare_seconds)

    async def _evict(self, placed: Mapping[InstanceId, InstanceRecord]) -> None:
        """Remove instances that were deleted, or moved, while this host was away."""
        for eviction in await self._ports.store.evictions(self._settings.id):
            here = placed.get(eviction.instance)
            if here is not None and here.sequence > eviction.sequence:
                error: ComputeError | None = None  # it has come back since
            else:
                error = await self._removed(eviction)
            if isinstance(error, Unavailable):
                raise error
            if error is not None and not isinstance(error, Cancelled):
                # Looked at again with the next comparison, which must not wait for this.
                _log.warning(
                    "host %s cannot remove instance %s, which left while it was away: %s",
                    self._settings.name,
                    eviction.instance,
                    error,
                )
                continue
            await self._ports.store.commit(
                Batch(
                    f"host/{self._settings.id}",
                    self._epoch,
                    removes=(
                        Remove(Table.EVICTIONS, eviction_key(eviction.host_id, eviction.instance)),
                    ),
                )
            )

    async def _removed(self, eviction: Eviction) -> ComputeError | None:
        """Why an instance that is to leave is still here. ``Cancelled``: it has come back."""
        job = HostJob(eviction.record, eviction.sequence, _EVICTION, saga="evict")
        try:
            return (await self._do(job)).results[-1].error
        except Cancelled as error:
            return error

    async def _compare(self, placed: tuple[InstanceRecord, ...]) -> None:
        """Tell what differs; a domain that nobody asked to remove is left alone, and said."""
        for record in placed:
            lane = self._lanes.lane(record.id)
            # What is read below is newer than all that its operations did before.
            lane.newest = max(lane.newest, record.sequence if record.task_state is None else 0)
        look = self._begin_look(record.id for record in placed)
        guests = await self._blocking(self._hypervisor.guests)
        states = {guest.instance: guest.power_state for guest in guests}
        still = [
            record
            for record in placed
            if record.sequence == self._lanes.lane(record.id).newest
            and self._undisturbed(record.id, look)
        ]
        self._observed.adopt(
            {record.id: record.power_state for record in still if record.id in states}
        )
        await self._send(
            tuple(
                News(record.id, state, record.sequence)
                for record in still
                if (state := states.get(record.id, PowerState.NOSTATE)) is not record.power_state
            ),
            look,
        )
        strays = set(states) - {record.id for record in placed}
        if strays:
            _log.warning(
                "host %s has %d domains of ours with no record; they are left alone: %s",
                self._settings.name,
                len(strays),
                ", ".join(sorted(strays)[:10]),
            )

    def _begin_look(self, instances: Iterable[InstanceId]) -> _Look:
        """What is read from here on is no older than this."""
        turns = {one: lane.turns for one in instances if not (lane := self._lanes.lane(one)).busy}
        return _Look(self._ports.clock.now(), turns)

    def _undisturbed(self, instance: InstanceId, look: _Look) -> bool:
        """Whether no job has touched a guest since the look began; else the job tells of it."""
        lane = self._lanes.lane(instance)
        return not lane.busy and look.turns.get(instance) == lane.turns

    async def _send(self, news: tuple[News, ...], look: _Look) -> None:
        if not news:
            return
        reports = tuple(
            PowerReport(one.instance, self._settings.id, one.power_state, one.sequence, look.began)
            for one in news
        )
        try:
            await self._ports.reports.power(reports)
        except ComputeError:
            self._look.set()  # the next comparison will tell
            raise
        for one in news:
            if self._undisturbed(one.instance, look):
                self._observed.told(one)

    async def _blocking(self, call: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


async def _until(bell: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the bell rings."""
    with suppress(TimeoutError):
        await asyncio.wait_for(bell.wait(), seconds)
    bell.clear()
