"""Snapshots of the disk: taken while the guest runs, gone back to, deleted.

They are layers on the instance's host, as clones have them (``docs/decisions/0017``). The record
says which there are; each has a file of its own there, which keeps its layer.
"""

from collections.abc import Mapping

from actors.model.details import OfSnapshot
from actors.model.errors import Internal
from actors.model.instance import DiskSnapshot
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step, Work


def _ran(operation: OperationRecord) -> bool:
    return _details(operation).ran


async def mark_taken(work: Work) -> Mapping[str, object]:
    """From here on the record knows the snapshot."""
    details = _details(work.operation)
    taken = DiskSnapshot(
        name=details.name,
        layer=details.layer,
        disk_gb=work.record.flavor.disk_gb,
        created=work.operation.created,
    )
    return {"snapshots": (*_others(work), taken)}


async def mark_gone(work: Work) -> Mapping[str, object]:
    """The record does not know it any more."""
    return {"snapshots": _others(work)}


def _others(work: Work) -> tuple[DiskSnapshot, ...]:
    layer = _details(work.operation).layer
    return tuple(one for one in work.record.snapshots if one.layer != layer)


def _details(operation: OperationRecord) -> OfSnapshot:
    if not isinstance(operation.details, OfSnapshot):
        raise Internal("The operation does not say which snapshot.", "INTERNAL", operation.id)
    return operation.details


TAKE_SNAPSHOT = Saga(
    Action.TAKE_SNAPSHOT,
    (
        Step("disk", HostStep.ENSURE_SNAPSHOT, undo=HostStep.REMOVE_SNAPSHOT),
        Step("mark", mark_taken, undo=mark_gone),
    ),
)

#: The disk there is is put aside until the guest runs on the other: one that fails loses nothing.
RESTORE_SNAPSHOT = Saga(
    Action.RESTORE_SNAPSHOT,
    (
        # While the guest still runs. No undo: the cache is the host's.
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step(
            "stop",
            HostStep.ENSURE_STOPPED,
            undo=HostStep.ENSURE_RUNNING,
            when=_ran,
            deadline_seconds=60.0,
        ),
        Step("disk", HostStep.ENSURE_RESTORED_DISK, undo=HostStep.ENSURE_DISK_BACK),
        Step(
            "domain",
            HostStep.ENSURE_RUNNING,
            undo=HostStep.ENSURE_ABSENT,
            when=_ran,
            deadline_seconds=60.0,
        ),
        Step("forget", HostStep.REMOVE_OLD_DISK, commits=True),
    ),
)

#: It begins by taking away what it would have to bring back: so it only goes forward.
DELETE_SNAPSHOT = Saga(
    Action.DELETE_SNAPSHOT,
    (Step("disk", HostStep.REMOVE_SNAPSHOT), Step("mark", mark_gone)),
    only_forward=True,
)
