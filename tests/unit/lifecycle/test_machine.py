"""What becomes of an instance: the guard table, the three axes, and who wins."""

import itertools
from datetime import timedelta

import pytest

from actors.lifecycle import machine
from actors.lifecycle.events import (
    Begin,
    Interrupt,
    Moved,
    OperationLost,
    PowerObserved,
    Requested,
)
from actors.lifecycle.guards import ALLOWED, REBOOT_SOFT, guard_of
from actors.model.commands import InstanceCommand
from actors.model.details import OfSnapshot, Resize
from actors.model.errors import Conflict, Stale
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.instance import (
    DiskSnapshot,
    Former,
    InstanceRecord,
    PowerState,
    Rescue,
    TaskState,
    VmState,
)
from actors.model.operation import Action, OperationState
from tests.local.nova_guards import LEFT_ALONE
from tests.local.records import HOST, NOW, SOURCE, command, instance, operation
from tests.sagas.points import POWER

LATER = NOW + timedelta(seconds=1)
ACTIONS = [action for action in Action if action is not Action.CREATE]


@pytest.mark.parametrize(
    ("state", "task", "action"), list(itertools.product(VmState, [None, *TaskState], ACTIONS))
)
def test_every_state_by_every_action(
    state: VmState, task: TaskState | None, action: Action
) -> None:
    record = instance(vm_state=state, task_state=task)
    guard = guard_of(command(record, action))
    allowed = state in guard.vm_states and (task is None or task in guard.interrupts)
    if not allowed:
        with pytest.raises(Conflict) as refusal:
            machine.step(record, Requested(command(record, action), NOW))
        assert record.id in refusal.value.message
        assert action.words in refusal.value.message
        assert refusal.value.reason in {"INVALID_STATE", "INSTANCE_BUSY"}
        return
    after, effects = machine.step(record, Requested(command(record, action), NOW))
    deleting = (TaskState.DELETING, TaskState.SOFT_DELETING)
    if task in deleting[: 1 if action is Action.DELETE else 2]:
        assert (after, effects) == (record, [])
        return
    assert after.generation == record.generation + 1
    assert after.sequence == record.sequence + 1
    assert after.vm_state is state
    assert after.task_state is not None
    assert isinstance(effects[-1], Begin)
    assert (len(effects) == 2) == (task is not None and record.operation is not None)


def test_guards_are_novas() -> None:
    """The rows of nova/compute/api.py for what we have so far."""
    assert ALLOWED[Action.STOP].vm_states == {VmState.ACTIVE, VmState.ERROR}
    assert ALLOWED[Action.START].vm_states == {VmState.STOPPED}
    assert ALLOWED[Action.DELETE].vm_states == set(VmState) - {VmState.DELETED}
    assert [a for a in Action if ALLOWED[a].interrupts == set(TaskState)] == [Action.DELETE]
    assert {
        task.value for task in set(TaskState) - ALLOWED[Action.SOFT_DELETE].interrupts
    } == LEFT_ALONE["softDelete"]
    remade = {VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}
    assert ALLOWED[Action.REBUILD].vm_states == remade
    assert ALLOWED[Action.RESCUE].vm_states == remade
    assert ALLOWED[Action.UNRESCUE].vm_states == {VmState.RESCUED}
    assert REBOOT_SOFT.vm_states == {VmState.ACTIVE}
    assert ALLOWED[Action.REBOOT].vm_states == {
        VmState.ACTIVE,
        VmState.STOPPED,
        VmState.PAUSED,
        VmState.SUSPENDED,
        VmState.ERROR,
    }
    assert ALLOWED[Action.PAUSE].vm_states == {VmState.ACTIVE}
    assert ALLOWED[Action.UNPAUSE].vm_states == {VmState.PAUSED}
    assert ALLOWED[Action.SUSPEND].vm_states == {VmState.ACTIVE}
    assert ALLOWED[Action.RESUME].vm_states == {VmState.SUSPENDED}
    assert ALLOWED[Action.RESTORE].vm_states == {VmState.SOFT_DELETED}
    assert set(ALLOWED) == set(Action)


@pytest.mark.parametrize("action", [Action.STOP, Action.START])
def test_what_never_ran_is_neither_stopped_nor_started(action: Action) -> None:
    """A boot that failed leaves no host: there is nothing to stop, and nothing to start."""
    for state in ALLOWED[action].vm_states:
        record = instance(vm_state=state, launched=None, host_id=None, host=None)
        with pytest.raises(Conflict) as refusal:
            machine.step(record, Requested(command(record, action), NOW))
        assert refusal.value.reason == "INSTANCE_NEVER_RAN"


def test_delete_interrupts_what_is_under_way() -> None:
    record = instance(vm_state=VmState.BUILDING, task_state=TaskState.SPAWNING)
    _, effects = machine.step(record, Requested(command(record, Action.DELETE), NOW))
    assert isinstance(effects[0], Interrupt)
    assert effects[0].operation == record.operation


def test_a_request_for_an_older_generation_is_refused() -> None:
    record = instance(generation=7)
    stop = InstanceCommand(**{**dict(command(record, Action.STOP)), "generation": 6})
    with pytest.raises(Stale) as refusal:
        machine.step(record, Requested(stop, NOW))
    assert refusal.value.reason == "ETAG_MISMATCH"


@pytest.mark.parametrize(
    ("action", "end"),
    [
        (Action.CREATE, VmState.ACTIVE),
        (Action.START, VmState.ACTIVE),
        (Action.STOP, VmState.STOPPED),
        (Action.DELETE, VmState.DELETED),
        (Action.REBOOT, VmState.ACTIVE),
        (Action.PAUSE, VmState.PAUSED),
        (Action.UNPAUSE, VmState.ACTIVE),
        (Action.SUSPEND, VmState.SUSPENDED),
        (Action.RESUME, VmState.ACTIVE),
        (Action.SOFT_DELETE, VmState.SOFT_DELETED),
        (Action.RESIZE, VmState.RESIZED),
        (Action.CONFIRM_RESIZE, VmState.ACTIVE),
        (Action.REVERT_RESIZE, VmState.ACTIVE),
        (Action.RESTORE, VmState.ACTIVE),
        (Action.REBUILD, VmState.ACTIVE),
        (Action.RESCUE, VmState.RESCUED),
        (Action.UNRESCUE, VmState.ACTIVE),
    ],
)
def test_success(action: Action, end: VmState) -> None:
    record = instance(task_state=TaskState.SPAWNING)
    done = operation(record, action, state=OperationState.SUCCEEDED)
    power = PowerState(POWER.get(action, "running"))
    after, _ = machine.step(record, Moved(done, LATER, {}, power))
    assert (after.vm_state, after.task_state, after.fault) == (end, None, None)
    assert (after.launched == LATER) == (action is Action.CREATE)
    assert (after.terminated is not None) == (action is Action.DELETE)


@pytest.mark.parametrize(
    ("was", "power", "end"),
    [
        (VmState.ACTIVE, PowerState.RUNNING, VmState.ACTIVE),
        (VmState.STOPPED, PowerState.SHUTDOWN, VmState.STOPPED),
        (VmState.ERROR, PowerState.RUNNING, VmState.ACTIVE),
    ],
)
def test_a_rebuilt_one_runs_unless_it_was_stopped(
    was: VmState, power: PowerState, end: VmState
) -> None:
    record = instance(vm_state=was, task_state=TaskState.REBUILDING)
    done = operation(record, Action.REBUILD, was=was, state=OperationState.SUCCEEDED)
    after, _ = machine.step(record, Moved(done, LATER, {}, power))
    assert after.vm_state is end


def test_a_rescued_one_is_restored_as_it_was() -> None:
    record = instance(
        vm_state=VmState.SOFT_DELETED, task_state=TaskState.RESTORING, rescue=Rescue(source=SOURCE)
    )
    done = operation(record, Action.RESTORE, state=OperationState.SUCCEEDED)
    after, _ = machine.step(record, Moved(done, LATER, {}, PowerState.RUNNING))
    assert after.vm_state is VmState.RESCUED


def test_a_rescue_guest_that_goes_off_is_still_a_rescue() -> None:
    record = instance(vm_state=VmState.RESCUED, rescue=Rescue(source=SOURCE))
    for power in PowerState:
        assert observed(record, power).vm_state is VmState.RESCUED


def test_only_a_failed_build_makes_an_error() -> None:
    for action, end in ((Action.CREATE, VmState.ERROR), (Action.STOP, VmState.ACTIVE)):
        record = instance(task_state=TaskState.SPAWNING)
        failed = operation(record, action, state=OperationState.FAILED)
        after, _ = machine.step(record, Moved(failed, NOW))
        assert (after.vm_state, after.task_state) == (end, None)


def test_a_late_word_of_an_interrupted_operation_changes_nothing() -> None:
    record = instance(sequence=2, task_state=TaskState.DELETING)
    late = operation(record, Action.CREATE, sequence=1, state=OperationState.SUCCEEDED)
    assert machine.step(record, Moved(late, NOW, {"host": "h9"})) == (record, [])


def observed(record: InstanceRecord, power: PowerState, sequence: int = 1) -> InstanceRecord:
    after, effects = machine.step(record, PowerObserved(power, HOST, sequence, NOW))
    assert effects == []
    return after


def test_a_guest_that_powers_itself_off_is_stopped() -> None:
    assert observed(instance(), PowerState.SHUTDOWN).vm_state is VmState.STOPPED
    assert observed(instance(), PowerState.CRASHED).vm_state is VmState.STOPPED


def test_a_guest_started_behind_our_back_is_active() -> None:
    stopped = instance(vm_state=VmState.STOPPED, power_state=PowerState.SHUTDOWN)
    assert observed(stopped, PowerState.RUNNING).vm_state is VmState.ACTIVE


def test_an_unfinished_operation_wins_over_a_report() -> None:
    busy = instance(task_state=TaskState.POWERING_OFF)
    after = observed(busy, PowerState.SHUTDOWN)
    assert after.vm_state is VmState.ACTIVE
    assert after.power_state is PowerState.SHUTDOWN


def test_what_a_report_told_meanwhile_holds_when_the_operation_fails() -> None:
    """Hosts tell of a change once: what was only noted while busy must not be lost."""
    busy = observed(instance(task_state=TaskState.POWERING_OFF), PowerState.SHUTDOWN)
    failed = operation(busy, Action.STOP, state=OperationState.FAILED)
    after, _ = machine.step(busy, Moved(failed, NOW))
    assert (after.vm_state, after.task_state) == (VmState.STOPPED, None)
    off = instance(vm_state=VmState.STOPPED, task_state=TaskState.POWERING_ON)
    cancelled = operation(off, Action.START, state=OperationState.CANCELLED)
    after, _ = machine.step(off, Moved(cancelled, NOW, {}, PowerState.RUNNING))
    assert (after.vm_state, after.task_state) == (VmState.ACTIVE, None)


def test_what_a_report_told_meanwhile_holds_when_the_operation_succeeds() -> None:
    """A guest that died as soon as it ran is not active, whatever was asked."""
    off = instance(vm_state=VmState.STOPPED, task_state=TaskState.POWERING_ON)
    started = operation(off, Action.START, state=OperationState.SUCCEEDED)
    after, _ = machine.step(off, Moved(started, NOW, {}, PowerState.CRASHED))
    assert (after.vm_state, after.power_state) == (VmState.STOPPED, PowerState.CRASHED)
    stopping = instance(task_state=TaskState.POWERING_OFF)
    stopped = operation(stopping, Action.STOP, state=OperationState.SUCCEEDED)
    after, _ = machine.step(stopping, Moved(stopped, NOW, {}, PowerState.NOSTATE))
    assert after.vm_state is VmState.STOPPED


def test_a_lost_operation_leaves_nothing_busy() -> None:
    half = instance(vm_state=VmState.BUILDING, task_state=TaskState.SPAWNING)
    stopping = instance(task_state=TaskState.POWERING_OFF, power_state=PowerState.SHUTDOWN)
    for record, state in ((half, VmState.ERROR), (stopping, VmState.STOPPED)):
        after, effects = machine.step(record, OperationLost(NOW))
        assert (after.vm_state, after.task_state, effects) == (state, None, [])
        assert after.fault is not None
    assert machine.step(instance(), OperationLost(NOW)) == (instance(), [])


def test_stale_and_foreign_reports_are_dropped() -> None:
    record = instance(sequence=3)
    assert observed(record, PowerState.SHUTDOWN, sequence=2) is record
    elsewhere = instance(host_id=None)
    assert observed(elsewhere, PowerState.SHUTDOWN) is elsewhere


def test_the_same_report_twice_changes_nothing() -> None:
    once = observed(instance(), PowerState.SHUTDOWN)
    assert observed(once, PowerState.SHUTDOWN) is once


@pytest.mark.parametrize("action", [Action.CONFIRM_RESIZE, Action.REVERT_RESIZE])
@pytest.mark.parametrize(
    ("power", "end"),
    [
        (PowerState.NOSTATE, VmState.STOPPED),
        (PowerState.SHUTDOWN, VmState.STOPPED),
        (PowerState.RUNNING, VmState.ACTIVE),
    ],
)
def test_what_was_resized_is_what_it_runs_as(
    action: Action, power: PowerState, end: VmState
) -> None:
    record = instance(vm_state=VmState.RESIZED, task_state=TaskState.RESIZE_REVERTING)
    done = operation(record, action, state=OperationState.SUCCEEDED)
    assert machine.step(record, Moved(done, LATER, {}, power))[0].vm_state is end


def test_a_resize_remembers_what_there_was() -> None:
    """And what follows it knows it, too: what lies on another host is never forgotten."""
    record = instance(vm_state=VmState.STOPPED)
    resize = command(record, Action.RESIZE).evolve(details=Resize(flavor=DEFAULT_FLAVORS[1]))
    _, effects = machine.step(record, Requested(resize, NOW))
    (begin,) = effects
    assert isinstance(begin, Begin)
    former = begin.operation.former
    assert former is not None
    assert (former.flavor, former.host_id, former.sequence) == (record.flavor, HOST, 2)
    assert not former.ran
    for action in (Action.CONFIRM_RESIZE, Action.REVERT_RESIZE, Action.DELETE):
        resized = instance(vm_state=VmState.RESIZED, former=former)
        _, effects = machine.step(resized, Requested(command(resized, action), NOW))
        assert isinstance(effects[-1], Begin)
        assert effects[-1].operation.former == former


def test_a_resize_that_never_ended_is_not_followed_by_another() -> None:
    former = Former(
        sequence=1, flavor=DEFAULT_FLAVORS[1], host_id=HOST, host="h1", vm_state=VmState.ACTIVE
    )
    reset = instance(former=former)
    with pytest.raises(Conflict) as refusal:
        machine.step(reset, Requested(command(reset, Action.RESIZE), NOW))
    assert refusal.value.reason == "RESIZE_UNSETTLED"


@pytest.mark.parametrize(
    ("action", "was", "power"),
    [
        (Action.TAKE_SNAPSHOT, VmState.PAUSED, PowerState.PAUSED),
        (Action.RESTORE_SNAPSHOT, VmState.STOPPED, PowerState.SHUTDOWN),
        (Action.DELETE_SNAPSHOT, VmState.ERROR, PowerState.RUNNING),
    ],
)
def test_what_is_done_to_snapshots_changes_no_state(
    action: Action, was: VmState, power: PowerState
) -> None:
    record = instance(vm_state=was, task_state=TaskState.TAKING_SNAPSHOT)
    done = operation(record, action, state=OperationState.SUCCEEDED)
    after, _ = machine.step(record, Moved(done, LATER, {}, power))
    assert (after.vm_state, after.task_state) == (was, None)


def test_a_restore_remembers_which_layer_and_whether_the_guest_ran() -> None:
    kept = DiskSnapshot(name="monday", layer="l", disk_gb=1, created=NOW)
    record = instance(snapshots=(kept,), power_state=PowerState.RUNNING)
    asked = command(record, Action.RESTORE_SNAPSHOT).evolve(details=OfSnapshot(name="monday"))
    _, effects = machine.step(record, Requested(asked, NOW))
    (begin,) = effects
    assert isinstance(begin, Begin)
    assert begin.operation.details == OfSnapshot(name="monday", layer="l", ran=True)


def test_what_a_host_saw_before_it_did_the_last_thing_is_late() -> None:
    """Stopped and started again by one operation: the word of the stop may come last."""
    running = instance(power_state=PowerState.RUNNING, power_seen=NOW)
    for seen, state in (
        (NOW - timedelta(milliseconds=1), VmState.ACTIVE),
        (NOW + timedelta(milliseconds=1), VmState.STOPPED),
        (None, VmState.STOPPED),
    ):
        told = PowerObserved(PowerState.SHUTDOWN, HOST, 1, LATER, seen)
        assert machine.step(running, told)[0].vm_state is state
