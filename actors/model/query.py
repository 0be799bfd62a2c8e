"""Questions about records, and the pages that answer them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import Field

from actors.model.base import Instant, Record
from actors.model.ids import InstanceId, ProjectId
from actors.model.instance import InstanceRecord, Status
from actors.model.operation import OperationRecord

#: The largest page (Nova: ``max_limit``), and what a caller gets who names no size.
MAX_PAGE = 1000
DEFAULT_PAGE = 100

Item = TypeVar("Item")


class Cursor(Record):
    """The last item a page showed: the next begins behind it. Newest first, ties by id."""

    created: Instant
    id: str


class InstanceQuery(Record):
    """Instances of a project (None: of all), newest first."""

    project: ProjectId | None
    name: str | None = None
    status: Status | None = None
    host: str | None = None
    locked: bool | None = None
    #: All of these.
    tags: tuple[str, ...] = ()
    after: Cursor | None = None
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)

    def matches(self, record: InstanceRecord, status: Status) -> bool:
        """Whether an instance that shows this status is asked for, whatever its project.

        As Nova's default list: what is SOFT_DELETED only where that is asked for.
        """
        return (
            (self.status is status if self.status else status is not Status.SOFT_DELETED)
            and (self.name is None or record.name == self.name)
            and (self.host is None or record.host == self.host)
            and (self.locked is None or (record.lock is not None) is self.locked)
            and set(self.tags) <= set(record.tags)
        )


class OperationQuery(Record):
    """Operations of a project (None: of all), or of one instance, newest first."""

    project: ProjectId | None
    instance: InstanceId | None = None
    done: bool | None = None
    after: Cursor | None = None
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items and whether more stand behind them."""

    items: tuple[Item, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command's answer: durable, whether or not it has begun to act."""

    instance: InstanceRecord
    operation: OperationRecord


class ConsoleOutput(Record):
    """A piece of an instance's console log."""

    data: bytes
    #: Where the next piece begins, in bytes from the start of the log.
    next_offset: int = Field(ge=0)


class EventKind(StrEnum):
    """What a change is about."""

    INSTANCE = "instance"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Event:
    """One change, as watchers see it: the record as it became.

    The body stays JSON text until somebody wants it: most events are looked at by id and passed
    over.
    """

    #: Given by the store: grows in the order of commits over the whole cluster. 0 before that.
    sequence: int
    at: datetime
    project: ProjectId
    kind: EventKind
    id: str
    generation: int
    body: str

    def instance(self) -> InstanceRecord:
        """The instance as it became. Only for ``EventKind.INSTANCE``."""
        return InstanceRecord.model_validate_json(self.body)

    def operation(self) -> OperationRecord:
        """The operation as it became. Only for ``EventKind.OPERATION``."""
        return OperationRecord.model_validate_json(self.body)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events behind a position, and the position to ask from next."""

    events: tuple[Event, ...]
    next_sequence: int
