"""The hosts as one decision looks at them: plain objects whose free resources are kept up to date.

A claim takes from its host's numbers and a release gives back, so a decision costs the same however
many instances there are. Owns no record: ``Ledger`` does, and puts here what decisions read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from actors.model.flavor import Resources
from actors.model.host import HostRecord, HostState
from actors.model.ids import HostId, InstanceId


class Demand(Protocol):
    """What a decision reads of a request (``ports.scheduler.ClaimRequest`` is one)."""

    @property
    def instance(self) -> InstanceId:
        """For whom."""
        ...

    @property
    def resources(self) -> Resources:
        """What the instance needs."""
        ...

    @property
    def availability_zone(self) -> str:
        """Only hosts of this zone will do."""
        ...

    @property
    def host(self) -> str | None:
        """Only this host (by name) will do."""
        ...

    @property
    def exclude(self) -> tuple[HostId, ...]:
        """These hosts failed this boot already."""
        ...

    @property
    def lives_on(self) -> HostId | None:
        """The host it lives on and would rather stay on; None where it is not placed yet."""
        ...

    @property
    def must_move(self) -> bool:
        """It is not to stay there."""
        ...


@dataclass(slots=True)
class HostView:
    """One host. Free is what may still be claimed: below zero where the host has shrunk."""

    id: HostId
    name: str
    up: bool
    trouble: str
    enabled: bool
    disabled_reason: str
    zone: str
    failed_builds: int
    capacity: Resources
    free_vcpus: int
    free_memory_mb: int
    free_disk_gb: int
    instances: int = 0

    @property
    def claimed(self) -> Resources:
        """What all instances together hold."""
        return Resources(
            vcpus=self.capacity.vcpus - self.free_vcpus,
            memory_mb=self.capacity.memory_mb - self.free_memory_mb,
            disk_gb=self.capacity.disk_gb - self.free_disk_gb,
        )


class Fleet:
    """All hosts in the order of their ids, whoever joined first: decisions depend on it."""

    def __init__(self, records: Iterable[HostRecord] = ()) -> None:
        self._views: dict[HostId, HostView] = {}
        for record in sorted(records, key=lambda record: record.id):
            self.put(record)

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[HostView]:
        return iter(self._views.values())

    def __getitem__(self, host: HostId) -> HostView:
        return self._views[host]

    def put(self, record: HostRecord) -> None:
        """Take in a new host, or what has changed of one. What is claimed of it stays claimed."""
        capacity = record.inventory.capacity
        old = self._views.get(record.id)
        used = old.claimed if old else Resources(vcpus=0, memory_mb=0, disk_gb=0)
        self._views[record.id] = HostView(
            id=record.id,
            name=record.name,
            up=record.state is HostState.UP,
            trouble=record.trouble,
            enabled=record.enabled,
            disabled_reason=record.disabled_reason,
            zone=record.availability_zone,
            failed_builds=record.failed_builds,
            capacity=capacity,
            free_vcpus=capacity.vcpus - used.vcpus,
            free_memory_mb=capacity.memory_mb - used.memory_mb,
            free_disk_gb=capacity.disk_gb - used.disk_gb,
            instances=old.instances if old else 0,
        )
        if old is None:
            self._views = dict(sorted(self._views.items()))

    def take(self, host: HostId, resources: Resources, *, lives: bool = True) -> None:
        """An instance holds this now. Nobody decides about a host whose record is gone.

        Args:
            host: There.
            resources: So much.
            lives: Whether it lives there; else it may only come back.
        """
        view = self._views.get(host)
        if view is None:
            return
        view.free_vcpus -= resources.vcpus
        view.free_memory_mb -= resources.memory_mb
        view.free_disk_gb -= resources.disk_gb
        view.instances += lives

    def give_back(self, host: HostId, resources: Resources, *, lives: bool = True) -> None:
        """It does no longer."""
        view = self._views.get(host)
        if view is None:
            return
        view.free_vcpus += resources.vcpus
        view.free_memory_mb += resources.memory_mb
        view.free_disk_gb += resources.disk_gb
        view.instances -= lives
