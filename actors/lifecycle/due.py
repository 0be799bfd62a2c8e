"""What happens to instances by itself after a time: decided here, done by their InstanceActor.

One more of these is one more case in ``due`` and its time in ``Policy``. Instances that nothing is
due for cost nothing.
"""

import heapq
from dataclasses import dataclass
from datetime import datetime, timedelta

from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, VmState
from actors.model.operation import Action


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices, in seconds; 0 means never, where nothing else is said."""

    #: From soft delete to delete (Nova: ``reclaim_instance_interval``). At 0 a delete keeps
    #: nothing.
    reclaim_seconds: float = 0.0
    #: From shelved to offloaded (Nova: ``shelved_offload_time``); 0 for at once, None for never.
    offload_seconds: float | None = None
    #: From resized to confirmed (Nova: ``resize_confirm_window``).
    confirm_seconds: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """An action that an instance is to begin by itself."""

    at: datetime
    instance: InstanceId
    action: Action


def due(record: InstanceRecord, policy: Policy) -> Due | None:
    """What this instance begins by itself if it is left alone, and when."""
    if record.task_state is not None:
        return None
    since = record.since or record.updated
    if record.vm_state is VmState.SOFT_DELETED and policy.reclaim_seconds:
        return Due(since + timedelta(seconds=policy.reclaim_seconds), record.id, Action.DELETE)
    if record.vm_state is VmState.SHELVED and policy.offload_seconds is not None:
        at = since + timedelta(seconds=policy.offload_seconds)
        return Due(at, record.id, Action.SHELVE_OFFLOAD)
    if record.vm_state is VmState.RESIZED and policy.confirm_seconds:
        at = since + timedelta(seconds=policy.confirm_seconds)
        return Due(at, record.id, Action.CONFIRM_RESIZE)
    return None


class Agenda:
    """What is due, in order. Costs memory for what is due only, and a look at the first of it."""

    def __init__(self) -> None:
        self._due: dict[InstanceId, Due] = {}
        #: All of ``_due``, and some that no longer hold: those are passed over.
        self._order: list[Due] = []

    def __len__(self) -> int:
        return len(self._due)

    def put(self, instance: InstanceId, due: Due | None) -> None:
        """Take in what is due for an instance now, instead of what was."""
        if self._due.get(instance) == due:
            return
        self._due.pop(instance, None)
        if due is not None:
            self._due[instance] = due
            heapq.heappush(self._order, due)

    def take(self, now: datetime, limit: int) -> list[Due]:
        """What is due by now, the oldest first; it is not due any more."""
        taken: list[Due] = []
        while self._order and self._order[0].at <= now and len(taken) < limit:
            first = heapq.heappop(self._order)
            if self._due.get(first.instance) == first:
                del self._due[first.instance]
                taken.append(first)
        return taken
