"""The lifecycle under any order of requests, moves and reports."""

from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.lifecycle import machine
from actors.lifecycle.events import (
    Begin,
    Edited,
    Interrupt,
    LifecycleEvent,
    Moved,
    PowerObserved,
    Requested,
)
from actors.lifecycle.guards import guard_of
from actors.lifecycle.status import status_of
from actors.model.commands import CreateInstance
from actors.model.edits import ResetState, UpdateInstance
from actors.model.errors import Conflict
from actors.model.instance import InstanceRecord, PowerState, Status, TaskState, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from tests.local.records import HOST, NOW, command, instance

ENDS = [OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED]
REQUESTS = [action for action in Action if action is not Action.CREATE]


class Lifecycle(RuleBasedStateMachine):
    """One instance and the operation that is under way on it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.running: OperationRecord | None = None
        self.interrupted: list[OperationRecord] = []

    @initialize()
    def born(self) -> None:
        like = instance()
        wanted = CreateInstance(
            instance=like.id,
            project=like.project,
            user=like.user,
            request_id=like.request_id,
            name=like.name,
            flavor=like.flavor,
            source=like.source,
        )
        self.record, self.running = machine.create(wanted, self.now)

    def feed(self, event: LifecycleEvent) -> None:
        before = self.record
        self.record, effects = machine.step(before, event)
        changed = self.record.evolve(generation=0, updated=NOW) != before.evolve(
            generation=0, updated=NOW
        )
        assert self.record.generation == before.generation + (1 if changed else 0)
        assert self.record.sequence >= before.sequence
        if before.vm_state is VmState.DELETED:
            assert self.record is before or not changed
        for effect in effects:
            match effect:
                case Interrupt(operation):
                    assert self.running is not None
                    assert operation == self.running.id
                    self.interrupted.append(self.running)
                    self.running = None
                case Begin(operation):
                    assert self.running is None
                    self.running = operation

    @rule(action=st.sampled_from(REQUESTS))
    def request(self, action: Action) -> None:
        guard = guard_of(command(self.record, action))
        record = self.record
        allowed = record.vm_state in guard.vm_states and (
            self.record.task_state in guard.interrupts
            or (record.task_state is None and (record.launched is not None or not guard.launched))
        )
        try:
            self.feed(Requested(command(record, action), self.tick()))
        except Conflict:
            assert not allowed
            assert self.record is record
        else:
            assert allowed

    @rule(end=st.sampled_from([VmState.ACTIVE, VmState.ERROR]))
    def an_admin_resets(self, end: VmState) -> None:
        record = self.record
        if record.vm_state is VmState.DELETED:
            return
        who = {"instance": record.id, "project": record.project, "user": record.user}
        try:
            self.feed(Edited(ResetState(**who, vm_state=end, admin=True), self.tick()))
        except Conflict:
            assert record.task_state is TaskState.DELETING
        else:
            assert (self.record.vm_state, self.record.task_state) == (end, None)

    @rule(name=st.sampled_from(["vm", "other"]))
    def somebody_renames(self, name: str) -> None:
        record = self.record
        if record.vm_state is not VmState.DELETED:
            who = {"instance": record.id, "project": record.project, "user": record.user}
            self.feed(Edited(UpdateInstance(**who, name=name), self.tick()))
            assert self.record.evolve(name="", generation=0, updated=NOW) == record.evolve(
                name="", generation=0, updated=NOW
            )

    @rule(end=st.sampled_from(ENDS), power=st.sampled_from([None, *PowerState]))
    def operation_ends(self, end: OperationState, power: PowerState | None) -> None:
        if self.running is None:
            return
        done, self.running = self.running.evolve(state=end), None
        self.feed(Moved(done, self.tick(), {}, power))
        assert self.record.task_state is None

    @rule()
    def operation_moves(self) -> None:
        if self.running is not None:
            self.feed(Moved(self.running, self.tick(), {"host_id": HOST, "host": "h1"}))
            assert self.record.task_state is not None

    @rule(end=st.sampled_from(ENDS))
    def an_interrupted_operation_speaks(self, end: OperationState) -> None:
        if self.interrupted:
            before = self.record
            self.feed(Moved(self.interrupted[-1].evolve(state=end), self.tick()))
            assert self.record is before

    @rule(power=st.sampled_from(PowerState), lag=st.integers(0, 2))
    def host_reports(self, power: PowerState, lag: int) -> None:
        before = self.record
        self.feed(PowerObserved(power, HOST, max(0, before.sequence - lag), self.tick()))
        if lag and before.sequence - lag >= 0:
            assert self.record is before
        if before.task_state is not None:
            assert self.record.vm_state is before.vm_state
            assert self.record.task_state is before.task_state

    def tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    @invariant()
    def busy_exactly_while_something_is_under_way(self) -> None:
        record: InstanceRecord | None = getattr(self, "record", None)
        if record is None:
            return
        assert (record.task_state is None) == (self.running is None)
        if record.task_state is TaskState.DELETING:
            assert self.running is not None
            assert self.running.action is Action.DELETE
        assert (record.vm_state is VmState.BUILDING) <= (record.sequence >= 1)
        assert status_of(record) in Status


TestLifecycle = Lifecycle.TestCase
