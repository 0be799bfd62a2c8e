"""Shelve: an instance is kept as an image, and gives its host's room back (Nova: ``shelve``).

It keeps its id, its addresses and all that is said of it. One that boots from a volume needs no
image: the volume stays as it is, and stays the instance's.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from actors.model.details import Snapshot
from actors.model.errors import Conflict
from actors.model.image import BootFile
from actors.model.instance import Shelved, VmState
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.sagas.boot import claim_host, release_claim
from actors.sagas.saga import Saga, Step, Work
from actors.sagas.snapshot import IMAGE_STEPS, snapshot_of
from actors.sagas.volumes import take_volumes_along


def ran(operation: OperationRecord) -> bool:
    """Whether the guest ran when the operation began."""
    return operation.was is VmState.ACTIVE


def rested(operation: OperationRecord) -> bool:
    """Whether it was there without running: to let it go costs its memory, as in Nova."""
    return operation.was in {VmState.PAUSED, VmState.SUSPENDED}


def is_imaged(operation: OperationRecord) -> bool:
    """Whether its root disk is kept as an image: not a volume (``lifecycle.before``)."""
    return isinstance(operation.details, Snapshot)


def had_left(operation: OperationRecord) -> bool:
    """Whether it was on no host any more when the operation began."""
    return operation.was is VmState.SHELVED_OFFLOADED


def had_stayed(operation: OperationRecord) -> bool:
    """Whether its host still has its disk."""
    return not had_left(operation)


async def mark_shelved(work: Work) -> Mapping[str, object]:
    """The record knows the image that the instance can be brought back from, if it needs one.

    Raises:
        Conflict: Somebody deleted the image meanwhile.
    """
    if not is_imaged(work.operation):
        return {}
    wanted = snapshot_of(work).image
    for image in await work.cluster.images.images():
        if image.id == wanted:
            disk = BootFile(
                image=image.id,
                sha256=image.sha256,
                size=image.size,
                disk_format=image.disk_format,
            )
            shelved = Shelved(
                image=image.id,
                disk=disk,
                virtual_size=image.virtual_size,
                original=work.record.source,
            )
            return {"shelved": shelved}
    raise Conflict(
        f"Image {wanted} was deleted while the instance was being shelved.", "IMAGE_DELETED"
    )


async def unmark_shelved(_: Work) -> Mapping[str, object]:
    """Its image goes: a cancel came while the record learned of it."""
    return {"shelved": None}


async def mark_unshelved(work: Work) -> Mapping[str, object]:
    """The instance is on its new host, and its disk starts from its own image."""
    record, shelved = work.record, work.record.shelved
    if record.host_id is not None and record.host is not None:
        await take_volumes_along(work, record.host_id, record.host)
    if shelved is None:
        return {}
    source = shelved.original.evolve(disk=shelved.disk, virtual_size=shelved.virtual_size)
    return {"source": source}


async def unmark_unshelved(work: Work) -> Mapping[str, object]:
    """It starts from what it started from before."""
    shelved = work.record.shelved
    return {} if shelved is None else {"source": shelved.original}


async def forget_shelved(work: Work) -> Mapping[str, object]:
    """The image goes, unless somebody protects it."""
    shelved = work.record.shelved
    if shelved is None:
        return {}
    with suppress(Conflict):  # else it is an image like any other by now
        await work.cluster.images.delete(shelved.image)
    return {"shelved": None}


SHELVE = Saga(
    Action.SHELVE,
    (
        Step(
            "stop",
            HostStep.ENSURE_STOPPED,
            undo=HostStep.ENSURE_RUNNING,
            when=ran,
            deadline_seconds=60.0,
        ),
        # No undo: what stood still cannot be made to stand still where it was.
        Step("off", HostStep.ENSURE_STOPPED, when=rested, deadline_seconds=60.0),
        *(replace(step, when=is_imaged) for step in IMAGE_STEPS),
        Step("mark", mark_shelved, undo=unmark_shelved),
    ),
)

#: It has its image, or its volume, so nothing is lost, and nothing goes back.
SHELVE_OFFLOAD = Saga(
    Action.SHELVE_OFFLOAD,
    (
        Step("domain", HostStep.ENSURE_ABSENT, left_to_host=True, deadline_seconds=60.0),
        Step("disk", HostStep.REMOVE_DISK, left_to_host=True),
        Step("network", HostStep.REMOVE_NETWORK, left_to_host=True),
        Step("claim", release_claim),
    ),
    only_forward=True,
)

UNSHELVE = Saga(
    Action.UNSHELVE,
    (
        Step("claim", claim_host, undo=release_claim, when=had_left),
        Step("mark", mark_unshelved, undo=unmark_unshelved, when=had_left),
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step("network", HostStep.ENSURE_NETWORK, undo=HostStep.REMOVE_NETWORK, when=had_left),
        Step("disk", HostStep.ENSURE_DISK, undo=HostStep.REMOVE_DISK, when=had_left),
        Step("wire", HostStep.ENSURE_NETWORK, when=had_stayed),
        Step("domain", HostStep.ENSURE_RUNNING, undo=HostStep.ENSURE_ABSENT, deadline_seconds=60.0),
        Step("forget", forget_shelved, commits=True),
    ),
)
