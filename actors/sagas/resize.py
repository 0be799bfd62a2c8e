"""Resize: another flavor, on the same host or another, until it is confirmed or reverted.

The record says what the instance is (``flavor``, ``host_id``) and what it was (``former``). Until
the end of the matter the former disks are kept as they were, and what was claimed for them is held:
a revert finds everything in its place. Nova: ``resize_instance``, ``confirm_resize``,
``revert_resize``. Why disks are copied and not stacked: ``docs/decisions/0016``.
"""

from collections.abc import Mapping

from actors.model.details import Resize
from actors.model.errors import Internal
from actors.model.host import Part
from actors.model.instance import Former
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.ports.scheduler import ClaimRequest, Release
from actors.sagas.saga import OPERATION, Place, Saga, Step, Work
from actors.sagas.volumes import take_volumes_along

#: Disks are copied, or travel: an hour is enough for some hundred GiB.
_COPY_SECONDS = 3600.0


def ran(operation: OperationRecord) -> bool:
    """Whether there was a guest to start again."""
    return operation.former is not None and operation.former.ran


def crosses(operation: OperationRecord) -> bool:
    """Whether it is another host now. Known once the claim is there."""
    return operation.former is not None and operation.former.host_id != operation.host_id


def has_former(operation: OperationRecord) -> bool:
    """Whether there is something to settle."""
    return operation.former is not None


async def claim_size(work: Work) -> Mapping[str, object]:
    """Take what the new flavor needs, beside what is held. The record learns of it later."""
    operation, record = work.operation, work.record
    claim = await work.cluster.scheduler.claim(
        ClaimRequest(
            instance=record.id,
            sequence=operation.sequence,
            attempt=operation.attempt,
            resources=_asked(operation).flavor.resources_for(
                root_is_volume=record.boots_from_volume
            ),
            availability_zone=record.availability_zone,
            lives_on=_former(operation).host_id,
            host=record.volume_host,
        )
    )
    return {OPERATION: {"host_id": claim.host_id, "host": claim.host}}


async def release_size(work: Work) -> Mapping[str, object]:
    """Give back what the resize has claimed."""
    await _release(work, Part.NEW)
    return {}


async def release_former(work: Work) -> Mapping[str, object]:
    """Give back what the former size held: nothing of it is left, and the record forgets it."""
    await _release(work, Part.FORMER)
    return {"former": None}


async def mark_resized(work: Work) -> Mapping[str, object]:
    """From here on the record is of the new size, on its host."""
    operation = work.operation
    if operation.host_id is not None and operation.host is not None:
        await take_volumes_along(work, operation.host_id, operation.host)
    return {
        "flavor": _asked(operation).flavor,
        # What was changed since is the former flavor's matter: the new one begins with its own.
        "size": None,
        "host_id": operation.host_id,
        "host": operation.host,
        "former": _former(operation),
    }


async def mark_as_before(work: Work) -> Mapping[str, object]:
    """The record is of the former size again, on its host."""
    former = _former(work.operation)
    await take_volumes_along(work, former.host_id, former.host)
    return {
        "flavor": former.flavor,
        "size": former.size,
        "host_id": former.host_id,
        "host": former.host,
        "former": None,
    }


async def _release(work: Work, part: Part) -> None:
    await work.cluster.scheduler.release(
        Release(work.record.id, work.operation.sequence, part=part)
    )


def _asked(operation: OperationRecord) -> Resize:
    if not isinstance(operation.details, Resize):
        raise Internal("The operation does not say which flavor.", "INTERNAL", operation.id)
    return operation.details


def _former(operation: OperationRecord) -> Former:
    if operation.former is None:
        raise Internal("The operation does not say what there was.", "INTERNAL", operation.id)
    return operation.former


RESIZE = Saga(
    Action.RESIZE,
    (
        Step("claim", claim_size, undo=release_size),
        Step(
            "stop",
            HostStep.ENSURE_STOPPED,
            undo=HostStep.ENSURE_RUNNING,
            when=ran,
            at=Place.FORMER,
            deadline_seconds=60.0,
        ),
        # Before the guest starts elsewhere: no address answers at two hosts. No undo: a start, by
        # the undo above or by its owner, makes both anew.
        Step("leave", HostStep.ENSURE_ABSENT, when=crosses, at=Place.FORMER),
        Step("unplug", HostStep.REMOVE_NETWORK, when=crosses, at=Place.FORMER),
        # What it shares there with others stays there. No undo: its content is the same.
        Step(
            "flatten",
            HostStep.ENSURE_FLAT_DISK,
            when=crosses,
            at=Place.FORMER,
            deadline_seconds=_COPY_SECONDS,
        ),
        Step("mark", mark_resized, undo=mark_as_before),
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step("network", HostStep.ENSURE_NETWORK, undo=HostStep.REMOVE_NETWORK),
        Step(
            "disk",
            HostStep.ENSURE_RESIZED_DISK,
            undo=HostStep.REVERT_DISK,
            deadline_seconds=_COPY_SECONDS,
        ),
        Step(
            "domain",
            HostStep.ENSURE_RUNNING,
            undo=HostStep.ENSURE_ABSENT,
            when=ran,
            deadline_seconds=60.0,
        ),
    ),
)

#: Only takes away: nothing goes back. Also what a soft delete does to a resize (Nova:
#: ``_confirm_resize_on_deleting``).
SETTLE = (
    Step("kept", HostStep.REMOVE_FORMER_DISK, when=has_former, commits=True),
    Step(
        "old_domain",
        HostStep.ENSURE_ABSENT,
        when=crosses,
        at=Place.FORMER,
        left_to_host=True,
        commits=True,
    ),
    Step("old_disk", HostStep.REMOVE_DISK, when=crosses, at=Place.FORMER, left_to_host=True),
    Step("old_network", HostStep.REMOVE_NETWORK, when=crosses, at=Place.FORMER, left_to_host=True),
    Step("old_claim", release_former, when=has_former, commits=True),
)

CONFIRM_RESIZE = Saga(Action.CONFIRM_RESIZE, SETTLE, only_forward=True)

#: It begins by taking away what it would have to bring back: so it only goes forward.
REVERT_RESIZE = Saga(
    Action.REVERT_RESIZE,
    (
        Step("domain", HostStep.ENSURE_ABSENT, deadline_seconds=60.0),
        Step("network", HostStep.REMOVE_NETWORK, when=crosses),
        Step("disk", HostStep.REVERT_DISK),
        Step("mark", mark_as_before),
        Step("claim", release_size),
        Step("old_image", HostStep.ENSURE_IMAGE, at=Place.FORMER, deadline_seconds=600.0),
        Step("old_network", HostStep.ENSURE_NETWORK, at=Place.FORMER),
        Step(
            "old_domain",
            HostStep.ENSURE_RUNNING,
            when=ran,
            at=Place.FORMER,
            deadline_seconds=60.0,
        ),
    ),
    only_forward=True,
)
