"""The instances of one partition, in memory, in the order lists show them.

Every look-up costs the same with ten instances and with a hundred thousand: by id a dictionary,
by name a set per project, lists a sorted index per project.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from actors.lifecycle.status import status_of
from actors.model.ids import HostId, InstanceId, ProjectId
from actors.model.instance import InstanceRecord, VmState
from actors.model.query import Cursor, InstanceQuery, Page

#: Newest first, then by id: sorted by the negated creation time.
_Place = tuple[float, str]


def place(created: datetime, identity: str) -> _Place:
    """Where something stands in a list of newest first."""
    return (-created.timestamp(), identity)


class Roster:
    """Instances by id, by name and by age."""

    def __init__(self) -> None:
        self._by_id: dict[InstanceId, InstanceRecord] = {}
        #: Per project, and under None over all of them.
        self._order: dict[ProjectId | None, list[_Place]] = {}
        self._names: dict[tuple[ProjectId, str], set[InstanceId]] = {}
        self._hosts: dict[HostId, set[InstanceId]] = {}
        #: How many instances are in each state.
        self.states: Counter[VmState] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[InstanceRecord]:
        return iter(self._by_id.values())

    def get(self, instance: InstanceId) -> InstanceRecord | None:
        """The record, or None."""
        return self._by_id.get(instance)

    def put(self, record: InstanceRecord) -> None:
        """Take in a record, new or changed. Project and creation time never change."""
        old = self._by_id.get(record.id)
        self._by_id[record.id] = record
        if old is not None:
            self.states[old.vm_state] -= 1
        self.states[record.vm_state] += 1
        if old is None:
            for shelf in (record.project, None):
                insort(self._order.setdefault(shelf, []), place(record.created, record.id))
        if old is None or old.name != record.name:
            if old is not None:
                self._forget_name(old)
            self._names.setdefault((record.project, record.name), set()).add(record.id)
        if old is None or old.host_id != record.host_id:
            self._move(record.id, old.host_id if old else None, record.host_id)

    def drop(self, instance: InstanceId) -> None:
        """Forget an instance; one that is not there is no error."""
        record = self._by_id.pop(instance, None)
        if record is None:
            return
        self.states[record.vm_state] -= 1
        for shelf in (record.project, None):
            order = self._order[shelf]
            del order[bisect_left(order, place(record.created, record.id))]
            if not order:
                del self._order[shelf]
        self._forget_name(record)
        self._move(instance, record.host_id, None)

    def on_host(self, host_id: HostId) -> list[InstanceRecord]:
        """The instances placed on a host."""
        return [self._by_id[instance] for instance in self._hosts.get(host_id, ())]

    def page(self, query: InstanceQuery) -> Page[InstanceRecord]:
        """A page of those that match, newest first."""
        found: list[InstanceRecord] = []
        for record in self._candidates(query):
            if query.matches(record, status_of(record)):
                if len(found) == query.limit:
                    return Page(items=tuple(found), more=True)
                found.append(record)
        return Page(items=tuple(found))

    def _candidates(self, query: InstanceQuery) -> Iterator[InstanceRecord]:
        if query.project is not None and query.name is not None:
            named = self._names.get((query.project, query.name), set())
            order = sorted(place(self._by_id[one].created, one) for one in named)
        else:
            order = self._order.get(query.project, [])
        for position in range(_after(order, query.after), len(order)):
            yield self._by_id[InstanceId(order[position][1])]

    def _forget_name(self, record: InstanceRecord) -> None:
        names = self._names[record.project, record.name]
        names.discard(record.id)
        if not names:
            del self._names[record.project, record.name]

    def _move(self, instance: InstanceId, old: HostId | None, new: HostId | None) -> None:
        if old is not None:
            self._hosts[old].discard(instance)
            if not self._hosts[old]:
                del self._hosts[old]
        if new is not None:
            self._hosts.setdefault(new, set()).add(instance)


def _after(order: list[_Place], cursor: Cursor | None) -> int:
    if cursor is None:
        return 0
    return bisect_right(order, place(cursor.created, cursor.id))
