"""The InstanceActor: one partition of the instances, and the only writer of their state.

A VM is not a process here but a ``Cell``: an object with a mailbox of its own (ADR 0001). This
shell loads them, finds them, and writes what became of them; what may happen to them is
``actors.lifecycle``'s to say, how it is done ``actors.sagas``'s.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import ray

from actors.lifecycle import machine
from actors.lifecycle.due import Agenda, Due, Policy, due
from actors.lifecycle.events import OperationLost, PowerObserved
from actors.lifecycle.guest_data import outdated, taken_over
from actors.lifecycle.roster import Roster
from actors.model.commands import CloneInstance, CreateInstance, InstanceCommand
from actors.model.edits import InstanceEdit
from actors.model.errors import (
    AlreadyExists,
    ComputeError,
    Conflict,
    Fenced,
    NotFound,
    Stale,
    Unavailable,
)
from actors.model.guest_data import GuestData
from actors.model.ids import (
    HostId,
    InstanceId,
    OperationId,
    ProjectId,
    UserId,
    due_request_id,
    split_operation_id,
)
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord
from actors.model.query import Accepted, InstanceQuery
from actors.model.reply import Err, Reply, reply_to, unwrap
from actors.ports.clock import Clock, Gate
from actors.ports.host import HostStep, PowerReport
from actors.ports.metrics import Metrics
from actors.ports.store import Batch, Eviction, Remove, Store, Table
from actors.sagas.cell import Cell, not_found
from actors.sagas.engine import Engine
from actors.sagas.saga import EVICT_AFTER_SECONDS, Cluster
from actors.store.tables import (
    instance_event,
    operation_event,
    put_eviction,
    put_guest_data,
    put_instance,
    put_operation,
)

_log: Final = logging.getLogger(__name__)

_LOAD_PAUSE_SECONDS: Final = 0.2
#: Between two counts of instances by state.
_COUNT_SECONDS: Final = 5.0
#: Between two looks at what is due, and until what could not begin is tried again.
_DUE_SECONDS: Final = 1.0
_DUE_AGAIN_SECONDS: Final = 60.0
#: At most so many begin at one look.
_DUE_AT_ONCE: Final = 100
#: What a clone's guest is told as its origin's was: not the password, nor where it is.
_INHERITED: Final = frozenset({"public_key", "user_data", "files"})
#: Who asks for what happens by itself.
_NOVARAY: Final = UserId("novaray")
#: The longest a read waits for a write of the same instance.
_SETTLE_SECONDS: Final = 1.0


class InstanceActor:
    """One partition. Answers to ``handles.instances.InstancesHandle``."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        gate: Gate,
        metrics: Metrics,
        evict_after_seconds: float = EVICT_AFTER_SECONDS,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        self._partition = partition
        self._partitions = partitions
        self._name = f"instances/{partition}"
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._engine = Engine(cluster, clock, gate, evict_after_seconds=evict_after_seconds)
        self._epoch = 0
        #: Why nothing here is true any more: another process writes this partition.
        self._replaced = ""
        self._policy = policy
        self._agenda = Agenda()
        self._roster = Roster()
        self._cells: dict[InstanceId, Cell] = {}
        #: Writes under way. Watchers may hear of one before its answer is here: reads wait for it.
        self._writes: dict[InstanceId, asyncio.Future[None]] = {}
        self._births: dict[InstanceId, asyncio.Task[Accepted]] = {}
        self._loading = asyncio.create_task(self._load())
        self._counting = asyncio.create_task(self._count_states())
        self._beginning = asyncio.create_task(self._begin_what_is_due())

    def __repr__(self) -> str:
        return f"Instances(partition {self._partition} of {self._partitions})"

    @ray.method
    async def create_many(
        self, commands: tuple[CreateInstance, ...]
    ) -> tuple[Reply[Accepted], ...]:
        """Make instances; each answer is durable."""
        await self._loaded()
        replies = await asyncio.gather(*(reply_to(self._create, one) for one in commands))
        self._check()
        return tuple(replies)

    @ray.method
    async def submit_many(
        self, commands: tuple[InstanceCommand, ...]
    ) -> tuple[Reply[Accepted], ...]:
        """Accept commands for instances that exist; each answer is durable."""
        await self._loaded()
        replies = await asyncio.gather(*(reply_to(self._submit, one) for one in commands))
        self._check()
        return tuple(replies)

    @ray.method
    async def edit_many(self, edits: tuple[InstanceEdit, ...]) -> tuple[Reply[InstanceRecord], ...]:
        """Change records of instances that exist; each answer is durable."""
        await self._loaded()
        replies = await asyncio.gather(*(reply_to(self._edit, one) for one in edits))
        self._check()
        return tuple(replies)

    @ray.method
    async def get_many(
        self, instances: tuple[InstanceId, ...]
    ) -> tuple[Reply[InstanceRecord], ...]:
        """Instances by id."""
        await self._loaded()
        # A birth ends a moment after its write.
        await _settled(self._births[one] for one in instances if one in self._births)
        await _settled(self._writes[one] for one in instances if one in self._writes)
        return tuple([await reply_to(self._get, one) for one in instances])

    @ray.method
    async def list(self, query: InstanceQuery) -> tuple[tuple[str, ...], bool]:
        """A page of this partition as JSON, newest first, and whether more stand behind it."""
        await self._loaded()
        await _settled(self._writes.values())
        page = self._roster.page(query)
        return tuple(record.model_dump_json() for record in page.items), page.more

    @ray.method
    async def operation_many(
        self, operations: tuple[OperationId, ...]
    ) -> tuple[Reply[OperationRecord], ...]:
        """Operations by id, finished ones too."""
        await self._loaded()
        owners = {split_operation_id(one)[0] for one in operations}
        await _settled(self._writes[one] for one in owners if one in self._writes)
        replies = await asyncio.gather(*(reply_to(self._operation, one) for one in operations))
        return tuple(replies)

    @ray.method
    async def cancel(self, operation: OperationId) -> OperationRecord:
        """Ask an operation to end early and undo itself."""
        await self._loaded()
        cell = self._cells.get(split_operation_id(operation)[0])
        if cell is not None and cell.last is not None and cell.last.id == operation:
            return await cell.cancel()
        return await self._operation(operation)

    @ray.method
    async def power(self, reports: tuple[PowerReport, ...]) -> None:
        """Take in what a host reports."""
        await self._loaded()
        now = self._clock.now()
        told = [
            (
                cell,
                PowerObserved(report.power_state, report.host_id, report.sequence, now, report.at),
            )
            for report in reports
            if (cell := self._cells.get(report.instance)) is not None
        ]
        for reply in await asyncio.gather(*(reply_to(cell.observe, seen) for cell, seen in told)):
            unwrap(reply)  # what could not be noted, the host tells again

    @ray.method
    async def progress(self, instance: InstanceId, sequence: int, step: HostStep) -> None:
        """A step of a long job is done."""
        await self._loaded()
        cell = self._cells.get(instance)
        if cell is not None:
            await cell.progress(sequence, step)

    @ray.method
    async def placed(self, host_id: HostId) -> tuple[InstanceRecord, ...]:
        """The instances on a host. It asks when it is back: what waits for it moves now."""
        await self._loaded()
        records = self._roster.on_host(host_id)
        for record in records:
            self._cells[record.id].wake()
        return tuple(records)

    async def record(
        self,
        instance: InstanceRecord,
        operations: Sequence[OperationRecord],
        eviction: Eviction | None,
        guest_data: GuestData | None,
    ) -> None:
        """Write what became of an instance (``sagas.cell.Recorder``)."""
        known = self._roster.get(instance.id)
        puts = [put_operation(operation, self._partitions) for operation in operations]
        events = [operation_event(operation) for operation in operations]
        if known is None or known.generation != instance.generation:
            puts.append(put_instance(instance, self._partitions))
            events.append(instance_event(instance))
        if eviction is not None:
            puts.append(put_eviction(eviction))
        if guest_data is not None:
            puts.append(put_guest_data(guest_data))
        removes = tuple(Remove(Table.GUEST_DATA, key) for key in outdated(instance, operations))
        batch = Batch(self._name, self._epoch, tuple(puts), removes, tuple(events))
        write = self._writes[instance.id] = asyncio.get_running_loop().create_future()
        try:
            await self._store.commit(batch)
        except Fenced as error:
            self._replaced = str(error)
            raise
        finally:
            del self._writes[instance.id]
            write.set_result(None)
        for operation in operations:
            self._count(operation)
        self._agenda.put(instance.id, due(instance, self._policy))
        if instance.vm_state is VmState.DELETED:
            self._roster.drop(instance.id)
            self._cells.pop(instance.id, None)
        else:
            self._roster.put(instance)

    async def guest_data(self, instance: InstanceRecord) -> GuestData | None:
        """What a guest is told (``sagas.cell.Recorder``)."""
        if instance.guest_data is None:
            return None
        text = await self._store.find(Table.GUEST_DATA, instance.guest_data)
        return None if text is None else GuestData.model_validate_json(text)

    def _count(self, operation: OperationRecord) -> None:
        """Count an operation and its steps when it has ended."""
        if not operation.done or operation.finished is None:
            return
        lasted = (operation.finished - operation.created).total_seconds()
        self._metrics.operation_ended(operation.action, operation.state, lasted)
        for entry in operation.steps:
            if entry.finished is not None:
                self._metrics.step_ended(
                    operation.action,
                    entry.name,
                    (entry.finished - entry.started).total_seconds(),
                    failed=bool(entry.error),
                )

    async def _count_states(self) -> None:
        while True:
            await self._clock.sleep(_COUNT_SECONDS)
            self._metrics.instances(self._roster.states)

    async def _begin_what_is_due(self) -> None:
        while True:
            await self._clock.sleep(_DUE_SECONDS)
            taken = self._agenda.take(self._clock.now(), _DUE_AT_ONCE)
            replies = await asyncio.gather(*(reply_to(self._begin, one) for one in taken))
            for one, reply in zip(taken, replies, strict=True):
                if isinstance(reply, Err):
                    self._put_off(one, reply.error)

    async def _begin(self, one: Due) -> Accepted:
        record = self._cell(one.instance, None).record
        command = InstanceCommand(
            instance=record.id,
            project=record.project,
            user=_NOVARAY,
            request_id=due_request_id(record.id, record.sequence),
            action=one.action,
            admin=True,
            # What it was decided upon: somebody may restore it at this very moment.
            generation=record.generation,
        )
        return await self._submit(command)

    def _put_off(self, one: Due, error: ComputeError) -> None:
        record = self._roster.get(one.instance)
        wanted = due(record, self._policy) if record is not None else None
        if wanted is None:
            return  # it is gone, or busy: its next change says what is due
        _log.warning("%s of instance %s is due: %s", one.action.value, one.instance, error)
        later = self._clock.now() + timedelta(seconds=_DUE_AGAIN_SECONDS)
        self._agenda.put(one.instance, Due(max(wanted.at, later), one.instance, wanted.action))

    async def _create(self, command: CreateInstance) -> Accepted:
        """The first of several tries makes the instance; the others get its answer."""
        birth = self._births.get(command.instance)
        if birth is None:
            birth = asyncio.create_task(self._bear(command))
            self._births[command.instance] = birth
            birth.add_done_callback(lambda _: self._births.pop(command.instance, None))
        return await asyncio.shield(birth)

    async def _bear(self, command: CreateInstance) -> Accepted:
        cell = self._cells.get(command.instance)
        if cell is not None:
            return await self._born_before(command, cell.record)
        record, operation = machine.create(command, self._clock.now())
        operation = self._engine.begin(operation)
        cell = Cell(record, operation, self, self._engine, self._clock)
        try:
            await cell.settle(await self._told_as(command))
        except (AlreadyExists, Stale):
            gone = await self._store.find_instance(command.instance)
            if gone is None:
                raise _served(command) from None
            return await self._born_before(command, gone)
        self._cells[record.id] = cell
        cell.resume()
        return Accepted(record, operation)

    async def _told_as(self, command: CreateInstance) -> GuestData | None:
        """What a new guest is told: a clone, what its origin was."""
        data = command.guest_data
        if not isinstance(command, CloneInstance) or command.guest_data_from is None or not data:
            return data
        text = await self._store.find(Table.GUEST_DATA, command.guest_data_from)
        if text is None:
            raise Conflict(
                "The instance that is being cloned was made anew meanwhile. Clone it again.",
                "CLONE_SOURCE_CHANGED",
                command.guest_data_from,
            )
        return taken_over(data, GuestData.model_validate_json(text), _INHERITED)

    async def _born_before(self, command: CreateInstance, record: InstanceRecord) -> Accepted:
        first = await self._store.find_request(command.project, command.request_id)
        if first is None or record.name != command.name:
            raise _served(command)
        return Accepted(record, first)

    async def _submit(self, command: InstanceCommand) -> Accepted:
        cell = self._cells.get(command.instance)
        if cell is None:
            return await self._submitted_before_the_end(command)
        self._cell(command.instance, command.project)
        if command.action is Action.SOFT_DELETE and not self._policy.reclaim_seconds:
            command = command.evolve(action=Action.DELETE)
        last = cell.last
        if last and last.request_id == command.request_id and _same(last, command):
            return Accepted(cell.record, last)
        try:
            return await cell.submit(command)
        except (AlreadyExists, Conflict, Stale):
            # A request that has been served before has its answer, whatever came of it since.
            first = await self._store.find_request(command.project, command.request_id)
            if first is None:
                raise
            return self._submitted_before(cell, command, first)

    async def _submitted_before_the_end(self, command: InstanceCommand) -> Accepted:
        """A command for an instance that is gone: its answer, if it was served (a delete was)."""
        first = await self._store.find_request(command.project, command.request_id)
        gone = await self._store.find_instance(command.instance) if first else None
        if first is None or gone is None or first.instance != command.instance:
            raise not_found(command.instance)
        if not _same(first, command):
            raise _served(command)
        return Accepted(gone, first)

    def _submitted_before(
        self, cell: Cell, command: InstanceCommand, first: OperationRecord
    ) -> Accepted:
        if first.instance != command.instance or not _same(first, command):
            raise _served(command)
        last = cell.last
        return Accepted(cell.record, last if last and last.id == first.id else first)

    async def _edit(self, edit: InstanceEdit) -> InstanceRecord:
        return await self._cell(edit.instance, edit.project).edit(edit)

    async def _get(self, instance: InstanceId) -> InstanceRecord:
        return self._cell(instance, None).record

    async def _operation(self, operation: OperationId) -> OperationRecord:
        cell = self._cells.get(split_operation_id(operation)[0])
        if cell is not None and cell.last is not None and cell.last.id == operation:
            return cell.last
        found = await self._store.find_operation(operation)
        if found is None:
            raise NotFound(
                f"Operation {operation} could not be found.",
                "OPERATION_NOT_FOUND",
                "",
                {"operation": operation},
            )
        return found

    def _cell(self, instance: InstanceId, project: ProjectId | None) -> Cell:
        cell = self._cells.get(instance)
        if cell is None or project not in (None, cell.record.project):
            raise not_found(instance)
        return cell

    async def _loaded(self) -> None:
        await asyncio.shield(self._loading)
        self._check()

    def _check(self) -> None:
        if self._replaced:
            # Not what it remembers: its successor, which has the name by now, knows better.
            raise Unavailable(
                f"The actor {self._name} is being replaced. Try again.",
                "ACTOR_REPLACED",
                self._replaced,
            )

    async def _read(
        self,
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """What the store has of this partition; waits for a store that is away, or full."""
        while True:
            try:
                self._epoch = await self._store.begin_epoch(self._name)
                return await self._store.load_partition(self._partition)
            except ComputeError as error:
                _log.warning("%s waits for the store: %s", self._name, error)
                await self._clock.sleep(_LOAD_PAUSE_SECONDS)

    async def _load(self) -> None:
        """Read this partition, and go on with what was under way."""
        records, unfinished = await self._read()
        running = {operation.id: operation for operation in unfinished}
        for record in records:
            operation = running.pop(record.operation, None) if record.operation else None
            self._roster.put(record)
            self._agenda.put(record.id, due(record, self._policy))
            self._cells[record.id] = Cell(record, operation, self, self._engine, self._clock)
            if record.task_state is not None and operation is None:
                await self._lose(self._cells[record.id])
        for cell in self._cells.values():
            cell.resume()
        if running:
            _log.error("%s: no instance has these operations: %s", self._name, ", ".join(running))
        _log.info(
            "%s: %d instances, %d operations go on", self._name, len(records), len(unfinished)
        )

    async def _lose(self, cell: Cell) -> None:
        """End an operation that the store cannot tell of: nothing would ever end it."""
        record = cell.record
        _log.error("instance %s: operation %s cannot be read", record.id, record.operation)
        reply = await reply_to(cell.observe, OperationLost(self._clock.now()))
        if isinstance(reply, Err):
            _log.error("instance %s stays busy: %s", record.id, reply.error)


def _served(command: CreateInstance | InstanceCommand) -> AlreadyExists:
    return AlreadyExists(
        f"Request id {command.request_id} has been used before, for something else or for an "
        "instance that is deleted since. Send a new request id.",
        "REQUEST_ID_USED",
        "",
        {"request_id": command.request_id},
    )


def _same(operation: OperationRecord, command: InstanceCommand) -> bool:
    """Whether the operation is what the command asks for.

    What a delete is depends on the state it finds, and on whether deleted instances are kept.
    """
    deletes = (Action.DELETE, Action.SOFT_DELETE)
    return operation.action is command.action or (
        operation.action in deletes and command.action in deletes
    )


async def _settled(writes: Iterable[asyncio.Future[Any]]) -> None:
    """Wait for writes under way; not for a store that hangs: then what is known is the old."""
    pending = set(writes)
    if pending:
        await asyncio.wait(pending, timeout=_SETTLE_SECONDS)
