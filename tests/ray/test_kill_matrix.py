"""Each actor is killed with SIGKILL at each point of each operation, which still ends as asked.

One kill serves all points: at each of them one operation, on an instance of its own, is held when
the actor's process dies. So an actor that comes back finds as many unfinished operations as there
are points, which is harsher than one at a time; and a kill for each case would take minutes. Each
test asks what became of its own point's operation.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from actors.model.errors import ComputeError
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, PowerState, VmState
from actors.model.operation import Action, OperationRecord, OperationState
from tests.ray.kill_cluster import Caller, KillCluster, Remains, caller, kill_cluster
from tests.sagas.points import BEFORE, LEAVES, POWER, STEPS, UNDOS, action_of

#: Every process of the Ray cluster, its own included; then a new cluster starts on the same files.
EVERYTHING = "everything"
KILLED = (
    "conductor", "scheduler", "network", "images", "volumes", "instances", "host", EVERYTHING,
)  # fmt: skip
#: With the HostActor goes libvirt's test driver, and all its domains with it.
POWER_FAILURES = ("host", EVERYTHING)
WHEN = ("before", "after")

#: Where operations are held, in the order in which they get there. A boot that fails reaches its
#: undos in reverse.
STEP_POINTS = [f"{step}.{when}" for step in dict.fromkeys(STEPS) for when in WHEN]
UNDO_POINTS = [
    f"{undo}.{when}"
    for undo in reversed(UNDOS)
    if action_of(undo) is Action.CREATE
    for when in WHEN
]

#: What is there when the action is done.
VM_STATES = {
    Action.DELETE: None,
    Action.STOP: VmState.STOPPED,
    Action.PAUSE: VmState.PAUSED,
    Action.SUSPEND: VmState.SUSPENDED,
    Action.SOFT_DELETE: VmState.SOFT_DELETED,
    Action.RESCUE: VmState.RESCUED,
    Action.RESIZE: VmState.RESIZED,
    Action.SHELVE: VmState.SHELVED,
    Action.SHELVE_OFFLOAD: VmState.SHELVED_OFFLOADED,
}

#: What ends without a guest.
OFF = frozenset({Action.STOP, Action.SOFT_DELETE, Action.SHELVE})

#: What leaves the guest as it is: gone, where it has just lost its power.
LEAVES_IT = frozenset(
    {
        Action.CREATE_IMAGE,
        Action.CREATE_BACKUP,
        Action.CONFIRM_RESIZE,
        Action.ATTACH_VOLUME,
        Action.DETACH_VOLUME,
        Action.TAKE_SNAPSHOT,
        Action.DELETE_SNAPSHOT,
        Action.CHANGE_SIZE,
    }
)

#: What starts a guest; a power failure after that, in a step that does not touch it, ends it.
_STARTS = ("ensure_running", "ensure_rebooted")

#: What cannot be done to a guest that has just lost its power.
NEEDS_A_GUEST = frozenset({Action.PAUSE, Action.UNPAUSE, Action.SUSPEND})

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Aftermath:
    """What there is when the operations have ended, or their time is over."""

    operations: Mapping[str, OperationRecord]
    #: An instance that runs, and of which nothing is asked meanwhile.
    bystander: InstanceId
    records: Mapping[InstanceId, InstanceRecord]
    remains: Remains
    #: When all instances have been deleted.
    in_the_end: Remains


@dataclass
class Kills:
    """One kill each, done when the first test asks for it."""

    cluster: KillCluster
    _done: dict[str, Aftermath | Exception] = field(default_factory=dict)

    async def of(self, killed: str) -> Aftermath:
        """What became of the operations that were held when this was killed."""
        done = self._done.get(killed)
        if done is None:
            try:
                done = await _kill_once(self.cluster, killed)
            except (AssertionError, ComputeError, TimeoutError) as error:
                done = error  # for all tests that ask: none of them tries again
            self._done[killed] = done
        if isinstance(done, Exception):
            raise done
        return done


@pytest.fixture(scope="module")
def kills() -> Iterator[Kills]:
    with kill_cluster() as cluster:
        yield Kills(cluster)


@pytest.mark.parametrize("point", STEP_POINTS)
@pytest.mark.parametrize("killed", KILLED)
async def test_an_operation_ends_as_asked(kills: Kills, killed: str, point: str) -> None:
    found = await kills.of(killed)
    operation, action = found.operations[point], action_of(point)
    if action in NEEDS_A_GUEST and killed in POWER_FAILURES and not _succeeded(operation):
        assert operation.fault is not None
        assert operation.fault.reason == "GUEST_NOT_RUNNING"
        return
    assert operation.state is OperationState.SUCCEEDED, operation
    record = found.records.get(operation.instance)
    states = {VM_STATES.get(action, VmState.ACTIVE)}
    if action is Action.CONFIRM_RESIZE and killed in POWER_FAILURES:
        states.add(VmState.STOPPED)  # as it runs
    assert (record and record.vm_state) in states
    assert record is None or record.task_state is None
    power = found.remains.domains.get(operation.instance)
    if action in LEAVES:
        assert power is None
    elif killed in POWER_FAILURES and (action in OFF | LEAVES_IT or _comes_after_its_start(point)):
        assert power in (PowerState(POWER.get(action, "running")), None)
    else:
        assert power == PowerState(POWER.get(action, "running"))
    there = action not in LEAVES
    assert (operation.instance in found.remains.disks) is there
    assert found.remains.claims.count(operation.instance) == there
    assert found.remains.ports.count(operation.instance) == (action is not Action.DELETE)


@pytest.mark.parametrize("point", UNDO_POINTS)
@pytest.mark.parametrize("killed", KILLED)
async def test_a_failed_boot_leaves_nothing(kills: Kills, killed: str, point: str) -> None:
    found = await kills.of(killed)
    operation = found.operations[point]
    assert operation.state is OperationState.FAILED, operation
    record = found.records[operation.instance]
    assert record.vm_state is VmState.ERROR
    assert record.fault is not None
    assert record.fault.reason == "IMAGE_NOT_FOUND"
    assert operation.instance not in found.remains.domains
    assert operation.instance not in found.remains.disks
    assert operation.instance not in found.remains.claims
    assert operation.instance not in found.remains.ports


@pytest.mark.parametrize("killed", KILLED)
async def test_an_instance_stays_as_it_is(kills: Kills, killed: str) -> None:
    found = await kills.of(killed)
    assert found.records[found.bystander].vm_state is VmState.ACTIVE
    if killed not in POWER_FAILURES:
        assert found.remains.domains[found.bystander] is PowerState.RUNNING


@pytest.mark.parametrize("killed", KILLED)
async def test_nothing_is_left_when_all_is_deleted(kills: Kills, killed: str) -> None:
    assert (await kills.of(killed)).in_the_end == Remains({}, set(), [], [])


def _comes_after_its_start(point: str) -> bool:
    """Whether the point's operation has started the guest, and will not do so again."""
    points = [one for one in STEP_POINTS if action_of(one) is action_of(point)]
    past = points[: points.index(point)]
    return any(one.endswith(f"{start}.after") for one in past for start in _STARTS)


def _succeeded(operation: OperationRecord) -> bool:
    return operation.state is OperationState.SUCCEEDED


async def _kill_once(cluster: KillCluster, killed: str) -> Aftermath:
    user = await caller(cluster)
    bystander = await user.running()
    begun = await _hold_everywhere(user)
    if killed == EVERYTHING:
        cluster.kill_everything()
        cluster.gates.open()
        await cluster.start()
        user = await caller(cluster)
    else:
        dead = await cluster.kill(killed)
        cluster.gates.open()
        await cluster.pid(killed, after=dead)
    ended = await user.ended([operation.id for operation in begun.values()])
    operations = {point: ended[operation.id] for point, operation in begun.items()}
    records, remains = await user.records(), await user.remains()
    await user.delete_all()
    return Aftermath(operations, bystander, records, remains, await user.remains())


async def _hold_everywhere(user: Caller) -> dict[str, OperationRecord]:
    """An operation held at each point. The last points first: who comes later stops before them."""
    instances = await asyncio.gather(*(_ready_for(user, action_of(one)) for one in STEP_POINTS))
    # No host has this image: the first boot fetches it.
    await user.new_image()
    begun: dict[str, OperationRecord] = {}
    for point in reversed(UNDO_POINTS):
        user.cluster.gates.close(point)
        begun[point] = (await user.boot_in_vain()).operation
        await user.cluster.gates.arrival(point)
    for point, instance in reversed([*zip(STEP_POINTS, instances, strict=True)]):
        user.cluster.gates.close(point)
        begun[point] = await _begin(user, action_of(point), instance)
        await user.cluster.gates.arrival(point)
    return begun


async def _ready_for(user: Caller, action: Action) -> InstanceId | None:
    """An instance in the state for the action; none for one that makes it."""
    if action is Action.CREATE:
        return None
    return await user.after(*BEFORE.get(action, ()))


async def _begin(user: Caller, action: Action, instance: InstanceId | None) -> OperationRecord:
    made = await (user.boot() if instance is None else user.act(instance, action))
    return made.operation
