"""Who is asked, how often, and what becomes of a guest that keeps what it has."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest

from actors.drivers.lanes import Lane
from actors.drivers.size_work import SizeWork
from actors.model.details import ChangeSize
from actors.model.errors import Abandoned, Conflict
from actors.model.flavor import Size
from actors.model.instance import InstanceRecord
from actors.ports.host import HostJob, HostStep
from tests.fakes.clock import FakeClock
from tests.local.records import instance

if TYPE_CHECKING:
    from actors.ports.hypervisor import Hypervisor

HAS = Size(vcpus=1, memory_mb=640)


class Keeper:
    """A guest that gives nothing back before it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked: list[bool] = []

    def change_size(self, record: InstanceRecord, ask: bool) -> bool:
        self.asked.append(ask)
        return len(self.asked) > self.looks

    def guest_size(self, record: InstanceRecord) -> Size | None:
        return HAS


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def job(step: HostStep) -> HostJob:
    return HostJob(instance(), 2, (step,), details=ChangeSize(memory_mb=512), saga="changeSize")


def work(guest: Keeper, threads: ThreadPoolExecutor) -> SizeWork:
    return SizeWork(cast("Hypervisor", guest), threads, FakeClock())


async def test_a_guest_that_takes_its_time_is_asked_every_few_seconds(
    threads: ThreadPoolExecutor,
) -> None:
    guest = Keeper(looks=120)
    acts = work(guest, threads).acts()
    assert await acts[HostStep.ENSURE_SIZE](job(HostStep.ENSURE_SIZE), Lane()) is None
    assert len(guest.asked) == 121
    assert guest.asked[0]
    assert 2 <= sum(guest.asked) <= 4, "looked at ten times a second, asked all five seconds"


async def test_a_guest_that_keeps_it_fails_the_change(threads: ThreadPoolExecutor) -> None:
    guest = Keeper(looks=10**6)
    with pytest.raises(Conflict) as refusal:
        await work(guest, threads).acts()[HostStep.ENSURE_SIZE](job(HostStep.ENSURE_SIZE), Lane())
    assert refusal.value.reason == "SIZE_KEPT_BY_GUEST"


async def test_on_the_way_back_what_it_keeps_it_has(threads: ThreadPoolExecutor) -> None:
    """The record is to say so; an undo that insisted would never end."""
    acts = work(Keeper(looks=10**6), threads).acts()
    assert await acts[HostStep.SETTLE_SIZE](job(HostStep.SETTLE_SIZE), Lane()) == HAS


async def test_a_cancel_ends_the_wait(threads: ThreadPoolExecutor) -> None:
    guest, lane = Keeper(looks=10**6), Lane()
    async with lane.turn(instance().id, 2):
        lane.abandon(2)
        with pytest.raises(Abandoned):
            await work(guest, threads).acts()[HostStep.ENSURE_SIZE](job(HostStep.ENSURE_SIZE), lane)
    assert len(guest.asked) == 1
