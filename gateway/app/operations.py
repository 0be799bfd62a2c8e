"""Operations: reading them, cancelling them, waiting for their end without asking in turns."""

import asyncio
from dataclasses import dataclass
from typing import Final

from actors.model.errors import Invalid, NotFound
from actors.model.identity import Principal, Role
from actors.model.ids import InstanceId, OperationId, ProjectId
from actors.model.instance import InstanceRecord
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import OperationQuery
from actors.ports.compute import Instances
from gateway.app.auth import is_admin, need_role, project_scope
from gateway.app.feed import Feed
from gateway.app.filters import parse_filter
from gateway.app.pages import Listed, Pager, PageRequest
from gateway.app.tokens import Signer

#: A wait reads its operation again after so long without news, in case the news was lost.
REREAD_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """An operation, and the instance it was for, once it has ended well and is still there."""

    operation: OperationRecord
    instance: InstanceRecord | None = None


class OperationCases:
    """What can be asked of operations."""

    def __init__(
        self,
        instances: Instances,
        feed: Feed,
        signer: Signer,
        reread_seconds: float = REREAD_SECONDS,
    ) -> None:
        self._instances = instances
        self._feed = feed
        self._signer = signer
        self._reread_seconds = reread_seconds

    async def get(self, caller: Principal, operation: OperationId) -> Outcome:
        """One operation.

        Raises:
            NotFound: No such operation, or another project's.
        """
        return await self._outcome(await self._read(caller, operation))

    async def wait(self, caller: Principal, operation: OperationId, seconds: float) -> Outcome:
        """The operation once it has ended, or as it is after so many seconds.

        Subscribes before it reads: an end that comes in between is seen.

        Raises:
            NotFound: No such operation, or another project's.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        if not self._feed.running:
            # To start the feed costs more than this read, and many who wait come after the end.
            record = await self._read(caller, operation)
            if record.done or seconds <= 0:
                return await self._outcome(record)
        return await self._outcome(await self._wait(caller, operation, deadline))

    async def list(
        self,
        caller: Principal,
        project: ProjectId | None,
        instance: InstanceId | None,
        filter_text: str,
        request: PageRequest,
    ) -> Listed[OperationRecord]:
        """Operations of a project (None: the caller's; ``-``: all, admins only), newest first.

        Raises:
            NotFound: Another project.
            Forbidden: All projects, by somebody who is no admin.
            Invalid: The page request or the filter is wrong.
        """
        scope = project_scope(caller, caller.project if project is None else project)
        conditions = parse_filter(filter_text, ("done", "instance"))
        wanted = instance or _instance(conditions.get("instance"))
        done = _done(conditions.get("done"))
        pager = Pager(self._signer, "operations", scope, wanted, done)
        page = await self._instances.operations(
            OperationQuery(
                project=scope,
                instance=wanted,
                done=done,
                after=pager.cursor(request.token),
                limit=request.limit,
            )
        )
        return Listed(page.items, page.more, lambda item: pager.token_of(item.created, item.id))

    async def cancel(self, caller: Principal, operation: OperationId) -> None:
        """Ask an operation to end early. One that has ended stays as it is.

        Raises:
            NotFound: No such operation, or another project's.
            Forbidden: A reader.
        """
        record = await self._read(caller, operation)
        need_role(caller, Role.MEMBER)
        if not record.done:
            await self._instances.cancel(operation)

    async def _read(self, caller: Principal, operation: OperationId) -> OperationRecord:
        try:
            record = await self._instances.operation(operation)
        except NotFound as error:
            # In the same words as for another project's.
            raise unknown_operation(operation) from error
        if record.project != caller.project and not is_admin(caller):
            raise unknown_operation(operation)
        return record

    async def _wait(
        self, caller: Principal, operation: OperationId, deadline: float
    ) -> OperationRecord:
        loop = asyncio.get_running_loop()
        async with self._feed.waiting(operation) as waiter:
            record = await self._read(caller, operation)
            while not record.done and (left := deadline - loop.time()) > 0:
                seen = await waiter.ended(min(left, self._reread_seconds))
                # Nothing heard: read once more, also for the last answer to be the latest state.
                record = seen or await self._read(caller, operation)
        return record

    async def _outcome(self, record: OperationRecord) -> Outcome:
        if record.state is not OperationState.SUCCEEDED or record.action is Action.DELETE:
            return Outcome(record)
        try:
            return Outcome(record, await self._instances.get(record.instance))
        except NotFound:
            # Deleted since.
            return Outcome(record)


def unknown_operation(operation: OperationId) -> NotFound:
    """What callers hear of an operation that is not there, or not theirs."""
    return NotFound(
        f"Operation {operation} could not be found.",
        "OPERATION_NOT_FOUND",
        "",
        {"operation": operation},
    )


def _done(text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in ("true", "false"):
        raise Invalid(
            "The filter cannot be read: done must be true or false.",
            "FILTER_INVALID",
            "",
            {"filter": "done must be true or false"},
        )
    return text == "true"


def _instance(text: str | None) -> InstanceId | None:
    return None if text is None else InstanceId(text.rpartition("/")[2])
