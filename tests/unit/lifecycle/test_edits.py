"""What changes without an operation: who may, when, and what becomes of the record."""

import itertools
import pickle

import pytest
from pydantic import ValidationError

from actors.lifecycle import machine
from actors.lifecycle.edits import METADATA_STATES
from actors.lifecycle.events import Edited, Effect, Interrupt, Moved, Requested
from actors.model.edits import (
    InstanceEdit,
    LockInstance,
    ResetState,
    UnlockInstance,
    UpdateInstance,
)
from actors.model.errors import ComputeError, Conflict, Forbidden, Stale
from actors.model.ids import UserId
from actors.model.instance import (
    Fault,
    InstanceRecord,
    Lock,
    PowerState,
    Rescue,
    Shelved,
    TaskState,
    VmState,
)
from actors.model.operation import Action, OperationState
from tests.local.records import NOW, SOURCE, command, instance, operation

MEMBERS = Lock(user=UserId("bob"), reason="audit")
ADMINS = Lock(user=UserId("root"), by_admin=True, reason="evidence")
LIVING = [state for state in VmState if state is not VmState.DELETED]


def edit(kind: type[InstanceEdit], record: InstanceRecord, **fields: object) -> InstanceEdit:
    """An edit of this record by its owner."""
    who = {"instance": record.id, "project": record.project, "user": record.user}
    return kind(**{**who, **fields})


def feed(record: InstanceRecord, wanted: InstanceEdit) -> tuple[InstanceRecord, list[Effect]]:
    return machine.step(record, Edited(wanted, NOW))


def updated(record: InstanceRecord, **fields: object) -> InstanceRecord:
    after, effects = feed(record, edit(UpdateInstance, record, **fields))
    assert effects == []
    return after


def refused(record: InstanceRecord, wanted: InstanceEdit) -> ComputeError:
    with pytest.raises(ComputeError) as refusal:
        feed(record, wanted)
    return refusal.value


@pytest.mark.parametrize(("state", "task"), list(itertools.product(LIVING, [None, *TaskState])))
def test_every_state_by_every_edit(state: VmState, task: TaskState | None) -> None:
    """Nova's rules; an edit beside an operation leaves that alone."""
    record = instance(vm_state=state, task_state=task)
    after = updated(record, name="new", description="d", hostname="h", tags=("t",))
    assert (after.name, after.description, after.hostname, after.tags) == ("new", "d", "h", ("t",))
    assert (after.vm_state, after.task_state, after.operation) == (state, task, record.operation)
    assert after.generation == record.generation + 1

    metadata = edit(UpdateInstance, record, metadata={"k": "v"})
    if state in METADATA_STATES:
        assert feed(record, metadata)[0].metadata == {"k": "v"}
    else:
        assert refused(record, metadata).reason == "INVALID_STATE"

    locked, effects = feed(record, edit(LockInstance, record, reason="audit"))
    assert effects == []
    assert locked.lock == Lock(user=record.user, reason="audit")
    assert feed(locked, edit(UnlockInstance, record))[0].lock is None

    for end in (VmState.ACTIVE, VmState.ERROR):
        reset = edit(ResetState, record, vm_state=end, admin=True)
        if task is TaskState.DELETING:
            assert refused(record, reset).reason == "INSTANCE_BUSY"
            continue
        after, effects = feed(record, reset)
        assert (after.vm_state, after.task_state) == (end, None)
        assert effects == ([Interrupt(record.operation)] if task and record.operation else [])


def test_what_is_so_already_changes_nothing() -> None:
    """Also with the etag of before: that is how a repeated edit looks."""
    record = instance(name="vm", tags=("a",), metadata={"k": "v"}, lock=ADMINS)
    same = edit(
        UpdateInstance,
        record,
        name="vm",
        tags=("a",),
        metadata={"k": "v"},
        generation=1,
        admin=True,
    )
    assert feed(record, same) == (record, [])
    assert feed(record, edit(LockInstance, record)) == (record, [])
    free = instance()
    assert feed(free, edit(UnlockInstance, free, generation=1)) == (free, [])
    assert feed(free, edit(ResetState, free, vm_state=VmState.ACTIVE, admin=True)) == (free, [])


def test_an_edit_of_an_older_generation_is_refused() -> None:
    record = instance(generation=7)
    for wanted in (
        edit(UpdateInstance, record, name="new", generation=6),
        edit(LockInstance, record, generation=6),
        edit(ResetState, record, vm_state=VmState.ERROR, admin=True, generation=6),
    ):
        with pytest.raises(Stale) as refusal:
            feed(record, wanted)
        assert refusal.value.reason == "ETAG_MISMATCH"


@pytest.mark.parametrize("lock", [MEMBERS, ADMINS])
def test_a_lock_keeps_all_but_admins_from_everything(lock: Lock) -> None:
    record = instance(lock=lock)
    problem = refused(record, edit(UpdateInstance, record, name="new"))
    assert problem.reason == "INSTANCE_LOCKED"
    assert lock.reason in problem.message
    assert "update" in problem.message
    assert feed(record, edit(UpdateInstance, record, name="new", admin=True))[0].name == "new"
    for action in (Action.STOP, Action.DELETE, Action.SOFT_DELETE):
        asked = command(record, action)
        with pytest.raises(Conflict) as refusal:
            machine.step(record, Requested(asked, NOW))
        assert refusal.value.reason == "INSTANCE_LOCKED"
        assert lock.reason in refusal.value.message
        after, _ = machine.step(record, Requested(asked.evolve(admin=True), NOW))
        assert after.task_state is not None


def test_an_admin_s_lock_is_an_admin_s_to_take_away() -> None:
    record = instance(lock=ADMINS)
    problem = refused(record, edit(UnlockInstance, record))
    assert problem.reason == "INSTANCE_LOCKED"
    assert "Only an admin can unlock it." in problem.message
    assert feed(record, edit(UnlockInstance, record, admin=True))[0].lock is None
    # Anybody of the project may take away what one of it has set.
    mine = instance(lock=MEMBERS)
    assert feed(mine, edit(UnlockInstance, mine, user=UserId("carol")))[0].lock is None


def test_an_admin_s_lock_takes_the_place_of_a_member_s() -> None:
    record = instance(lock=MEMBERS)
    after, _ = feed(record, edit(LockInstance, record, admin=True, reason="evidence"))
    assert after.lock == Lock(user=record.user, by_admin=True, reason="evidence")


def test_only_admins_reset() -> None:
    record = instance()
    wanted = edit(ResetState, record, vm_state=VmState.ERROR)
    with pytest.raises(Forbidden):
        feed(record, wanted)


def test_a_reset_to_active_forgets_the_fault() -> None:
    fault = Fault(kind="internal", reason="X", message="Broken.", created=NOW)
    record = instance(vm_state=VmState.ERROR, fault=fault)
    assert feed(record, edit(ResetState, record, vm_state=VmState.ERROR, admin=True))[0] is record
    after, _ = feed(record, edit(ResetState, record, vm_state=VmState.ACTIVE, admin=True))
    assert after.fault is None
    assert after.since == NOW


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (UpdateInstance, {"name": ""}),
        (UpdateInstance, {"name": "x" * 256}),
        (UpdateInstance, {"name": "a\nb"}),
        (UpdateInstance, {"description": "x" * 256}),
        (UpdateInstance, {"description": "\x1b[2J"}),
        (UpdateInstance, {"hostname": ""}),
        (UpdateInstance, {"hostname": "a.b"}),
        (UpdateInstance, {"hostname": "-a"}),
        (UpdateInstance, {"hostname": "x" * 64}),
        (UpdateInstance, {"metadata": {"": "v"}}),
        (UpdateInstance, {"metadata": {"k": "x" * 256}}),
        (UpdateInstance, {"metadata": {f"k{n}": "" for n in range(129)}}),
        (UpdateInstance, {"tags": ("",)}),
        (UpdateInstance, {"tags": ("a,b",)}),
        (UpdateInstance, {"tags": ("a/b",)}),
        (UpdateInstance, {"tags": ("x" * 61,)}),
        (UpdateInstance, {"tags": tuple(f"t{n}" for n in range(51))}),
        (LockInstance, {"reason": "x" * 256}),
        (LockInstance, {"reason": "\x00"}),
        (ResetState, {"vm_state": "deleted"}),
    ],
)
def test_bad_input(kind: type[InstanceEdit], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        edit(kind, instance(), **fields)


def soft_delete(record: InstanceRecord) -> tuple[InstanceRecord, list[Effect]]:
    return machine.step(record, Requested(command(record, Action.SOFT_DELETE), NOW))


def test_what_never_ran_is_not_kept() -> None:
    """As Nova's ``_delete``: there is nothing to restore."""
    for record in (
        instance(vm_state=VmState.ERROR, launched=None, host_id=None, host=None),
        instance(vm_state=VmState.BUILDING, task_state=TaskState.SPAWNING, launched=None),
        instance(vm_state=VmState.SHELVED_OFFLOADED, host_id=None, host=None),
    ):
        assert soft_delete(record)[0].task_state is TaskState.DELETING
    assert soft_delete(instance())[0].task_state is TaskState.SOFT_DELETING


def test_what_is_shelved_is_not_kept() -> None:
    shelf = Shelved(image=SOURCE.image, disk=SOURCE.disk, virtual_size=1, original=SOURCE)
    record = instance(vm_state=VmState.SHELVED, shelved=shelf)
    assert soft_delete(record)[0].task_state is TaskState.DELETING


def test_a_restore_ends_no_rescue() -> None:
    for rescue, end in ((None, VmState.ACTIVE), (Rescue(source=SOURCE), VmState.RESCUED)):
        record = instance(
            vm_state=VmState.SOFT_DELETED, task_state=TaskState.RESTORING, rescue=rescue
        )
        done = operation(record, Action.RESTORE, state=OperationState.SUCCEEDED)
        after, _ = machine.step(record, Moved(done, NOW, {}, PowerState.RUNNING))
        assert after.vm_state is end


def test_a_delete_under_way_answers_another() -> None:
    for task in (TaskState.DELETING, TaskState.SOFT_DELETING):
        record = instance(task_state=task)
        assert soft_delete(record) == (record, [])
    # By force it is more than what is under way.
    record = instance(task_state=TaskState.SOFT_DELETING)
    after, effects = machine.step(record, Requested(command(record, Action.DELETE), NOW))
    assert after.task_state is TaskState.DELETING
    assert isinstance(effects[0], Interrupt)


def test_a_delete_wins_over_a_restore() -> None:
    record = instance(vm_state=VmState.SOFT_DELETED, task_state=TaskState.RESTORING)
    after, effects = soft_delete(record)
    assert after.task_state is TaskState.SOFT_DELETING
    assert isinstance(effects[0], Interrupt)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (UpdateInstance, {"name": "web", "metadata": {"k": "v"}, "tags": ("a",)}),
        (LockInstance, {"reason": "audit", "generation": 3}),
        (UnlockInstance, {"admin": True}),
        (ResetState, {"vm_state": VmState.ERROR}),
    ],
)
def test_edits_travel_between_actors(kind: type[InstanceEdit], fields: dict[str, object]) -> None:
    wanted = edit(kind, instance(), **fields)
    assert pickle.loads(pickle.dumps(wanted)) == wanted
