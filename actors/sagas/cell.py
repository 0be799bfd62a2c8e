"""One VM inside an InstanceActor: its record, its operation, and its own mailbox.

A virtual actor: commands, moves of the running operation and power reports are served one at a
time, in the order they came (``asyncio.Lock`` is fair), each made durable before the next is
looked at.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

from actors.lifecycle import machine
from actors.lifecycle.events import (
    Begin,
    Edited,
    Interrupt,
    Moved,
    OperationLost,
    PowerObserved,
    Requested,
)
from actors.lifecycle.guest_data import taken_over
from actors.model.commands import InstanceCommand
from actors.model.edits import InstanceEdit
from actors.model.errors import Cancelled, ComputeError, Fenced, NotFound, Unavailable
from actors.model.guest_data import GuestData
from actors.model.ids import InstanceId, OperationId
from actors.model.instance import InstanceRecord, PowerState, VmState
from actors.model.operation import OperationRecord, OperationState
from actors.model.query import Accepted
from actors.ports.clock import Clock
from actors.ports.host import HostStep
from actors.ports.store import Eviction
from actors.sagas import journal
from actors.sagas.engine import Engine
from actors.sagas.snapshot import unfinished_image
from actors.sagas.volumes import unfinished_volume

_log: Final = logging.getLogger(__name__)

#: Between two tries to write while the store is away, seconds.
_STORE_PAUSE_SECONDS: Final = 0.2
#: Between two tries of a run that met what it cannot handle, seconds: at first, and at most.
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Recorder(Protocol):
    """Makes what became of an instance durable, and known to its actor."""

    async def record(
        self,
        instance: InstanceRecord,
        operations: Sequence[OperationRecord],
        eviction: Eviction | None,
        guest_data: GuestData | None,
    ) -> None:
        """Write the records that changed, with their events, in one batch.

        Raises:
            Unavailable: The store is away; whether it was written is not known. Repeating is safe.
        """
        ...

    async def guest_data(self, instance: InstanceRecord) -> GuestData | None:
        """What the guest is told beside its record.

        Raises:
            Unavailable: The store is away.
        """
        ...


class Cell:
    """The mailbox and the state of one instance."""

    def __init__(
        self,
        record: InstanceRecord,
        operation: OperationRecord | None,
        recorder: Recorder,
        engine: Engine,
        clock: Clock,
    ) -> None:
        self._record = record
        self._operation = operation
        self._recorder = recorder
        self._engine = engine
        self._clock = clock
        self._turn = asyncio.Lock()
        self._bell = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    @property
    def record(self) -> InstanceRecord:
        """The instance as it is now."""
        return self._record

    @property
    def operation(self) -> OperationRecord:
        """The operation under way.

        Raises:
            LookupError: None has been under way since this actor started.
        """
        if self._operation is None:
            raise LookupError(self._record.id)
        return self._operation

    @property
    def last(self) -> OperationRecord | None:
        """The operation under way, or the last one since this actor started."""
        return self._operation

    def wake(self) -> None:
        """What the operation waits for may be back."""
        self._bell.set()

    def resume(self) -> None:
        """Go on with an operation that a crash cut off."""
        if self._operation is not None and not self._operation.done:
            self._start(None)

    async def settle(self, guest_data: GuestData | None = None) -> None:
        """Write an instance for the first time, and what its guest is to be told.

        Raises:
            AlreadyExists: Its request has been served before.
        """
        async with self._turn:
            await self._durably(self._record, [self.operation], None, guest_data)

    async def submit(self, command: InstanceCommand) -> Accepted:
        """Accept a command: durable when it returns.

        Raises:
            NotFound: The instance was deleted while the command waited for its turn.
            Conflict: The state forbids it.
            Stale: The command names a generation that has passed.
        """
        async with self._turn:
            if self._record.vm_state is VmState.DELETED:
                raise not_found(command.instance)
            now = self._clock.now()
            record, effects = machine.step(self._record, Requested(command, now))
            written: list[OperationRecord] = []
            for effect in effects:
                match effect:
                    case Interrupt():
                        written.append(self._interrupted(now))
                    case Begin(operation):
                        begun = operation
                        if written:
                            begun = operation.evolve(
                                unfinished_image=unfinished_image(self.operation),
                                unfinished_volume=unfinished_volume(self.operation),
                            )
                        written.append(self._engine.begin(begun))
            if not written:
                return Accepted(instance=self._record, operation=self.operation)
            data = command.guest_data
            if data is not None:
                data = data.evolve(id=written[-1].id)
                if command.guest_data_keeps:
                    old = await self._recorder.guest_data(self._record)
                    data = taken_over(data, old, command.guest_data_keeps)
            await self._durably(record, written, None, data)
            self._start(self._runner)
            return Accepted(instance=self._record, operation=self.operation)

    async def edit(self, edit: InstanceEdit) -> InstanceRecord:
        """Change the record: durable when it returns. A reset ends the operation under way.

        Raises:
            NotFound: The instance was deleted while the edit waited for its turn.
            Conflict: A lock or the state forbids it.
            Forbidden: Only an admin may.
            Stale: The edit names a generation that has passed.
        """
        async with self._turn:
            if self._record.vm_state is VmState.DELETED:
                raise not_found(edit.instance)
            now = self._clock.now()
            record, effects = machine.step(self._record, Edited(edit, now))
            if record is self._record:
                return record
            ended = [self._interrupted(now) for effect in effects if isinstance(effect, Interrupt)]
            await self._durably(record, ended, None)
            if ended and self._runner is not None:
                self._runner.cancel()
            return self._record

    async def cancel(self) -> OperationRecord:
        """Ask the operation under way to end early and undo itself.

        Raises:
            Conflict: It cannot be cancelled.
        """
        async with self._turn:
            operation = self.operation
            if operation.done or operation.cancel_requested:
                return operation
            self._engine.check_cancel(operation)
            asked = operation.evolve(
                cancel_requested=True,
                generation=operation.generation + 1,
                updated=self._clock.now(),
            )
            await self._durably(self._record, [asked], None)
            self.wake()
            # Beside the answer, which must not wait for a host that is away.
            self._telling = asyncio.create_task(self._engine.abandon(self.operation))
            return self.operation

    async def observe(self, event: PowerObserved | OperationLost) -> None:
        """Take in what has come to light."""
        async with self._turn:
            record, _ = machine.step(self._record, event)
            if record is not self._record:
                await self._durably(record, [], None)

    async def progress(self, sequence: int, step: HostStep) -> None:
        """Note a step that the host has done in a job that goes on."""
        async with self._turn:
            operation = self._operation
            if operation is None or operation.done or operation.sequence != sequence:
                return
            noted = self._engine.progressed(operation, step)
            if noted is not operation:
                noted = noted.evolve(generation=operation.generation + 1)
                await self._durably(self._record, [noted], None)

    async def write(
        self,
        operation: OperationRecord,
        learned: Mapping[str, object],
        power_state: PowerState | None,
        eviction: Eviction | None,
    ) -> None:
        """Make a move of the running operation durable.

        Raises:
            Cancelled: A newer operation has taken the instance over.
        """
        async with self._turn:
            mine = self.operation
            if mine.id != operation.id or mine.done:
                raise _interruption(operation.id)
            now = self._clock.now()
            operation = operation.evolve(
                generation=mine.generation + 1,
                updated=now,
                # Somebody may have asked while the move was being made.
                cancel_requested=mine.cancel_requested,
            )
            record, _ = machine.step(self._record, Moved(operation, now, learned, power_state))
            await self._durably(record, [operation], eviction)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until somebody rings."""
        self._bell.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), seconds)

    def _interrupted(self, now: datetime) -> OperationRecord:
        """The operation under way, ended: what it left is the newer operation's to remove."""
        operation = self.operation
        return operation.evolve(
            state=OperationState.CANCELLED,
            generation=operation.generation + 1,
            waiting_for="",
            updated=now,
            finished=now,
        )

    async def _durably(
        self,
        record: InstanceRecord,
        operations: Sequence[OperationRecord],
        eviction: Eviction | None,
        guest_data: GuestData | None = None,
    ) -> None:
        """Write until it is written; only then is it so.

        A cancelled run neither cuts a write nor hands its turn on before the write has ended.
        """
        writing = asyncio.ensure_future(
            self._until_written(record, operations, eviction, guest_data)
        )
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})
            raise

    async def _until_written(
        self,
        record: InstanceRecord,
        operations: Sequence[OperationRecord],
        eviction: Eviction | None,
        guest_data: GuestData | None,
    ) -> None:
        while True:
            try:
                await self._recorder.record(record, operations, eviction, guest_data)
                break
            except Unavailable as error:
                _log.warning("store away, instance %s waits: %s", record.id, error)
                await self._clock.sleep(_STORE_PAUSE_SECONDS)
        self._record = record
        if operations:
            self._operation = operations[-1]

    def _start(self, before: asyncio.Task[None] | None) -> None:
        """Run the operation, once the interrupted run before it has let go."""
        run = _Run(self, self.operation.id)
        self._runner = asyncio.create_task(self._run(run, before), name=f"run {run.id}")

    async def _run(self, run: "_Run", before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            before.cancel()
            await asyncio.wait({before})
        pause = _FIRST_PAUSE_SECONDS
        while (trouble := await self._trouble(run)) is not None:
            # An operation is never left lying: it says what is wrong, and is tried again.
            with suppress(ComputeError):
                await self.write(journal.waiting(run.operation, trouble), {}, None, None)
            await self.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _trouble(self, run: "_Run") -> str | None:
        """Run the operation to its end; what kept it from there, or None."""
        try:
            await self._engine.run(run)
        except Fenced:
            _log.error("this actor has been replaced; instance %s rests", self._record.id)
        except Cancelled as error:
            if not run.interrupted:
                # A host or an owner knows of a newer operation than we do.
                _log.warning("operation %s was refused: %s", run.id, error)
                return error.message
            _log.info("operation %s was interrupted", run.id)
        except ComputeError as error:
            _log.exception("operation %s cannot go on", run.id)
            return error.message
        except Exception:  # noqa: BLE001 - a bug must not leave the instance busy for ever
            _log.exception("operation %s met a bug", run.id)
            return "An internal error occurred."
        return None


class _Run:
    """The cell as one operation's run sees it. Implements ``engine.Cell``.

    A newer operation is none of its business: what this run was just told (an answer, the end of
    a pause) must not be taken for an answer to the newer one.
    """

    def __init__(self, cell: Cell, operation: OperationId) -> None:
        self._cell = cell
        self.id = operation

    @property
    def interrupted(self) -> bool:
        """Whether a newer operation has taken the instance over."""
        return self._cell.operation.id != self.id

    @property
    def record(self) -> InstanceRecord:
        """As ``engine.Cell.record``."""
        return self._cell.record

    @property
    def operation(self) -> OperationRecord:
        """As ``engine.Cell.operation``.

        Raises:
            Cancelled: A newer operation has taken the instance over.
        """
        if self.interrupted:
            raise _interruption(self.id)
        return self._cell.operation

    async def write(
        self,
        operation: OperationRecord,
        learned: Mapping[str, object],
        power_state: PowerState | None,
        eviction: Eviction | None,
    ) -> None:
        """As ``engine.Cell.write``."""
        await self._cell.write(operation, learned, power_state, eviction)

    async def pause(self, seconds: float) -> None:
        """As ``engine.Cell.pause``."""
        await self._cell.pause(seconds)


def _interruption(operation: OperationId) -> Cancelled:
    return Cancelled(f"Operation {operation} was interrupted.", "INTERRUPTED")


def not_found(instance: InstanceId) -> NotFound:
    """The error for an instance that is not there, or not the caller's."""
    return NotFound(
        f"Instance {instance} could not be found.",
        "INSTANCE_NOT_FOUND",
        "",
        {"instance": instance},
    )
