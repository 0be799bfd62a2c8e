"""Snapshots of disks: which there may be, and what cannot be done while there are any."""

from typing import Final

from actors.model.commands import InstanceCommand
from actors.model.details import OfSnapshot
from actors.model.errors import AlreadyExists, Conflict, Exhausted, Invalid
from actors.model.instance import DiskSnapshot, InstanceRecord
from actors.model.operation import Action

SNAPSHOTS_LIMIT: Final = 32

#: What gives the instance another disk, or another host: its snapshots would be of no use there.
_LEAVES_THEM: Final = frozenset({Action.REBUILD, Action.RESIZE, Action.SHELVE})


def check_snapshots(record: InstanceRecord, command: InstanceCommand) -> None:
    """Let the command pass, or say why not.

    Raises:
        Conflict: It would leave snapshots behind.
        Invalid: There is no snapshot of this name.
        AlreadyExists: There is one.
        Exhausted: There are as many as there may be.
    """
    if command.action in _LEAVES_THEM and record.snapshots:
        raise Conflict(
            f"Cannot {command.action.words} instance {record.id}: it has snapshots. Delete them "
            "first.",
            "HAS_SNAPSHOTS",
            "",
            {"instance": record.id, "action": command.action.value},
        )
    details = command.details
    if not isinstance(details, OfSnapshot):
        return
    found = find(record, details.name)
    facts = {"instance": record.id, "snapshot": details.name}
    if command.action is not Action.TAKE_SNAPSHOT:
        if found is None:
            # The thing asked for is the instance; the snapshot is a field of the request.
            raise Invalid(
                f"Instance {record.id} has no snapshot {details.name}.",
                "SNAPSHOT_NOT_FOUND",
                "",
                {"snapshot": "could not be found"},
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
