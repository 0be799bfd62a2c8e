"""The handle on all instances: finds the partition, gathers the calls, merges the lists."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from actors.handles.conductor import ConductorHandle
from actors.handles.hosts import HostsHandle
from actors.handles.remote import Grouped, Remote, instances_name
from actors.lifecycle.roster import place
from actors.model.commands import CreateInstance, InstanceCommand
from actors.model.edits import InstanceEdit
from actors.model.errors import NotFound, Unavailable
from actors.model.ids import HostId, InstanceId, OperationId, partition_of, split_operation_id
from actors.model.instance import InstanceRecord
from actors.model.operation import OperationRecord
from actors.model.query import (
    Accepted,
    ConsoleOutput,
    Cursor,
    EventBatch,
    InstanceQuery,
    OperationQuery,
    Page,
)
from actors.ports.host import HostStep, PowerReport
from actors.store.tables import instant_text

#: How long a call waits for an actor that Ray is starting again (about a second, measured).
_PATIENCE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.1

#: Rows of one call that looks for some of them.
_SCAN: Final = 500

#: Records kept for lists (about 6 KB each).
_REMEMBERED: Final = 2048

Value = TypeVar("Value")


class _Partition:
    """One InstanceActor."""

    def __init__(self, number: int) -> None:
        self.actor = Remote(instances_name(number))
        self.create: Grouped[CreateInstance, Accepted] = Grouped(self.actor, "create_many")
        self.submit: Grouped[InstanceCommand, Accepted] = Grouped(self.actor, "submit_many")
        self.edit: Grouped[InstanceEdit, InstanceRecord] = Grouped(self.actor, "edit_many")
        self.get: Grouped[InstanceId, InstanceRecord] = Grouped(self.actor, "get_many")
        self.operation: Grouped[OperationId, OperationRecord] = Grouped(
            self.actor, "operation_many"
        )

    async def list(self, query: InstanceQuery) -> tuple[tuple[str, ...], bool]:
        """A page as JSON, and whether more stand behind it."""
        page: tuple[tuple[str, ...], bool] = await self.actor.call("list", query)
        return page


class InstancesHandle:
    """Implements ``ports.compute.Instances`` and ``ports.reports.Reports``.

    All of these calls may be repeated (commands carry a request id), so a partition that Ray is
    just starting again is waited for.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = tuple(_Partition(number) for number in range(partitions))
        self._store = ConductorHandle()
        self._hosts = HostsHandle()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (len(self._partitions),)

    async def create(self, command: CreateInstance) -> Accepted:
        """As ``Instances.create``."""
        partition = self._of(command.instance)
        return await _patiently(lambda: partition.create(command))

    async def submit(self, command: InstanceCommand) -> Accepted:
        """As ``Instances.submit``."""
        partition = self._of(command.instance)
        return await _patiently(lambda: partition.submit(command))

    async def edit(self, edit: InstanceEdit) -> InstanceRecord:
        """As ``Instances.edit``."""
        partition = self._of(edit.instance)
        return await _patiently(lambda: partition.edit(edit))

    async def get(self, instance: InstanceId) -> InstanceRecord:
        """As ``Instances.get``."""
        partition = self._of(instance)
        return await _patiently(lambda: partition.get(instance))

    async def list(self, query: InstanceQuery) -> Page[InstanceRecord]:
        """As ``Instances.list``."""
        pages = await asyncio.gather(
            *(
                _patiently(lambda partition=partition: partition.list(query))  # type: ignore[misc]
                for partition in self._partitions
            )
        )
        decoded = [[_instance(body) for body in bodies] for bodies, _ in pages]
        merged = tuple(heapq.merge(*decoded, key=lambda record: place(record.created, record.id)))
        more = len(merged) > query.limit or any(more for _, more in pages)
        return Page(items=merged[: query.limit], more=more)

    async def operation(self, operation: OperationId) -> OperationRecord:
        """As ``Instances.operation``."""
        try:
            instance, _ = split_operation_id(operation)
        except ValueError:
            raise NotFound(
                f"Operation {operation[:80]} could not be found.", "OPERATION_NOT_FOUND"
            ) from None
        partition = self._of(instance)
        return await _patiently(lambda: partition.operation(operation))

    async def operations(self, query: OperationQuery) -> Page[OperationRecord]:
        """As ``Instances.operations``."""
        before = _before(query.after) if query.after else None
        if query.instance is not None:
            rows = await self._store.load_operations(query.instance)
            behind = (row for row in rows if before is None or _before(row) < before)
            wanted = (row for row in behind if _wanted(row, query))
            found: Sequence[OperationRecord] = sorted(wanted, key=_before, reverse=True)
        else:
            found = await self._scan(query, before)
        return Page(items=tuple(found[: query.limit]), more=len(found) > query.limit)

    async def _scan(
        self, query: OperationQuery, before: tuple[str, str] | None
    ) -> Sequence[OperationRecord]:
        """One more than a page, if there are so many."""
        # Where rows may be passed over: few calls that bring many, whatever the page's size.
        ask = query.limit + 1 if query.done is None else max(query.limit + 1, _SCAN)
        found: list[OperationRecord] = []
        while len(found) <= query.limit:
            rows = await self._store.find_operations(query.project, before, ask)
            found.extend(row for row in rows if _wanted(row, query))
            if len(rows) < ask:
                break
            before = _before(rows[-1])
        return found

    async def cancel(self, operation: OperationId) -> OperationRecord:
        """As ``Instances.cancel``."""
        now = await self.operation(operation)
        partition = self._of(now.instance)
        cancelled: OperationRecord = await _patiently(
            lambda: partition.actor.call("cancel", operation)
        )
        return cancelled

    async def console_output(self, instance: InstanceId, offset: int, limit: int) -> ConsoleOutput:
        """As ``Instances.console_output``."""
        record = await self.get(instance)
        if record.host_id is None:
            raise NotFound(
                f"Instance {instance} has no console yet: no host has been chosen for it.",
                "CONSOLE_NOT_FOUND",
                "",
                {"instance": instance},
            )
        return await self._hosts.host(record.host_id).console_output(instance, offset, limit)

    async def events_after(self, sequence: int, limit: int, wait_seconds: float) -> EventBatch:
        """As ``Instances.events_after``."""
        return await self._store.events_after(sequence, limit, wait_seconds)

    async def power(self, reports: tuple[PowerReport, ...]) -> None:
        """As ``Reports.power``."""
        shares: dict[int, list[PowerReport]] = {}
        for report in reports:
            number = partition_of(report.instance, len(self._partitions))
            shares.setdefault(number, []).append(report)
        await asyncio.gather(
            *(
                self._partitions[number].actor.call("power", tuple(share))
                for number, share in shares.items()
            )
        )

    async def progress(self, instance: InstanceId, sequence: int, step: HostStep) -> None:
        """As ``Reports.progress``."""
        await self._of(instance).actor.call("progress", instance, sequence, step)

    async def placed(self, host_id: HostId) -> tuple[InstanceRecord, ...]:
        """As ``Reports.placed``."""
        shares: list[tuple[InstanceRecord, ...]] = await asyncio.gather(
            *(partition.actor.call("placed", host_id) for partition in self._partitions)
        )
        return tuple(record for share in shares for record in share)

    def _of(self, instance: InstanceId) -> _Partition:
        return self._partitions[partition_of(instance, len(self._partitions))]


@lru_cache(maxsize=_REMEMBERED)
def _instance(body: str) -> InstanceRecord:
    # Most of a list is what it was the last time: the same text is the same record.
    return InstanceRecord.model_validate_json(body)


def _before(item: Cursor | OperationRecord) -> tuple[str, str]:
    return instant_text(item.created), item.id


def _wanted(operation: OperationRecord, query: OperationQuery) -> bool:
    return query.project in (None, operation.project) and query.done in (None, operation.done)


async def _patiently(call: Callable[[], Awaitable[Value]]) -> Value:
    """Repeat a call while its actor is away, for as long as Ray needs to start it again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except Unavailable:
            if loop.time() >= until:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)
