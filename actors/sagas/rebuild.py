"""Rebuild: a new disk from an image, under the same id, name and addresses (Nova: ``rebuild``).

The old disk is put aside until the new guest runs, so that a rebuild that fails leaves the instance
as it was. Nova has no way back: it leaves ERROR.
"""

from collections.abc import Mapping

from actors.model.details import Rebuild, Rebuilt
from actors.model.errors import Internal
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.sagas.saga import Saga, Step, Work


def _ran(operation: OperationRecord) -> bool:
    return _details(operation).ran


def _starts(operation: OperationRecord) -> bool:
    """What was stopped stays so, on its new disk."""
    return operation.was is not VmState.STOPPED


async def mark_rebuilt(work: Work) -> Mapping[str, object]:
    """From here on the record is that of the new guest."""
    operation, details = work.operation, _details(work.operation)
    return {
        **_fields(work.record, details.to, details.before, details.to),
        "guest_data": operation.guest_data or operation.guest_data_before,
    }


async def mark_as_before(work: Work) -> Mapping[str, object]:
    """The record is that of the old guest again."""
    details = _details(work.operation)
    if details.before is None:
        return {}
    return {
        **_fields(work.record, details.before, details.to, details.to),
        "guest_data": work.operation.guest_data_before,
    }


def _fields(
    record: InstanceRecord, values: Rebuilt, known: Rebuilt | None, asked: Rebuilt
) -> Mapping[str, object]:
    """What the rebuild sets of the record.

    Nothing that it was not asked for; and of name and metadata nothing that somebody has edited
    since they were ``known``: the later word counts.
    """
    fields: dict[str, object] = {"source": values.source}
    if asked.name is not None and (known is None or record.name == known.name):
        fields["name"] = values.name
    if asked.metadata is not None and (known is None or record.metadata == known.metadata):
        fields["metadata"] = values.metadata
    if asked.key_name is not None:
        fields["key_name"] = values.key_name or None
    return fields


def _details(operation: OperationRecord) -> Rebuild:
    if not isinstance(operation.details, Rebuild):
        raise Internal("The operation does not say what to rebuild.", "INTERNAL", operation.id)
    return operation.details


REBUILD = Saga(
    Action.REBUILD,
    (
        # While the old guest still runs. No undo: the cache is the host's.
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step(
            "stop",
            HostStep.ENSURE_STOPPED,
            undo=HostStep.ENSURE_RUNNING,
            when=_ran,
            deadline_seconds=60.0,
        ),
        Step("mark", mark_rebuilt, undo=mark_as_before),
        Step(
            "disk",
            HostStep.ENSURE_DISK_ANEW,
            undo=HostStep.ENSURE_DISK_BACK,
            deadline_seconds=120.0,
        ),
        Step(
            "domain",
            HostStep.ENSURE_RUNNING,
            undo=HostStep.ENSURE_ABSENT,
            when=_starts,
            deadline_seconds=60.0,
        ),
        Step("forget", HostStep.REMOVE_OLD_DISK, commits=True),
    ),
)
