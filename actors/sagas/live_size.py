"""Another size while the guest runs: claimed first, given back last.

At each moment the claim covers what the guest may use. The record says what it is to have, and the
host makes the guest agree. A guest has a say in what is taken from it: one that keeps its memory
has the change undone, and what it kept is what the record says then, and the claim covers.
Why memory modules and no balloon: ``docs/decisions/0019``.
"""

from collections.abc import Mapping

from actors.lifecycle.live_size import asked_size, kept_size
from actors.model.details import ChangeSize
from actors.model.errors import Internal
from actors.model.flavor import Resources, Size
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.ports.scheduler import ClaimRequest
from actors.sagas.saga import Saga, Step, Work


async def claim_both(work: Work) -> Mapping[str, object]:
    """Hold what the old and the new size need, each of its parts."""
    old, new = _before(work), _asked(work)
    resources = work.record.resources.evolve(
        vcpus=max(old.vcpus, new.vcpus), memory_mb=max(old.memory_mb, new.memory_mb)
    )
    await _claim(work, resources)
    return {}


async def claim_as_recorded(work: Work) -> Mapping[str, object]:
    """Hold what the record says, and no more."""
    await _claim(work, work.record.resources)
    return {}


async def mark_size(work: Work) -> Mapping[str, object]:
    """The record is of the new size."""
    return {"size": kept_size(work.record.flavor, _asked(work))}


async def mark_size_before(work: Work) -> Mapping[str, object]:
    """The record is of the old size again."""
    return {"size": kept_size(work.record.flavor, _before(work))}


async def _claim(work: Work, resources: Resources) -> None:
    operation = work.operation
    await work.cluster.scheduler.claim(
        ClaimRequest(
            instance=work.record.id,
            sequence=operation.sequence,
            attempt=operation.attempt,
            resources=resources,
            in_place=True,
        )
    )


def _asked(work: Work) -> Size:
    return asked_size(work.record, _details(work.operation))


def _before(work: Work) -> Size:
    return _details(work.operation).before or work.record.size_now


def _details(operation: OperationRecord) -> ChangeSize:
    if not isinstance(operation.details, ChangeSize):
        raise Internal("The operation does not say which size.", "INTERNAL", operation.id)
    return operation.details


#: On the way back the record comes first, and then the host makes the guest agree with it: so the
#: host's undo belongs to a step before the record's.
CHANGE_SIZE = Saga(
    Action.CHANGE_SIZE,
    (
        Step("claim", claim_both, undo=claim_as_recorded),
        Step(
            "look",
            HostStep.CHECK_SIZE,
            undo=HostStep.SETTLE_SIZE,
            deadline_seconds=180.0,
        ),
        Step("mark", mark_size, undo=mark_size_before),
        # The guest has a say in it: it may take its time, or refuse.
        Step("change", HostStep.ENSURE_SIZE, deadline_seconds=180.0),
        Step("settle", claim_as_recorded, commits=True),
    ),
)
