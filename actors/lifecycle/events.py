"""What can happen to an instance, and what then is to be done. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from actors.model.commands import InstanceCommand
from actors.model.edits import InstanceEdit
from actors.model.ids import HostId, OperationId
from actors.model.instance import PowerState
from actors.model.operation import OperationRecord


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody asks for an action."""

    command: InstanceCommand
    at: datetime


@dataclass(frozen=True, slots=True)
class Edited:
    """Somebody changes the record itself; nothing has to be done for it."""

    edit: InstanceEdit
    at: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """The operation under way got further, or ended."""

    operation: OperationRecord
    at: datetime
    #: What the record learns from the move: the host, the cards.
    learned: Mapping[str, object] = field(default_factory=dict)
    #: What the host said with its answer; None where this move did not touch the host.
    power_state: PowerState | None = None


@dataclass(frozen=True, slots=True)
class PowerObserved:
    """A host reports what its hypervisor says."""

    power_state: PowerState
    host_id: HostId
    #: The last operation the host has served for this instance.
    sequence: int
    at: datetime
    #: When the host saw it, by the host's own clock; None where it does not say.
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class OperationLost:
    """Nobody can tell any more what was being done to the instance."""

    at: datetime


LifecycleEvent = Requested | Edited | Moved | PowerObserved | OperationLost


@dataclass(frozen=True, slots=True)
class Begin:
    """Run a new operation."""

    operation: OperationRecord


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The operation under way ends here; what it left is the next one's to remove."""

    operation: OperationId


Effect = Begin | Interrupt
