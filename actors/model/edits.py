"""Changes of an instance that need no operation: they are done once they are durable.

The gateway checks their fields here, at the border. Who may make which of them when is
``lifecycle.edits``'s to say. All of them may be repeated.
"""

from typing import Literal

from actors.model.base import Record
from actors.model.ids import InstanceId, ProjectId, UserId
from actors.model.instance import VmState
from actors.model.labels import Description, Hostname, InstanceName, Metadata, Tags


class _Edit(Record):
    """What all edits say."""

    instance: InstanceId
    project: ProjectId
    user: UserId
    #: Asked by an admin: a lock does not keep it back.
    admin: bool = False
    #: Refused with ``Stale`` unless the record still has this generation; None does not ask.
    generation: int | None = None


class UpdateInstance(_Edit):
    """Describe it anew. What is None stays; metadata and tags are replaced as a whole."""

    name: InstanceName | None = None
    description: Description | None = None
    hostname: Hostname | None = None
    metadata: Metadata | None = None
    tags: Tags | None = None


class LockInstance(_Edit):
    """Keep everybody but admins from changing it."""

    reason: Description = ""


class UnlockInstance(_Edit):
    """Take the lock away."""


class ResetState(_Edit):
    """Say what it is, whatever it was, and end what is being done to it (admins only)."""

    vm_state: Literal[VmState.ACTIVE, VmState.ERROR]


InstanceEdit = UpdateInstance | LockInstance | UnlockInstance | ResetState
