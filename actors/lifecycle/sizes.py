"""Resizes: what an instance may become, and what it was.

The rules are Nova's (``nova/compute/api.py``: ``resize``).
"""

from actors.model.commands import InstanceCommand
from actors.model.details import Resize
from actors.model.errors import Invalid
from actors.model.flavor import Flavor
from actors.model.instance import Former, InstanceRecord
from actors.model.operation import Action


def check_size(record: InstanceRecord, command: InstanceCommand) -> None:
    """Let a resize to this flavor pass, or say why not.

    Raises:
        Invalid: It has this flavor, or its disks would have to shrink: what is on them would be
            lost.
    """
    details = command.details
    if not isinstance(details, Resize):
        return
    old, new = record.flavor, details.flavor
    if new.id == old.id:
        raise _refused(record, new, "RESIZE_SAME_FLAVOR", "it has this flavor")
    # A flavor with a disk of 0 GiB gives as much as the image has.
    if new.disk_gb < old.disk_gb:
        problem = f"its disk of {old.disk_gb} GiB cannot shrink to {new.disk_gb}"
        raise _refused(record, new, "RESIZE_DISK_SHRINKS", problem)
    if new.ephemeral_gb < old.ephemeral_gb:
        problem = f"its ephemeral disk of {old.ephemeral_gb} GiB cannot shrink"
        raise _refused(record, new, "RESIZE_DISK_SHRINKS", problem)


def former_of(record: InstanceRecord, action: Action, sequence: int) -> Former | None:
    """What an operation that begins now has to know of the instance's size before a resize."""
    if action is not Action.RESIZE:
        return record.former
    if record.host_id is None or record.host is None:
        return None
    return Former(
        sequence=sequence,
        flavor=record.flavor,
        host_id=record.host_id,
        host=record.host,
        vm_state=record.vm_state,
        size=record.size,
    )


def _refused(record: InstanceRecord, flavor: Flavor, reason: str, problem: str) -> Invalid:
    return Invalid(
        f"Instance {record.id} cannot be resized to flavor {flavor.id} ({flavor.name}): {problem}.",
        reason,
        "",
        {"flavor": problem},
    )
