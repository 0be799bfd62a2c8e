"""One lane an instance: in turn, and never an old operation after a new one."""

import asyncio

import pytest

from actors.drivers.lanes import Lanes
from actors.model.errors import Abandoned, Cancelled, Unavailable
from actors.model.ids import InstanceId

ONE = InstanceId("1")


async def test_jobs_pass_one_at_a_time() -> None:
    lanes, order = Lanes(), []

    async def job(number: int) -> None:
        async with lanes.lane(ONE).turn(ONE, 1):
            order.append(f"{number} in")
            await asyncio.sleep(0)
            order.append(f"{number} out")

    await asyncio.gather(job(1), job(2))
    assert order == ["1 in", "1 out", "2 in", "2 out"]
    assert not lanes.busy(ONE)


async def test_an_older_job_is_refused() -> None:
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 2):
        pass
    with pytest.raises(Cancelled):
        async with lane.turn(ONE, 1):
            raise AssertionError("the old job came in")


async def test_a_newer_job_ends_the_older_at_its_next_step() -> None:
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 1):
        newer = asyncio.create_task(lane.turn(ONE, 2).__aenter__())
        await asyncio.wait_for(lane.bell.wait(), 30)
        with pytest.raises(Cancelled):
            lane.check(ONE, 1)
    await newer
    assert lane.busy


async def test_a_waiting_job_that_became_old_is_refused() -> None:
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 1):
        same = asyncio.create_task(lane.turn(ONE, 1).__aenter__())
        newer = asyncio.create_task(lane.turn(ONE, 2).__aenter__())
        await asyncio.wait_for(lane.bell.wait(), 30)
    with pytest.raises(Cancelled):
        await same
    await newer


async def test_a_lane_is_busy_while_it_passes_from_one_job_to_the_next() -> None:
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 1):
        waits = asyncio.create_task(lane.turn(ONE, 1).__aenter__())
        await asyncio.sleep(0)
    assert lane.busy
    await waits


async def test_lanes_do_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.drivers.lanes._FENCES", 10)
    lanes = Lanes()
    async with lanes.lane(ONE).turn(ONE, 5):
        for number in range(100):
            lanes.lane(InstanceId(f"other {number}"))
        assert len(lanes._lanes) <= 12
        assert lanes.lane(ONE).newest == 5


async def test_an_abandoned_job_ends_but_not_the_one_that_undoes_it() -> None:
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 1):
        lane.abandon(2)  # not here
        lane.check(ONE, 1)
        lane.abandon(1)
        with pytest.raises(Abandoned):
            lane.check(ONE, 1)
    async with lane.turn(ONE, 1):
        lane.check(ONE, 1)


async def test_between_two_jobs_something_else_may_pass() -> None:
    """A job that comes meanwhile waits; what comes while a job is there is refused."""
    lane = Lanes().lane(ONE)
    async with lane.turn(ONE, 1):
        with pytest.raises(Unavailable, match=ONE) as refusal:
            await lane.between_jobs(ONE).__aenter__()
    assert refusal.value.reason == "LANE_BUSY"
    async with lane.between_jobs(ONE):
        assert lane.busy
        job = asyncio.create_task(lane.turn(ONE, 2).__aenter__())
        await asyncio.sleep(0)
        assert not job.done()
        with pytest.raises(Unavailable):
            await lane.between_jobs(ONE).__aenter__()
    await job
