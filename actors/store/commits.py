"""Gathers batches while the group before them is being written.

Nothing waits when there is no load.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actors.model.errors import ComputeError, Fenced, Internal, TooLarge
from actors.ports.store import Batch
from actors.store.events import EventLog
from actors.store.group import Group, GroupWriter, Written
from actors.store.lane import Lane, is_device_trouble, store_error

#: Characters of one row or event. A record is a few thousand; more is a bug or an attack.
MAX_BODY: Final = 1_000_000
#: Rows, removals and events of one batch.
MAX_BATCH: Final = 10_000
#: Batches of one group: bounds how long a commit can take.
MAX_GROUP: Final = 512

_Refusals = Sequence[ComputeError | None]


@dataclass(frozen=True, slots=True)
class _Call:
    """What one caller wants written, and where it waits."""

    batches: Sequence[Batch]
    done: asyncio.Future[_Refusals]
    epoch: tuple[str, int] | None = None


class CommitQueue:
    """The only way into the database. Owns the writers' epochs."""

    def __init__(
        self, lane: Lane, writer: GroupWriter, log: EventLog, epochs: Mapping[str, int]
    ) -> None:
        self._lane = lane
        self._writer = writer
        self._log = log
        self._epochs = dict(epochs)
        self._calls: deque[_Call] = deque()
        self._drain: asyncio.Task[None] | None = None
        self._draining = False

    async def begin_epoch(self, writer: str) -> int:
        """A new epoch, durable. Batches of an older one that still wait here are fenced too."""
        # In memory at once. Should the write fail, the old process is fenced without a successor,
        # which asks again.
        epoch = self._epochs[writer] = self._epochs.get(writer, 0) + 1
        (refusal,) = await self._submit((), (writer, epoch))
        if refusal is not None:
            raise refusal
        return epoch

    async def commit(self, batches: Sequence[Batch]) -> _Refusals:
        """For each batch None when it is on disk, or why it was refused."""
        return await self._submit(batches) if batches else ()

    async def flush(self) -> None:
        """Return when all that waits now is written."""
        if self._drain is not None:
            await asyncio.wait((self._drain,))

    def _submit(
        self, batches: Sequence[Batch], epoch: tuple[str, int] | None = None
    ) -> asyncio.Future[_Refusals]:
        done: asyncio.Future[_Refusals] = asyncio.get_running_loop().create_future()
        self._calls.append(_Call(batches, done, epoch))
        if not self._draining:
            self._draining = True
            self._drain = asyncio.create_task(self._write_all(), name="store: commit queue")
        return done

    async def _write_all(self) -> None:
        try:
            while self._calls:
                calls = self._take()
                try:
                    answers = await self._write(calls)
                except Exception as error:  # noqa: BLE001 - a bug must not leave callers waiting
                    answers = _all(calls, Internal("An internal error occurred.", "", repr(error)))
                for call, refusals in zip(calls, answers, strict=True):
                    # A caller that was cancelled has gone; what it asked for is written.
                    if not call.done.done():
                        call.done.set_result(refusals)
        finally:
            self._draining = False

    def _take(self) -> list[_Call]:
        calls = [self._calls.popleft()]
        size = len(calls[0].batches)
        while self._calls and size + len(self._calls[0].batches) <= MAX_GROUP:
            calls.append(self._calls.popleft())
            size += len(calls[-1].batches)
        return calls

    async def _write(self, calls: Sequence[_Call]) -> Sequence[_Refusals]:
        # What is refused here never reaches the database.
        refusals = [self._refusal(batch) for call in calls for batch in call.batches]
        batches = [batch for call in calls for batch in call.batches]
        group = Group(
            [call.epoch for call in calls if call.epoch is not None],
            [b for b, refusal in zip(batches, refusals, strict=True) if refusal is None],
        )
        if group.batches or group.epochs:
            try:
                written = await self._to_disk(group)
            except ComputeError as error:
                return _all(calls, error)
            rest = iter(written.refusals)
            refusals = [next(rest) if refusal is None else refusal for refusal in refusals]
        given = iter(refusals)
        return [
            (None,) if call.epoch is not None else [next(given) for _ in call.batches]
            for call in calls
        ]

    async def _to_disk(self, group: Group) -> Written:
        try:
            written = await self._lane.run(lambda db: self._writer.write(db, group))
        except Exception as error:
            if is_device_trouble(error):
                raise store_error(error) from error
            raise
        self._log.publish(written.events, written.pruned)
        return written

    def _refusal(self, batch: Batch) -> ComputeError | None:
        newest = self._epochs.get(batch.writer, 0)
        if batch.epoch != newest:
            return Fenced(
                "This process was replaced by a newer one.",
                "STALE_EPOCH",
                f"{batch.writer} writes with epoch {batch.epoch}, the newest is {newest}",
            )
        if len(batch.puts) + len(batch.removes) + len(batch.events) > MAX_BATCH:
            return TooLarge(f"More than {MAX_BATCH} changes at once.", "BATCH_TOO_LARGE")
        largest = max(
            max((len(put.body) for put in batch.puts), default=0),
            max((len(event.body) for event in batch.events), default=0),
        )
        if largest > MAX_BODY:
            return TooLarge(
                f"The record is larger than {MAX_BODY} characters.",
                "RECORD_TOO_LARGE",
                f"{largest} characters",
            )
        return None


def _all(calls: Sequence[_Call], error: ComputeError) -> Sequence[_Refusals]:
    return [[error] * max(1, len(call.batches)) for call in calls]
