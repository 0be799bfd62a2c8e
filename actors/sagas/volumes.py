"""Volumes of an instance: given, given back, and let go with the instance.

What a guest's machine has follows from the record: a step changes the record, and the host's step
makes disks and record agree, whether the guest runs or not.
"""

import asyncio
from collections.abc import Mapping

from actors.lifecycle.targets import free_target
from actors.model.details import AttachVolume, DetachVolume
from actors.model.errors import Conflict, Internal
from actors.model.ids import HostId, VolumeId
from actors.model.instance import ROOT_TARGET, AttachedVolume, InstanceRecord
from actors.model.operation import Action, OperationRecord
from actors.model.volume import Volume
from actors.model.volume_hold import Hold, Moved, Reserve
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step, Work


def brings_volume(operation: OperationRecord) -> bool:
    """Whether the operation gives the instance a volume."""
    return isinstance(operation.details, AttachVolume)


async def reserve_volume(work: Work) -> Mapping[str, object]:
    """Nobody else gets it from here on."""
    await _reserved(work)
    return {}


async def release_reserved(work: Work) -> Mapping[str, object]:
    """Others may have it again."""
    await work.cluster.volumes.release(_hold(work, _attaching(work).volume), False)
    return {}


async def mark_attached(work: Work) -> Mapping[str, object]:
    """The record has the volume."""
    record, details = work.record, _attaching(work)
    if any(one.volume == details.volume for one in record.volumes):
        return {}
    volume = await _reserved(work)
    attached = AttachedVolume(
        volume=volume.id,
        # What an instance is made with is what it boots from.
        target=ROOT_TARGET if work.operation.action is Action.CREATE else free_target(record),
        size_gb=volume.size_gb,
        host=None if volume.shared else volume.host,
        source=volume.source,
        snapshot=volume.snapshot,
        delete_on_termination=details.delete_on_termination,
    )
    return {"volumes": (*record.volumes, attached)}


async def unmark_attached(work: Work) -> Mapping[str, object]:
    """The record has it no more."""
    return {"volumes": _without(work.record, _attaching(work).volume)}


async def confirm_attached(work: Work) -> Mapping[str, object]:
    """The volume is in use."""
    await work.cluster.volumes.attached(_hold(work, _attaching(work).volume))
    return {}


async def begin_detach(work: Work) -> Mapping[str, object]:
    """The volume is about to be given back."""
    await work.cluster.volumes.detaching(_hold(work, _detaching(work).volume))
    return {}


async def keep_attached(work: Work) -> Mapping[str, object]:
    """It is in use as before."""
    await work.cluster.volumes.attached(_hold(work, _detaching(work).volume))
    return {}


async def mark_detached(work: Work) -> Mapping[str, object]:
    """The record has it no more."""
    return {"volumes": _without(work.record, _detaching(work).volume)}


async def unmark_detached(work: Work) -> Mapping[str, object]:
    """The record has it again, under the name that the guest knows it by."""
    attached = _detaching(work).attached
    if attached is None:
        return {}
    return {"volumes": (*_without(work.record, attached.volume), attached)}


async def release_detached(work: Work) -> Mapping[str, object]:
    """Others may have it."""
    await work.cluster.volumes.release(_hold(work, _detaching(work).volume), False)
    return {}


async def release_volumes(work: Work) -> Mapping[str, object]:
    """An instance that is deleted lets go of all; those made for it go with it."""
    held = {one.volume: one.delete_on_termination for one in work.record.volumes}
    unfinished = work.operation.unfinished_volume
    if unfinished is not None:
        held.setdefault(unfinished, False)
    release = work.cluster.volumes.release
    await asyncio.gather(*(release(_hold(work, one), goes) for one, goes in held.items()))
    return {"volumes": ()} if work.record.volumes else {}


def unfinished_volume(operation: OperationRecord) -> VolumeId | None:
    """The volume of which only this operation knows who has it, should it end now."""
    match operation.details:
        case AttachVolume(volume=volume) | DetachVolume(volume=volume):
            return volume
        case _:
            return operation.unfinished_volume


async def take_volumes_along(work: Work, host_id: HostId, host: str) -> None:
    """Tell the owner of volumes that all hosts have, where the instance is from here on.

    Raises:
        Unavailable: One of them is being copied where it was.
    """
    moved = work.cluster.volumes.moved
    await asyncio.gather(
        *(
            moved(Moved(_hold(work, one.volume), host_id, host))
            for one in work.record.volumes
            if one.host is None
        )
    )


async def _reserved(work: Work) -> Volume:
    record = work.record
    if record.host_id is None or record.host is None:
        raise Conflict(
            f"Instance {record.id} is on no host; its volumes cannot be told where to be. "
            "Unshelve it first.",
            "INSTANCE_ON_NO_HOST",
        )
    return await work.cluster.volumes.reserve(
        Reserve(
            hold=_hold(work, _attaching(work).volume),
            project=record.project,
            host_id=record.host_id,
            host=record.host,
        )
    )


def _hold(work: Work, volume: VolumeId) -> Hold:
    return Hold(volume, work.record.id, work.operation.sequence, work.operation.attempt)


def _without(record: InstanceRecord, volume: VolumeId) -> tuple[AttachedVolume, ...]:
    return tuple(one for one in record.volumes if one.volume != volume)


def _attaching(work: Work) -> AttachVolume:
    details = work.operation.details
    if not isinstance(details, AttachVolume):
        raise Internal("The operation does not say which volume it attaches.")
    return details


def _detaching(work: Work) -> DetachVolume:
    details = work.operation.details
    if not isinstance(details, DetachVolume):
        raise Internal("The operation does not say which volume it detaches.")
    return details


#: A copy of an image, or of a snapshot, may have to be made first.
VOLUME_SECONDS = 3600.0

#: On the way back the record comes first, and then the host makes the disks agree with it: so the
#: host's undo belongs to a step before the record's.
ATTACH_VOLUME = Saga(
    Action.ATTACH_VOLUME,
    (
        Step("reserve", reserve_volume, undo=release_reserved),
        Step("look", HostStep.ENSURE_VOLUMES, undo=HostStep.ENSURE_VOLUMES),
        Step("mark", mark_attached, undo=unmark_attached),
        Step("plug", HostStep.PLUG_VOLUMES, deadline_seconds=VOLUME_SECONDS),
        Step("confirm", confirm_attached),
    ),
)

DETACH_VOLUME = Saga(
    Action.DETACH_VOLUME,
    (
        Step("begin", begin_detach, undo=keep_attached),
        Step("look", HostStep.ENSURE_VOLUMES, undo=HostStep.ENSURE_VOLUMES),
        Step("mark", mark_detached, undo=unmark_detached),
        # The guest has a say in it: it may take its time, or refuse.
        Step("unplug", HostStep.PLUG_VOLUMES, deadline_seconds=120.0),
        Step("release", release_detached, commits=True),
    ),
)
