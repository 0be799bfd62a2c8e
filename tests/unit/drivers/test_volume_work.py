"""What a host does for volumes, around its hypervisor."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from actors.drivers.lanes import Lane
from actors.drivers.volume_work import VolumeWork
from actors.model.errors import Conflict
from actors.model.ids import InstanceId, SnapshotId, VolumeId
from actors.ports.host import HostJob, HostStep
from tests.fakes.clock import FakeClock
from tests.local.records import instance


class Keeper:
    """A hypervisor whose guest gives nothing back."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def plug(self, _: object, ask: bool) -> bool:
        self.asked.append(ask)
        return False

    def remove_volume(self, _: VolumeId) -> None:
        """It is gone."""

    def remove_volume_snapshot(self, _: SnapshotId) -> None:
        """It is gone."""


@asynccontextmanager
async def beside(_: InstanceId) -> AsyncIterator[Lane]:
    yield Lane()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def work(keeper: Keeper) -> AsyncIterator[VolumeWork]:
    with ThreadPoolExecutor(1) as threads:
        yield VolumeWork(cast("Any", keeper), cast("Any", None), threads, FakeClock(), beside)


async def test_a_guest_that_keeps_a_disk_is_a_conflict(work: VolumeWork, keeper: Keeper) -> None:
    job = HostJob(instance(), 2, (HostStep.PLUG_VOLUMES,))
    with pytest.raises(Conflict) as caught:
        await work.acts()[HostStep.PLUG_VOLUMES](job, Lane())
    assert caught.value.reason == "VOLUME_KEPT_BY_GUEST"
    assert keeper.asked[0]
    # A guest that boots does not hear; it is asked some times, and looked at far more often.
    assert 5 < keeper.asked.count(True) < len(keeper.asked) / 10


async def test_turns_do_not_pile_up(work: VolumeWork) -> None:
    for number in range(50):
        await work.remove(VolumeId(f"v{number}"))
        await work.remove_snapshot(SnapshotId(f"s{number}"))
    assert not work._turns
