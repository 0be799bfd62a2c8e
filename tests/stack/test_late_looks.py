"""What a host saw of a guest before an operation went on is not what the guest is after it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.model.ids import InstanceId
from actors.model.instance import PowerState, VmState
from actors.model.operation import Action, OperationState
from actors.ports.hypervisor import Guest
from tests.local.cluster import LocalCluster, local_cluster
from tests.sagas.points import details_of


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    async with local_cluster(tmp_path) as made:
        yield made


async def running(cluster: LocalCluster) -> InstanceId:
    made = await cluster.boot()
    assert (await cluster.ended(made.operation)).state is OperationState.SUCCEEDED
    return made.instance.id


class Look:
    """The host's next comparison with libvirt, which goes on when it is told to."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._kept = cluster.hypervisors["host1"]
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.seen = asyncio.Event()
        self._see = threading.Event()
        self._answer = threading.Event()

    def see(self) -> None:
        """Let it see what guests are now."""
        self._see.set()

    def end(self) -> None:
        """Let it have its answer."""
        self._see.set()
        self._answer.set()

    def guests(self) -> list[Guest]:
        """In place of the hypervisor's own."""
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._see.wait(60)
        found = list(self._kept.hypervisor.guests())
        self._loop.call_soon_threadsafe(self.seen.set)
        assert self._answer.wait(60)
        return found


@contextmanager
def looking(cluster: LocalCluster) -> Iterator[Look]:
    """Have the host look."""
    look, kept = Look(cluster), cluster.hypervisors["host1"]
    kept.guests = look.guests  # type: ignore[attr-defined]
    cluster.actors["host1"]._look.set()
    try:
        yield look
    finally:
        look.end()


async def test_a_look_that_an_operation_overtook_says_nothing(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    for point in ("resize.claim.after", "resize.mark.before"):
        cluster.gate.hold(point)
    resize = await cluster.act(instance, Action.RESIZE, details=details_of(Action.RESIZE))
    async with asyncio.timeout(60):
        await cluster.gate.arrival("resize.claim.after")
        with looking(cluster) as look:
            await look.begun.wait()  # its instance runs, as far as the host is told
            cluster.gate.release("resize.claim.after")
            await cluster.gate.arrival("resize.mark.before")
            look.see()  # now it is off
            await look.seen.wait()
            cluster.gate.release("resize.mark.before")
            assert (await cluster.ended(resize.operation)).state is OperationState.SUCCEEDED
        with looking(cluster) as look:
            await look.begun.wait()  # what came of the first has been told
            record = await cluster.instances.get(instance)
    assert (record.vm_state, record.power_state) == (VmState.RESIZED, PowerState.RUNNING)


async def test_a_job_that_leaves_a_guest_as_it_is_tells_what_it_is(cluster: LocalCluster) -> None:
    instance = await running(cluster)
    # A comparison begins with what the instance's actor knew when it was asked.
    cluster.actors["host1"]._observed.adopt({instance: PowerState.SHUTDOWN})
    image = await cluster.act(
        instance, Action.CREATE_IMAGE, details=details_of(Action.CREATE_IMAGE)
    )
    assert (await cluster.ended(image.operation)).state is OperationState.SUCCEEDED
    record = await cluster.instances.get(instance)
    assert (record.vm_state, record.power_state) == (VmState.ACTIVE, PowerState.RUNNING)
