"""``ports.compute.Compute`` in memory: records, operations and events, without actors.

Small but honest: guards, generations, request ids, pages and event sequences behave as the ports
say. Operations end at once, or, with ``settle = False``, when the test says (``finish``). ``calls``
counts the calls each port got; ``failures`` makes a named call raise; ``hold`` keeps calls waiting.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from actors.lifecycle import machine
from actors.lifecycle.events import Edited
from actors.lifecycle.guards import check
from actors.lifecycle.live_size import check_live_size
from actors.lifecycle.sizes import check_size
from actors.lifecycle.snapshots import check_snapshots
from actors.lifecycle.status import status_of
from actors.lifecycle.targets import free_target
from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.details import AttachVolume, DetachVolume, Details
from actors.model.edits import InstanceEdit
from actors.model.errors import AlreadyExists, Expired, NotFound, QuotaExceeded, Stale
from actors.model.flavor import DEFAULT_FLAVORS, Flavor
from actors.model.flavor_commands import ChangeFlavor, CreateFlavor, changed
from actors.model.host import HostUsage
from actors.model.identity import Principal, Role
from actors.model.ids import FlavorId, InstanceId, OperationId, ProjectId, UserId, operation_id
from actors.model.image import Image
from actors.model.instance import AttachedVolume, Fault, InstanceRecord, PowerState, VmState
from actors.model.keypair import KEYPAIR_LIMIT, ImportKeypair, Keypair, read_public_key
from actors.model.operation import Action, OperationRecord, OperationState, StepEntry, StepState
from actors.model.query import (
    Accepted,
    ConsoleOutput,
    Cursor,
    Event,
    EventBatch,
    EventKind,
    InstanceQuery,
    OperationQuery,
    Page,
)
from tests.fakes.memory_guests import MemoryGuests
from tests.fakes.memory_images import MemoryImages
from tests.fakes.memory_networks import MemoryNetworks
from tests.fakes.memory_port import Gate, MemoryPort
from tests.fakes.memory_volumes import MemoryVolumes

Item = TypeVar("Item", InstanceRecord, OperationRecord)

_START = datetime(2026, 1, 5, 12, tzinfo=UTC)

_ENDS_AS = {
    Action.CREATE: (VmState.ACTIVE, PowerState.RUNNING),
    Action.START: (VmState.ACTIVE, PowerState.RUNNING),
    Action.STOP: (VmState.STOPPED, PowerState.SHUTDOWN),
    Action.DELETE: (VmState.DELETED, PowerState.NOSTATE),
    Action.SOFT_DELETE: (VmState.SOFT_DELETED, PowerState.SHUTDOWN),
    Action.RESTORE: (VmState.ACTIVE, PowerState.RUNNING),
    Action.REBUILD: (VmState.ACTIVE, PowerState.RUNNING),
    Action.RESCUE: (VmState.RESCUED, PowerState.RUNNING),
    Action.UNRESCUE: (VmState.ACTIVE, PowerState.RUNNING),
    Action.TAKE_SNAPSHOT: (VmState.ACTIVE, PowerState.RUNNING),
    Action.RESTORE_SNAPSHOT: (VmState.ACTIVE, PowerState.RUNNING),
    Action.DELETE_SNAPSHOT: (VmState.ACTIVE, PowerState.RUNNING),
    Action.RESIZE: (VmState.RESIZED, PowerState.RUNNING),
    Action.CONFIRM_RESIZE: (VmState.ACTIVE, PowerState.RUNNING),
    Action.REVERT_RESIZE: (VmState.ACTIVE, PowerState.RUNNING),
}


class MemoryInstances(MemoryPort):
    """``ports.compute.Instances``."""

    def __init__(self, compute: "MemoryCompute") -> None:
        super().__init__(compute)
        self.records: dict[InstanceId, InstanceRecord] = {}
        self.ops: dict[OperationId, OperationRecord] = {}
        self.events: list[Event] = []
        #: Events up to this one are gone.
        self.pruned = 0
        self.commands: list[CreateInstance | InstanceCommand] = []
        self.edits: list[InstanceEdit] = []
        #: Deleted instances can be restored.
        self.keeps = False
        self.consoles: dict[InstanceId, bytes] = {}
        self._news = asyncio.Event()
        self._ticks = 0

    async def create(self, command: CreateInstance) -> Accepted:
        await self._called("create")
        held = self.records.get(command.instance)
        if held is not None:
            return Accepted(held, self.ops[operation_id(held.id, 1)])
        self.commands.append(command)
        now = self._tick()
        record = InstanceRecord(
            id=command.instance,
            project=command.project,
            user=command.user,
            name=command.name,
            request_id=command.request_id,
            flavor=command.flavor,
            source=command.source,
            host=command.host,
            availability_zone=command.availability_zone,
            key_name=command.key_name,
            metadata=command.metadata,
            description=command.description,
            hostname=command.hostname,
            tags=command.tags,
            config_drive=command.config_drive,
            created=now,
            updated=now,
        )
        return self._begin(record, command, Action.CREATE)

    async def submit(self, command: InstanceCommand) -> Accepted:
        await self._called("submit")
        if command.action is Action.SOFT_DELETE and not self.keeps:
            command = command.evolve(action=Action.DELETE)
        for operation in self.ops.values():
            if (operation.project, operation.request_id) == (command.project, command.request_id):
                if (operation.instance, operation.action) != (command.instance, command.action):
                    raise AlreadyExists(
                        f"Request {command.request_id} was used for something else.",
                        "REQUEST_ID_TAKEN",
                    )
                return Accepted(self.records[operation.instance], operation)
        record = await self._find(command.instance)
        if record.project != command.project:
            raise NotFound("An actor's own words.")
        check(record, command)
        check_size(record, command)
        check_live_size(record, command)
        check_snapshots(record, command)
        if command.generation not in (None, record.generation):
            raise Stale(f"Instance {record.id} has changed since.", "", "", {"instance": record.id})
        self.commands.append(command)
        return self._begin(record, command, command.action)

    async def edit(self, edit: InstanceEdit) -> InstanceRecord:
        await self._called("edit")
        record = await self._find(edit.instance)
        if record.project != edit.project:
            raise NotFound("An actor's own words.")
        self.edits.append(edit)
        changed, _ = machine.step(record, Edited(edit, self._tick()))
        return record if changed is record else self.put(changed)

    async def get(self, instance: InstanceId) -> InstanceRecord:
        await self._called("get")
        return await self._find(instance)

    async def list(self, query: InstanceQuery) -> Page[InstanceRecord]:
        await self._called("list")
        return _page(
            (
                record
                for record in self.records.values()
                if record.vm_state is not VmState.DELETED
                and query.project in (None, record.project)
                and query.matches(record, status_of(record))
            ),
            query.after,
            query.limit,
        )

    async def operation(self, operation: OperationId) -> OperationRecord:
        await self._called("operation")
        if operation not in self.ops:
            raise NotFound("An actor's own words.")
        return self.ops[operation]

    async def operations(self, query: OperationQuery) -> Page[OperationRecord]:
        await self._called("operations")
        return _page(
            (
                operation
                for operation in self.ops.values()
                if query.project in (None, operation.project)
                and query.instance in (None, operation.instance)
                and query.done in (None, operation.done)
            ),
            query.after,
            query.limit,
        )

    async def cancel(self, operation: OperationId) -> OperationRecord:
        await self._called("cancel")
        record = self.ops[operation]
        return record if record.done else self._put(record.evolve(cancel_requested=True))

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        await self._called("console_output")
        log = self.consoles.get(instance, b"")
        begin = max(0, len(log) + offset) if offset < 0 else min(offset, len(log))
        data = log[begin : begin + limit]
        return ConsoleOutput(data=data, next_offset=begin + len(data))

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        await self._called("events_after")
        if sequence < 0:
            return EventBatch((), self.last_sequence)
        if sequence < self.pruned:
            raise Expired("Events were pruned.")
        if sequence >= self.last_sequence and wait_seconds:
            self._news.clear()
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._news.wait()
            except TimeoutError:
                return EventBatch((), sequence)
        events = tuple(e for e in self.events if e.sequence > sequence)[:limit]
        return EventBatch(events, events[-1].sequence if events else sequence)

    # What tests do

    @property
    def last_sequence(self) -> int:
        """Of the newest event."""
        return self.events[-1].sequence if self.events else self.pruned

    def finish(self, operation: OperationId, fault: Fault | None = None) -> OperationRecord:
        """End an operation, well or not."""
        record = self.ops[operation]
        now = self._tick()
        state = OperationState.SUCCEEDED
        if fault is not None:
            state = OperationState.FAILED
        elif record.cancel_requested:
            state = OperationState.CANCELLED
        step = StepEntry(
            name="domain", attempt=1, state=StepState.SUCCEEDED, started=now, finished=now
        )
        record = record.evolve(state=state, fault=fault, finished=now, steps=(step,))
        instance = self.records[record.instance]
        before = (instance.vm_state, instance.power_state)
        vm_state, power_state = _ENDS_AS.get(record.action, before)
        if state is not OperationState.SUCCEEDED:
            vm_state, power_state = VmState.ERROR, PowerState.NOSTATE
        ran = now if vm_state is VmState.ACTIVE else None
        self.put(
            instance.evolve(
                vm_state=vm_state,
                power_state=power_state,
                fault=fault,
                launched=instance.launched or ran,
                volumes=_volumes(instance, record.details),
            )
        )
        return self._put(record)

    def put(self, record: InstanceRecord) -> InstanceRecord:
        """Store an instance and tell the watchers."""
        held = self.records.get(record.id)
        generation = held.generation + 1 if held else 1
        record = record.evolve(generation=generation, updated=self._tick())
        self.records[record.id] = record
        body = record.model_dump_json()
        self._emit(EventKind.INSTANCE, record.project, record.id, generation, body)
        return record

    def prune(self) -> None:
        """Forget all events."""
        self.pruned = self.last_sequence
        self.events.clear()

    async def _find(self, instance: InstanceId) -> InstanceRecord:
        record = self.records.get(instance)
        if record is None or record.vm_state is VmState.DELETED:
            raise NotFound("An actor's own words.")
        return record

    def _begin(
        self, record: InstanceRecord, command: CreateInstance | InstanceCommand, action: Action
    ) -> Accepted:
        sequence = record.sequence + 1
        now = self._tick()
        operation = OperationRecord(
            id=operation_id(record.id, sequence),
            instance=record.id,
            sequence=sequence,
            project=record.project,
            user=command.user,
            action=action,
            request_id=command.request_id,
            details=command.details if isinstance(command, InstanceCommand) else None,
            created=now,
            updated=now,
        )
        record = self.put(record.evolve(operation=operation.id, sequence=sequence))
        self._put(operation)
        if self._compute.settle:
            self.finish(operation.id)
        return Accepted(record, operation)

    def _put(self, operation: OperationRecord) -> OperationRecord:
        held = self.ops.get(operation.id)
        generation = held.generation + 1 if held else 1
        operation = operation.evolve(generation=generation, updated=self._tick())
        self.ops[operation.id] = operation
        body = operation.model_dump_json()
        self._emit(EventKind.OPERATION, operation.project, operation.id, generation, body)
        return operation

    def _emit(
        self, kind: EventKind, project: ProjectId, key: str, generation: int, body: str
    ) -> None:
        sequence = self.last_sequence + 1
        self.events.append(Event(sequence, self._tick(), project, kind, key, generation, body))
        self._news.set()

    def _tick(self) -> datetime:
        self._ticks += 1
        return _START + timedelta(milliseconds=self._ticks)


class MemoryCatalog(MemoryPort):
    """``ports.compute.Catalog``."""

    def __init__(self, compute: "MemoryCompute", images: Iterable[Image]) -> None:
        super().__init__(compute)
        self.all_flavors: list[Flavor] = list(DEFAULT_FLAVORS)
        self.all_images: list[Image] = list(images)

    async def flavors(self) -> tuple[Flavor, ...]:
        await self._called("flavors")
        return tuple(self.all_flavors)

    async def create_flavor(self, command: CreateFlavor) -> Flavor:
        await self._called("create_flavor")
        for other in self.all_flavors:
            if other == command.flavor:
                return other
            if other.id == command.id or other.name == command.name:
                raise AlreadyExists("It is there.", "FLAVOR_EXISTS", "", {"flavor": other.id})
        self.all_flavors.append(command.flavor)
        return command.flavor

    async def change_flavor(self, command: ChangeFlavor) -> Flavor:
        await self._called("change_flavor")
        at = self._find(command.id)
        self.all_flavors[at] = changed(self.all_flavors[at], command)
        return self.all_flavors[at]

    async def delete_flavor(self, flavor: FlavorId) -> None:
        await self._called("delete_flavor")
        del self.all_flavors[self._find(flavor)]

    def _find(self, flavor: FlavorId) -> int:
        for at, held in enumerate(self.all_flavors):
            if held.id == flavor:
                return at
        raise NotFound(f"Flavor {flavor} is gone.", "FLAVOR_NOT_FOUND", "", {"flavor": flavor})

    async def images(self) -> tuple[Image, ...]:
        await self._called("images")
        return tuple(self.all_images)


class MemoryKeypairs(MemoryPort):
    """``ports.compute.Keypairs``."""

    def __init__(self, compute: "MemoryCompute") -> None:
        super().__init__(compute)
        self.held: dict[tuple[UserId, str], Keypair] = {}

    async def keypairs(self, user: UserId) -> tuple[Keypair, ...]:
        await self._called("keypairs")
        return tuple(pair for (owner, _), pair in sorted(self.held.items()) if owner == user)

    async def import_keypair(self, command: ImportKeypair) -> Keypair:
        await self._called("import_keypair")
        key = read_public_key(command.public_key)
        held = self.held.get((command.user, command.name))
        if held is not None:
            if (held.request_id, held.public_key) == (command.request_id, key.line):
                return held
            raise AlreadyExists("It is there.", "KEYPAIR_EXISTS", "", {"keypair": command.name})
        if sum(owner == command.user for owner, _ in self.held) >= KEYPAIR_LIMIT:
            raise QuotaExceeded("Too many.", "KEYPAIR_QUOTA_EXCEEDED", "", {"user": command.user})
        keypair = Keypair(
            user=command.user,
            name=command.name,
            public_key=key.line,
            fingerprint=key.fingerprint,
            request_id=command.request_id,
            created=_START,
        )
        self.held[command.user, command.name] = keypair
        return keypair

    async def delete_keypair(self, user: UserId, name: str) -> None:
        await self._called("delete_keypair")
        if self.held.pop((user, name), None) is None:
            raise NotFound(f"Key pair {name} is gone.", "KEYPAIR_NOT_FOUND", "", {"keypair": name})


class MemoryFleet(MemoryPort):
    """``ports.compute.Fleet``."""

    def __init__(self, compute: "MemoryCompute") -> None:
        super().__init__(compute)
        self.all_hosts: list[HostUsage] = []

    async def hosts(self) -> tuple[HostUsage, ...]:
        await self._called("hosts")
        return tuple(self.all_hosts)


class MemoryIdentity(MemoryPort):
    """``ports.compute.Identity``."""

    def __init__(self, compute: "MemoryCompute") -> None:
        super().__init__(compute)
        self.principals: dict[str, Principal] = {}

    def add(self, token: str, user: str, project: str, role: Role) -> None:
        """Let a token be known."""
        self.principals[sha256(token.encode()).hexdigest()] = Principal(
            user=UserId(user), project=ProjectId(project), role=role
        )

    async def principal(self, token_sha256: str) -> Principal | None:
        await self._called("principal")
        return self.principals.get(token_sha256)


class MemoryCompute:
    """``ports.compute.Compute``."""

    def __init__(self, images: Iterable[Image] = ()) -> None:
        self.calls: Counter[str] = Counter()
        self.failures: dict[str, Exception] = {}
        self.gates: dict[str, Gate] = {}
        self.settle = True
        self.instances = MemoryInstances(self)
        self.catalog = MemoryCatalog(self, images)
        self.images = MemoryImages(self, self.catalog.all_images)
        self.volumes = MemoryVolumes(self)
        self.networks = MemoryNetworks(self)
        self.keypairs = MemoryKeypairs(self)
        self.fleet = MemoryFleet(self)
        self.guests = MemoryGuests(self.calls, self.failures)
        self.identity = MemoryIdentity(self)

    def hold(self, name: str) -> Gate:
        """Keep calls of this name waiting until the event is set."""
        gate = self.gates[name] = Gate()
        return gate


def _volumes(instance: InstanceRecord, details: Details | None) -> tuple[AttachedVolume, ...]:
    match details:
        case AttachVolume(volume=volume, delete_on_termination=delete):
            attached = AttachedVolume(
                volume=volume,
                target=free_target(instance),
                size_gb=1,
                delete_on_termination=delete,
            )
            return (*instance.volumes, attached)
        case DetachVolume(volume=volume):
            return tuple(one for one in instance.volumes if one.volume != volume)
        case _:
            return instance.volumes


def _page(items: Iterable[Item], after: Cursor | None, limit: int) -> Page[Item]:
    ordered = sorted(items, key=lambda item: (item.created, item.id), reverse=True)
    if after is not None:
        ordered = [i for i in ordered if (i.created, i.id) < (after.created, after.id)]
    return Page(tuple(ordered[:limit]), len(ordered) > limit)
