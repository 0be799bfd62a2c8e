"""Every point of every saga at which something can go wrong."""

from actors.model.details import Details, Reboot
from actors.model.operation import Action
from actors.ports.host import HostStep
from actors.sagas.plans import SAGAS
from actors.sagas.saga import Step

#: ``create.claim``, ``create.ensure_disk``, ``delete.ports``, …
STEPS = [
    f"{saga.action.value}.{step.do.value if isinstance(step.do, HostStep) else step.name}"
    for saga in SAGAS.values()
    for step in saga.steps
]


def _undo(action: Action, step: Step) -> str | None:
    if step.undo is None:
        return None
    name = step.undo.value if isinstance(step.undo, HostStep) else f"undo_{step.name}"
    return f"{action.value}.{name}"


#: ``create.ensure_absent``, ``create.undo_claim``, …
UNDOS = [
    point
    for saga in SAGAS.values()
    for step in saga.steps
    if (point := _undo(saga.action, step)) is not None
]


def action_of(point: str) -> Action:
    """The action a point belongs to."""
    return Action(point.partition(".")[0])


#: What has to be done to an instance that runs, before the action may begin.
BEFORE: dict[Action, tuple[Action, ...]] = {
    Action.START: (Action.STOP,),
    Action.UNPAUSE: (Action.PAUSE,),
    Action.RESUME: (Action.SUSPEND,),
    Action.RESTORE: (Action.SOFT_DELETE,),
}

#: What the domain is when the action is done; it runs otherwise.
POWER: dict[Action, str] = {
    Action.STOP: "shutdown",
    Action.PAUSE: "paused",
    Action.SUSPEND: "suspended",
    Action.SOFT_DELETE: "shutdown",
}


def details_of(action: Action) -> Details | None:
    """What a test asks for with the action."""
    return Reboot() if action is Action.REBOOT else None


def last_step(action: Action) -> str:
    """The point at which the action's last step is done."""
    return [point for point in STEPS if action_of(point) is action][-1]
