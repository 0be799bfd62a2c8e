"""The durable record, as its users see it. The conductor implements it over SQLite."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from actors.model.base import StoredRecord
from actors.model.ids import HostId, InstanceId, OperationId, ProjectId
from actors.model.instance import InstanceRecord
from actors.model.operation import OperationRecord
from actors.model.query import Event, EventBatch


class Table(StrEnum):
    """What is stored. Each table has one writer, which alone raises its generations."""

    INSTANCES = "instances"
    OPERATIONS = "operations"
    HOSTS = "hosts"
    CLAIMS = "claims"
    NETWORKS = "networks"
    PORTS = "ports"
    IMAGES = "images"
    FLAVORS = "flavors"
    TOKENS = "tokens"
    KEYPAIRS = "keypairs"
    #: Instances deleted while their host was away: the host removes them when it returns.
    EVICTIONS = "evictions"
    #: What guests are told at boot: large and secret, so it lies apart from their records.
    GUEST_DATA = "guest_data"
    VOLUMES = "volumes"
    VOLUME_SNAPSHOTS = "volume_snapshots"


@dataclass(frozen=True, slots=True)
class Put:
    """Write one row. ``generation`` must be one more than the stored row's, or 1 for a new row."""

    table: Table
    key: str
    generation: int
    #: The record as JSON (``model_dump_json``).
    body: str
    #: The table's own searchable columns, in its declared order (``store/tables.py``).
    columns: tuple[str | int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete one row, whatever its generation. Removing what is not there is no error."""

    table: Table
    key: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written together or not at all.

    Attributes:
        writer: The actor that writes (its Ray name).
        epoch: The epoch that the store gave this writer when it started.
    """

    writer: str
    epoch: int
    puts: tuple[Put, ...] = ()
    removes: tuple[Remove, ...] = ()
    events: tuple[Event, ...] = field(default=())


class Store(Protocol):
    """Durable writes with fencing, and what actors load when they start."""

    async def begin_epoch(self, writer: str) -> int:
        """A new epoch for this writer.

        All older epochs of the same writer are fenced from now on.
        """
        ...

    async def commit(self, batch: Batch) -> None:
        """Return once the batch is on disk (``synchronous=FULL``).

        Raises:
            Fenced: The writer has been replaced.
            Stale: A generation does not follow the stored one; nothing of the batch is written.
            AlreadyExists: A unique column (a project's request id) is taken; nothing is written.
        """
        ...

    async def load(self, table: Table) -> tuple[str, ...]:
        """The JSON bodies of all rows of a (small) table, by key."""
        ...

    async def find(self, table: Table, key: str) -> str | None:
        """The JSON body of one row, or None."""
        ...

    async def load_partition(
        self, partition: int
    ) -> tuple[tuple[InstanceRecord, ...], tuple[OperationRecord, ...]]:
        """The instances of a partition that are not deleted, and its unfinished operations."""
        ...

    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        """All operations of an instance, oldest first."""
        ...

    async def find_instance(self, instance: InstanceId) -> InstanceRecord | None:
        """One instance, deleted or not."""
        ...

    async def find_operation(self, operation: OperationId) -> OperationRecord | None:
        """One operation, finished or not."""
        ...

    async def find_request(self, project: ProjectId, request_id: str) -> OperationRecord | None:
        """The operation that a request made."""
        ...

    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        """Operations newest first, behind ``before`` (created as ISO text, id)."""
        ...

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """Events behind a position; waits up to so long for the first.

        A negative sequence asks for the present position only.

        Raises:
            Expired: Events behind this position have been pruned already.
        """
        ...


class HostStore(Protocol):
    """What a host needs of the store."""

    async def begin_epoch(self, writer: str) -> int:
        """As ``Store.begin_epoch``."""
        ...

    async def commit(self, batch: Batch) -> None:
        """As ``Store.commit``."""
        ...

    async def find(self, table: Table, key: str) -> str | None:
        """As ``Store.find``."""
        ...

    async def evictions(self, host_id: HostId) -> tuple["Eviction", ...]:
        """What this host must remove."""
        ...


class Eviction(StoredRecord):
    """An instance that its host must remove when it returns. Key: ``<host id>/<instance id>``."""

    host_id: HostId
    instance: InstanceId
    sequence: int
    #: As it was: the host must know its disk and its cards.
    record: InstanceRecord
    generation: int = 1
