"""Every point of every saga at which something can go wrong."""

import uuid

from actors.model.details import (
    AttachVolume,
    Backup,
    ChangeSize,
    DetachVolume,
    Details,
    OfSnapshot,
    Reboot,
    Rebuild,
    Rebuilt,
    RescueBoot,
    Resize,
    Snapshot,
    Unrescue,
    Unshelve,
)
from actors.model.flavor import DEFAULT_FLAVORS
from actors.model.ids import HostId, ImageId, VolumeId
from actors.model.image import BootSource
from actors.model.instance import Former, VmState
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.sagas.plans import SAGAS
from actors.sagas.saga import Saga, Step
from tests.local.records import HOST, SOURCE, instance, operation

#: What has to be done to an instance that runs, before the action may begin.
BEFORE: dict[Action, tuple[Action, ...]] = {
    Action.START: (Action.STOP,),
    Action.UNPAUSE: (Action.PAUSE,),
    Action.RESUME: (Action.SUSPEND,),
    Action.RESTORE: (Action.SOFT_DELETE,),
    Action.UNRESCUE: (Action.RESCUE,),
    Action.CONFIRM_RESIZE: (Action.RESIZE,),
    Action.REVERT_RESIZE: (Action.RESIZE,),
    Action.SHELVE_OFFLOAD: (Action.SHELVE,),
    Action.RESTORE_SNAPSHOT: (Action.TAKE_SNAPSHOT,),
    Action.DELETE_SNAPSHOT: (Action.TAKE_SNAPSHOT,),
    Action.UNSHELVE: (Action.SHELVE, Action.SHELVE_OFFLOAD),
    Action.DETACH_VOLUME: (Action.ATTACH_VOLUME,),
}

#: What these actions are done with.
VOLUME = VolumeId("33333333-3333-4333-8333-333333333333")

#: What the domain is when the action is done; it runs otherwise.
POWER: dict[Action, str] = {
    Action.STOP: "shutdown",
    Action.PAUSE: "paused",
    Action.SUSPEND: "suspended",
    Action.SOFT_DELETE: "shutdown",
    Action.SHELVE: "shutdown",
}

#: What leaves nothing of the instance on its host.
LEAVES: frozenset[Action] = frozenset({Action.DELETE, Action.SHELVE_OFFLOAD})


TINY = DEFAULT_FLAVORS[0]

#: What a host knows the one snapshot by.
LAYER = "5a9e0000-0000-4000-8000-000000000001"

#: What tells the guest something new.
TELLS: frozenset[Action] = frozenset({Action.REBUILD, Action.RESCUE})


def details_of(action: Action, source: BootSource = SOURCE) -> Details | None:
    """What a test asks for with the action; ``source`` is what another disk is made from."""
    image = ImageId(str(uuid.uuid4()))
    details: dict[Action, Details] = {
        Action.REBUILD: Rebuild(to=Rebuilt(source=source, name="rebuilt"), ran=True),
        Action.RESCUE: RescueBoot(source=source, ran=True),
        Action.UNRESCUE: Unrescue(ran=True),
        Action.REBOOT: Reboot(),
        Action.RESIZE: Resize(flavor=TINY),
        Action.CREATE_IMAGE: Snapshot(image=image),
        Action.SHELVE: Snapshot(image=image),
        Action.CREATE_BACKUP: Snapshot(image=image, backup=Backup(kind="daily", rotation=1)),
        Action.TAKE_SNAPSHOT: OfSnapshot(name="monday", layer=LAYER, ran=True),
        Action.RESTORE_SNAPSHOT: OfSnapshot(name="monday", layer=LAYER, ran=True),
        Action.DELETE_SNAPSHOT: OfSnapshot(name="monday", layer=LAYER, ran=True),
        Action.CHANGE_SIZE: ChangeSize(vcpus=2, memory_mb=256),
        Action.UNSHELVE: Unshelve(),
        Action.ATTACH_VOLUME: AttachVolume(volume=VOLUME),
        Action.DETACH_VOLUME: DetachVolume(volume=VOLUME),
    }
    return details.get(action)


#: The state that an action begins in; it runs otherwise.
WAS: dict[Action, VmState] = {
    Action.CREATE: VmState.BUILDING,
    Action.START: VmState.STOPPED,
    Action.UNPAUSE: VmState.PAUSED,
    Action.RESUME: VmState.SUSPENDED,
    Action.RESTORE: VmState.SOFT_DELETED,
    Action.UNRESCUE: VmState.RESCUED,
    Action.CONFIRM_RESIZE: VmState.RESIZED,
    Action.REVERT_RESIZE: VmState.RESIZED,
    Action.SHELVE_OFFLOAD: VmState.SHELVED,
    Action.UNSHELVE: VmState.SHELVED_OFFLOADED,
}


def steps_of(saga: Saga, former_host: HostId = HOST) -> tuple[Step, ...]:
    """The steps that the saga has for a test's operation.

    Args:
        saga: The saga.
        former_host: Where an instance that was resized was before.
    """
    return saga.steps_of(sample_of(saga.action, former_host))


def sample_of(action: Action, former_host: HostId = HOST) -> OperationRecord:
    """An operation as a test asks for it; as ``steps_of``."""
    was = WAS.get(action, VmState.ACTIVE)
    sized = action is Action.RESIZE or was is VmState.RESIZED or former_host != HOST
    former = Former(
        sequence=2, flavor=TINY, host_id=former_host, host="h2", vm_state=VmState.ACTIVE
    )
    return operation(
        instance(),
        action,
        was=was,
        details=details_of(action),
        former=former if sized else None,
    )


def _point(saga: Saga, step: Step) -> str:
    return f"{saga.action.value}.{step.do.value if isinstance(step.do, HostStep) else step.name}"


#: ``create.claim``, ``create.ensure_disk``, ``delete.ports``, …
STEPS = [_point(saga, step) for saga in SAGAS.values() for step in steps_of(saga)]


def _undo(action: Action, step: Step) -> str | None:
    if step.undo is None:
        return None
    name = step.undo.value if isinstance(step.undo, HostStep) else f"undo_{step.name}"
    return f"{action.value}.{name}"


#: ``create.ensure_absent``, ``create.undo_claim``, …
UNDOS = [
    point
    for saga in SAGAS.values()
    for step in steps_of(saga)
    if (point := _undo(saga.action, step)) is not None
]

#: Steps that are not undone, nor those after them: a saga that only goes forward, or has committed.
FORWARD = frozenset(
    _point(saga, step)
    for saga in SAGAS.values()
    for step in steps_of(saga)
    if saga.only_forward or step.commits
)


def action_of(point: str) -> Action:
    """The action a point belongs to."""
    return Action(point.partition(".")[0])


def last_step(action: Action) -> str:
    """The point at which the last step is done whose failure is undone.

    It is no undo as well: else a test could not tell the one from the other.
    """
    return [
        point
        for point in STEPS
        if action_of(point) is action and point not in FORWARD and point not in UNDOS
    ][-1]
