"""What an operation is made of: a table of steps, each with its undo.

A saga reads like a table of contents. Its steps converge: each can run twice with the effect of
once, so an operation that was cut off goes on by doing its last step again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from actors.model.ids import HostId
from actors.model.instance import InstanceRecord
from actors.model.operation import Action, OperationRecord
from actors.ports.host import Hosts, HostStep
from actors.ports.images import Images
from actors.ports.network import Networks
from actors.ports.scheduler import Scheduler
from actors.ports.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Cluster:
    """The owners that steps call on."""

    scheduler: Scheduler
    networks: Networks
    hosts: Hosts
    images: Images
    volumes: Volumes


@dataclass(frozen=True, slots=True)
class Work:
    """What a step has to go by: the instance and the operation, as they are now."""

    record: InstanceRecord
    operation: OperationRecord
    cluster: Cluster


#: In what a step returns: what its operation learns, and not the record. The name is no field of a
#: record.
OPERATION: Final = "of the operation"

#: A step that calls another owner: returns what the instance's record learns from it.
Call = Callable[[Work], Awaitable[Mapping[str, object]]]


class Place(StrEnum):
    """On which host a step runs."""

    #: Where the operation acts (``OperationRecord.host_id``).
    HERE = "here"
    #: Where the instance was before its resize (``OperationRecord.former``).
    FORMER = "former"

    def host_of(self, operation: OperationRecord) -> HostId | None:
        """That host; None where the instance was never placed."""
        if self is Place.HERE:
            return operation.host_id
        return operation.former.host_id if operation.former else None


def always(operation: OperationRecord) -> bool:
    """Every operation has the step."""
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Steps that name a ``HostStep`` run on the instance's host.

    Neighbouring host steps travel to the host in one call.

    Attributes:
        name: Journal and progress show it.
        do: Converges towards the step's end.
        undo: Converges towards the step never having been done. None where there is nothing to
            undo; the saga says why.
        beside: Whether it needs nothing of the step before it: the two are made at once.
        commits: Its end takes away what an undo would need: once it has begun, the operation only
            goes forward, and cannot be cancelled any more.
        when: Whether this operation has the step at all; asked of what does not change any more
            once the step's turn may have come (``was``, ``details``, ``former``, ``host_id``).
        at: On which host it runs, where it names a ``HostStep``.
        left_to_host: Should its host stay away, the step is left to it for when it returns:
            nothing of the instance is to stay there.
        deadline_seconds: How long it may take while nothing it needs is away.
        seconds_per_gib: What each GiB of the instance's memory adds to that.
    """

    name: str
    do: Call | HostStep
    undo: Call | HostStep | None = None
    beside: bool = False
    commits: bool = False
    when: Callable[[OperationRecord], bool] = always
    at: Place = Place.HERE
    left_to_host: bool = False
    deadline_seconds: float = 30.0
    seconds_per_gib: float = 0.0

    def deadline(self, record: InstanceRecord) -> float:
        """How long it may take for this instance, in seconds."""
        return self.deadline_seconds + self.seconds_per_gib * record.size_now.memory_mb / 1024


@dataclass(frozen=True, slots=True)
class Saga:
    """An operation's steps, in order.

    Attributes:
        attempts: How many hosts a failed run may try in all.
        only_forward: It is never undone: a step that fails is done again until it succeeds.
    """

    action: Action
    steps: tuple[Step, ...]
    attempts: int = 1
    only_forward: bool = False

    def steps_of(self, operation: OperationRecord) -> tuple[Step, ...]:
        """The steps that this operation has."""
        return tuple(step for step in self.steps if step.when(operation))


#: Seconds a delete waits for a host that is away before it leaves the guest to it.
EVICT_AFTER_SECONDS: Final = 15.0
