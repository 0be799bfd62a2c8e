"""Rescue: another image boots in the instance's place, with the instance's own disk beside it.

Nothing is done to the instance's own disk. A rescue that fails leaves the instance as it was.
"""

from collections.abc import Mapping

from actors.model.details import RescueBoot, Unrescue
from actors.model.errors import Internal
from actors.model.instance import Rescue
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step, Work


def _ran(operation: OperationRecord) -> bool:
    details = operation.details
    return isinstance(details, RescueBoot | Unrescue) and details.ran


async def mark_rescued(work: Work) -> Mapping[str, object]:
    """From here on the rescue image is what boots."""
    operation, details = work.operation, work.operation.details
    if not isinstance(details, RescueBoot):
        raise Internal("The operation does not say what rescues.", "INTERNAL", operation.id)
    told = operation.guest_data or operation.guest_data_before
    return {"rescue": Rescue(source=details.source, guest_data=told)}


async def mark_not_rescued(_: Work) -> Mapping[str, object]:
    """The instance's own disk is what boots."""
    return {"rescue": None}


async def mark_still_rescued(work: Work) -> Mapping[str, object]:
    """The rescue image is what boots, as before the unrescue."""
    details = work.operation.details
    return {"rescue": details.rescue if isinstance(details, Unrescue) else None}


#: Whatever runs against what the record said when it began is stopped, too.
_DOMAIN = Step(
    "domain", HostStep.ENSURE_REBOOTED, undo=HostStep.ENSURE_ABSENT, deadline_seconds=120.0
)
_STOP = Step(
    "stop",
    HostStep.ENSURE_STOPPED,
    undo=HostStep.ENSURE_RUNNING,
    when=_ran,
    deadline_seconds=60.0,
)

RESCUE = Saga(
    Action.RESCUE,
    (
        # While the guest still runs. No undo: the cache is the host's.
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        _STOP,
        Step("mark", mark_rescued, undo=mark_not_rescued),
        Step(
            "disk",
            HostStep.ENSURE_RESCUE_DISK,
            undo=HostStep.REMOVE_RESCUE_DISK,
            deadline_seconds=120.0,
        ),
        _DOMAIN,
    ),
)

UNRESCUE = Saga(
    Action.UNRESCUE,
    (
        _STOP,
        Step("mark", mark_not_rescued, undo=mark_still_rescued),
        _DOMAIN,
        Step("forget", HostStep.REMOVE_RESCUE_DISK, commits=True),
    ),
)
