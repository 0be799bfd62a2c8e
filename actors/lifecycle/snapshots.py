"""Snapshots of disks: which there may be, and what cannot be done while there are any."""

from typing import Final

from actors.lifecycle.guards import Asked, refusal
from actors.model.commands import InstanceCommand
from actors.model.details import OfSnapshot
from actors.model.errors import AlreadyExists, Exhausted, NotFound
from actors.model.instance import DiskSnapshot, InstanceRecord
from actors.model.operation import Action

SNAPSHOTS_LIMIT: Final = 32

#: What gives the instance another disk, or another host: its snapshots would be of no use there.
_LEAVES_THEM: Final = frozenset({Action.REBUILD, Action.RESIZE, Action.SHELVE})


def check_snapshots(record: InstanceRecord, command: InstanceCommand) -> None:
    """Let the command pass, or say why not.

    Raises:
        Conflict: It would leave snapshots behind.
        NotFound: There is no snapshot of this name.
        AlreadyExists: There is one.
        Exhausted: There are as many as there may be.
    """
    if command.action in _LEAVES_THEM and record.snapshots:
        raise refusal(
            record,
            Asked(command.action.value, command.action.words),
            f"it has {len(record.snapshots)} snapshots.",
            "Delete them first.",
            "HAS_SNAPSHOTS",
        )
    details = command.details
    if not isinstance(details, OfSnapshot):
        return
    found = find(record, details.name)
    facts = {"instance": record.id, "snapshot": details.name}
    if command.action is not Action.TAKE_SNAPSHOT:
        if found is None:
            raise NotFound(
                f"Instance {record.id} has no snapshot {details.name}.",
                "SNAPSHOT_NOT_FOUND",
                "",
                facts,
            )
        return
    if found is not None:
        raise AlreadyExists(
            f"Instance {record.id} has a snapshot {details.name} already.",
            "SNAPSHOT_EXISTS",
            "",
            facts,
        )
    if len(record.snapshots) >= SNAPSHOTS_LIMIT:
        raise Exhausted(
            f"Instance {record.id} has {SNAPSHOTS_LIMIT} snapshots: no more can be taken. Delete "
            "one first.",
            "TOO_MANY_SNAPSHOTS",
            "",
            facts,
        )


def find(record: InstanceRecord, name: str) -> DiskSnapshot | None:
    """The snapshot of this name."""
    return next((one for one in record.snapshots if one.name == name), None)
