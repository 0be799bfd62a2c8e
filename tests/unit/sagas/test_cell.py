"""One instance's mailbox: two operations never act at once, and none is left lying."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.lifecycle import machine
from actors.model.commands import CreateInstance
from actors.model.errors import Cancelled, ComputeError, Exhausted, Fenced
from actors.model.guest_data import GuestData
from actors.model.host import Claim
from actors.model.ids import HostId
from actors.model.instance import InstanceRecord, PowerState, VmState
from actors.model.network import Network, Nic
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import ConsoleOutput
from actors.ports.host import HostJob, HostOutcome, HostStep, StepResult
from actors.ports.network import PortRelease, PortRequest
from actors.ports.scheduler import ClaimRequest, Release
from actors.ports.store import Eviction
from actors.sagas.cell import Cell
from actors.sagas.engine import Engine
from actors.sagas.saga import Cluster
from cluster.runtime import OpenGate, SystemClock
from tests.local.records import HOST, NOW, command, instance


@dataclass
class Disk:
    """Implements ``cell.Recorder``."""

    written: list[tuple[InstanceRecord, Sequence[OperationRecord]]] = field(default_factory=list)
    #: Asked at each write; may raise, or ring somebody's bell.
    before: Callable[[Sequence[OperationRecord]], None] = lambda _: None

    async def record(
        self,
        instance: InstanceRecord,
        operations: Sequence[OperationRecord],
        eviction: Eviction | None,
        guest_data: GuestData | None,
    ) -> None:
        assert eviction is None
        assert guest_data is None
        await asyncio.sleep(0)
        self.before(operations)
        self.written.append((instance, operations))

    async def guest_data(self, instance: InstanceRecord) -> GuestData | None:
        return None


@dataclass
class World:
    """Implements scheduler, networks, hosts and a host; notes who was asked for what."""

    jobs: list[HostJob] = field(default_factory=list)
    claims: list[ClaimRequest] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    #: What the next jobs answer; after that they succeed at once.
    answers: list[Callable[[], "asyncio.Future[HostOutcome]"]] = field(default_factory=list)

    async def claim(self, request: ClaimRequest) -> Claim:
        self.claims.append(request)
        return Claim(
            instance=request.instance,
            host_id=HOST,
            host="h1",
            resources=request.resources,
            sequence=request.sequence,
            attempt=request.attempt,
        )

    async def release(self, release: Release | PortRelease) -> None:
        if isinstance(release, Release):
            self.releases.append(release)

    async def allocate(self, request: PortRequest) -> tuple[Nic, ...]:
        return ()

    def host(self, host_id: HostId) -> "World":
        assert host_id == HOST
        return self

    async def run(self, job: HostJob) -> HostOutcome:
        self.jobs.append(job)
        if self.answers:
            return await self.answers.pop(0)()
        return done(job)

    async def console_output(self, *_: object) -> ConsoleOutput:
        raise NotImplementedError

    async def report(self, *_: object) -> None:
        raise NotImplementedError

    async def hosts(self) -> tuple[()]:
        raise NotImplementedError

    async def set_enabled(self, *_: object) -> None:
        raise NotImplementedError

    async def networks(self) -> tuple[Network, ...]:
        raise NotImplementedError

    async def ensure_network(self, network: Network) -> Network:
        raise NotImplementedError


def done(job: HostJob) -> HostOutcome:
    gone = HostStep.ENSURE_ABSENT in job.steps
    power = PowerState.NOSTATE if gone else PowerState.RUNNING
    return HostOutcome(tuple(StepResult(step, NOW, NOW) for step in job.steps), power)


def refusal(step: HostStep, error: ComputeError) -> "asyncio.Future[HostOutcome]":
    answer: asyncio.Future[HostOutcome] = asyncio.get_running_loop().create_future()
    answer.set_result(HostOutcome((StepResult(step, NOW, NOW, error),), PowerState.NOSTATE))
    return answer


def booting(world: World, disk: Disk) -> Cell:
    like = instance()
    record, operation = machine.create(
        CreateInstance(
            instance=like.id,
            project=like.project,
            user=like.user,
            request_id=like.request_id,
            name=like.name,
            flavor=like.flavor,
            source=like.source,
        ),
        NOW,
    )
    cluster: Cluster = Cluster(world, world, world, world, world)  # type: ignore[arg-type]
    engine = Engine(cluster, SystemClock(), OpenGate())
    return Cell(record, engine.begin(operation), disk, engine, SystemClock())


async def ended(cell: Cell, action: Action) -> OperationRecord:
    async with asyncio.timeout(30):
        while not (cell.operation.action is action and cell.operation.done):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    return cell.operation


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.mark.parametrize("later", range(6))
async def test_an_answer_for_the_old_operation_is_not_taken_for_the_new_ones(later: int) -> None:
    """The boot's answer arrives just when the delete has become durable."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[HostOutcome] = loop.create_future()
    world, disk = World(answers=[lambda: answer]), Disk()

    def arrive(turns: int) -> None:
        if turns:
            loop.call_soon(arrive, turns - 1)
        else:
            answer.set_result(done(world.jobs[0]))

    def watch(operations: Sequence[OperationRecord]) -> None:
        if [operation.action for operation in operations] == [Action.CREATE, Action.DELETE]:
            arrive(later)

    disk.before = watch
    cell = booting(world, disk)
    cell.resume()
    await until(lambda: world.jobs)
    await cell.submit(command(cell.record, Action.DELETE))
    gone = await ended(cell, Action.DELETE)

    assert gone.state is OperationState.SUCCEEDED
    assert {entry.name for entry in gone.steps} == {
        "domain",
        "disk",
        "network",
        "ports",
        "claim",
        "shelved",
        "volumes",
    }
    assert len(gone.steps) == 7
    assert HostStep.ENSURE_ABSENT in {step for job in world.jobs for step in job.steps}
    assert [one.sequence for one in world.releases] == [2]
    assert {one.sequence for one in world.claims} == {1}


async def test_a_full_database_in_the_middle_is_waited_for() -> None:
    world, disk, refused = World(), Disk(), [Exhausted("No space left.", "DATABASE_FULL")] * 2

    def full(operations: Sequence[OperationRecord]) -> None:
        if refused and operations[-1].host_id is not None:
            raise refused.pop()

    disk.before = full
    cell = booting(world, disk)
    cell.resume()
    assert (await ended(cell, Action.CREATE)).state is OperationState.SUCCEEDED
    assert (cell.record.vm_state, cell.record.task_state) == (VmState.ACTIVE, None)


async def test_a_bug_does_not_leave_an_instance_busy_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, disk = World(), Disk()
    bugs: list[Exception] = [KeyError("a bug"), RuntimeError("another")]
    plain = world.claim

    async def claim(request: ClaimRequest) -> Claim:
        if bugs:
            raise bugs.pop()
        return await plain(request)

    world.claim = claim  # type: ignore[method-assign]
    cell = booting(world, disk)
    with caplog.at_level(logging.ERROR):
        cell.resume()
        await until(lambda: cell.operation.waiting_for)
        assert "internal error" in cell.operation.waiting_for
        after = await ended(cell, Action.CREATE)
    assert (after.state, after.waiting_for) == (OperationState.SUCCEEDED, "")
    assert "another" in caplog.text


async def test_a_host_that_knows_of_a_newer_operation_which_is_not_there_is_asked_again() -> None:
    newer = Cancelled("A newer operation has taken over.", "SUPERSEDED")
    world = World(answers=[lambda: refusal(HostStep.ENSURE_IMAGE, newer)])
    cell = booting(world, Disk())
    cell.resume()
    assert (await ended(cell, Action.CREATE)).state is OperationState.SUCCEEDED


async def test_a_write_whose_caller_left_is_not_overtaken() -> None:
    world, disk, under_way, most = World(), Disk(), [0], [0]
    go_on, plain = asyncio.Event(), disk.record

    async def record(*args: Any) -> None:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await go_on.wait()
        await plain(*args)
        under_way[0] -= 1

    disk.record = record  # type: ignore[assignment, method-assign]
    cell = booting(world, disk)
    first = asyncio.create_task(cell.settle())
    await until(lambda: under_way[0])
    first.cancel()
    second = asyncio.create_task(cell.cancel())
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.wait({first, second})
    assert most == [1]
    assert [written[1][-1].generation for written in disk.written] == [1, 2]


async def test_an_actor_that_was_replaced_rests() -> None:
    world, disk, tries = World(), Disk(), []

    def fenced(_: Sequence[OperationRecord]) -> None:
        tries.append(1)
        raise Fenced("Replaced.")

    disk.before = fenced
    cell = booting(world, disk)
    cell.resume()
    await until(lambda: tries)
    await asyncio.sleep(0.3)
    assert len(tries) == 1
    assert world.jobs == []
