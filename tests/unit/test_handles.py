"""Every call a handle makes is a method of the actor it calls, with as many arguments."""

import ast
import asyncio
import inspect
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import exceptions

import actors.handles
from actors.conductor import ConductorActor
from actors.handles.instances import InstancesHandle
from actors.handles.remote import Group, Remote
from actors.host import HostActor
from actors.image import ImageActor
from actors.instance import InstanceActor
from actors.model.errors import ComputeError, Internal, NotFound, Unavailable
from actors.model.ids import InstanceId, OperationId, ProjectId
from actors.model.operation import Action, OperationRecord, OperationState
from actors.model.query import Cursor, OperationQuery
from actors.model.reply import Err, Ok, Reply
from actors.network import NetworkActor
from actors.scheduler import SchedulerActor
from actors.store.tables import instant_text
from actors.volume import VolumeActor
from tests.local.records import NOW, instance, operation

CALLED: dict[str, tuple[type, ...]] = {
    "conductor": (ConductorActor,),
    "hosts": (HostActor,),
    "instances": (InstanceActor,),
    "owners": (SchedulerActor, NetworkActor, ImageActor, VolumeActor),
}


def calls(module: str) -> list[tuple[str, int]]:
    """The actor methods a module of handles calls, each with its number of arguments."""
    path = Path(actors.handles.__file__).with_name(f"{module}.py")
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        named = [name for name in names if isinstance(name, str)]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "call" and named:
            found.append((named[0], len(node.args) - 1))
        if isinstance(node.func, ast.Name) and node.func.id == "Grouped":
            found.append((named[0], 1))
    return found


@pytest.mark.parametrize("module", sorted(CALLED))
def test_handles_call_what_is_there(module: str) -> None:
    made = calls(module)
    assert made
    for name, arguments in made:
        methods = [getattr(shell, name) for shell in CALLED[module] if hasattr(shell, name)]
        assert methods, f"{module}: no actor has {name}"
        taken = {len(inspect.signature(method).parameters) - 1 for method in methods}
        assert arguments in taken, f"{module}: {name} is called with {arguments} arguments"


def test_every_module_of_handles_is_looked_at() -> None:
    folder = Path(actors.handles.__file__).parent
    # "guests" calls no actor but through the handle of its host.
    others = {"__init__", "remote", "guests"}
    assert {path.stem for path in folder.glob("*.py")} - others == set(CALLED)


async def test_calls_gather_while_one_is_under_way() -> None:
    sent: list[tuple[int, ...]] = []

    async def send(items: tuple[int, ...]) -> list[Reply[int]]:
        sent.append(items)
        return [Err(NotFound("No.")) if item == 3 else Ok(item * 10) for item in items]

    group: Group[int, int] = Group(send)

    answers = await asyncio.gather(*(group.call(n) for n in range(5)), return_exceptions=True)
    assert [a for a in answers if isinstance(a, int)] == [0, 10, 20, 40]
    assert isinstance(answers[3], NotFound)
    assert sent == [(0, 1, 2, 3, 4)]


async def test_nobody_is_left_without_an_answer() -> None:
    async def send(items: tuple[int, ...]) -> list[Reply[int]]:
        raise RuntimeError("a bug")

    with pytest.raises(ComputeError, match="internal"):
        await Group[int, int](send).call(1)


async def test_an_answer_too_few_is_a_bug_and_no_wait_for_ever() -> None:
    async def send(items: tuple[int, ...]) -> list[Reply[int]]:
        return [Ok(item) for item in items[1:]]

    group: Group[int, int] = Group(send)
    async with asyncio.timeout(30):
        answers = await asyncio.gather(group.call(1), group.call(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Internal, Internal]


async def test_what_its_caller_has_given_up_is_not_sent_any_more() -> None:
    """A claim that came too late must not be made after it was released."""
    sent: list[int] = []
    gate = asyncio.Event()

    async def send(items: tuple[int, ...]) -> list[Reply[int]]:
        sent.extend(items)
        await gate.wait()
        return [Ok(item) for item in items]

    group: Group[int, int] = Group(send)
    first = asyncio.create_task(group.call(1))
    while not sent:  # noqa: ASYNC110 - it is under way after a few turns of the loop
        await asyncio.sleep(0)
    second, third = asyncio.create_task(group.call(2)), asyncio.create_task(group.call(3))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    assert (await first, await third) == (1, 3)
    assert sent == [1, 3]


def an_actor_that(raises: Exception) -> Any:
    def remote(*_: object) -> "asyncio.Future[object]":
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        answer.set_exception(raises)
        return answer

    return SimpleNamespace(method=SimpleNamespace(remote=remote))


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ActorDiedError(),
        exceptions.ActorUnavailableError("away", None),
        exceptions.ActorUnschedulableError("its node is gone"),
        exceptions.NodeDiedError("gone"),  # type: ignore[no-untyped-call]
        exceptions.OwnerDiedError("00" * 28, None, ""),
        exceptions.RpcError("GCS is away"),  # type: ignore[no-untyped-call]
        exceptions.RaySystemError("not connected"),  # type: ignore[no-untyped-call]
        exceptions.GetTimeoutError("late"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_trouble_of_rays_is_an_actor_that_is_away(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    found: list[object] = []

    def get_actor(*_: object) -> object:
        found.append(an_actor_that(error))
        return found[-1]

    monkeypatch.setattr(ray, "get_actor", get_actor)
    remote = Remote("host/1")
    for tries in (1, 2):
        with pytest.raises(Unavailable):
            await remote.call("method")
        assert len(found) == tries, "a handle on an actor that failed is not kept"


async def test_a_name_that_ray_does_not_know_is_an_actor_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def get_actor(*_: object) -> object:
        raise ValueError("Failed to look up actor with name 'host/1'.")

    monkeypatch.setattr(ray, "get_actor", get_actor)
    with pytest.raises(Unavailable):
        await Remote("host/1").call("method")


async def test_a_bug_of_ours_is_not_taken_for_an_actor_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def remote(*_: object) -> object:
        raise ValueError("an argument that cannot be sent")

    monkeypatch.setattr(
        ray, "get_actor", lambda *_: SimpleNamespace(method=SimpleNamespace(remote=remote))
    )
    with pytest.raises(Internal):
        await Remote("host/1").call("method")


class Rows:
    """As much of the conductor's handle as a list of operations asks for."""

    def __init__(self, *rows: OperationRecord) -> None:
        self.rows = sorted(rows, key=lambda row: (row.created, row.id), reverse=True)
        self.asked = 0

    async def find_operations(
        self, project: ProjectId | None, before: tuple[str, str] | None, limit: int
    ) -> tuple[OperationRecord, ...]:
        self.asked += 1
        return tuple(
            row
            for row in self.rows
            if project in (None, row.project)
            and (before is None or (instant_text(row.created), row.id) < before)
        )[:limit]

    async def load_operations(self, instance: InstanceId) -> tuple[OperationRecord, ...]:
        self.asked += 1
        return tuple(row for row in reversed(self.rows) if row.instance == instance)


@pytest.mark.parametrize("done", [None, True, False])
@pytest.mark.parametrize("who", [None, 0, 1])
async def test_a_filtered_list_of_operations_takes_few_calls(
    done: bool | None, who: int | None
) -> None:
    vms = [instance(id=InstanceId(f"vm{n}")) for n in range(2)]
    ends = [OperationState.SUCCEEDED, OperationState.RUNNING]
    rows = Rows(
        *(
            operation(
                vms[n % 50 == 0],
                Action.STOP,
                id=OperationId(f"vm{int(n % 50 == 0)}.{n}"),
                state=ends[n % 100 == 0],
                created=NOW + timedelta(seconds=n // 2),
            )
            for n in range(1000)
        )
    )
    handle = InstancesHandle(1)
    handle._store = rows  # type: ignore[assignment]
    found: list[OperationRecord] = []
    query = OperationQuery(
        project=vms[0].project, instance=None if who is None else vms[who].id, done=done, limit=30
    )
    for _ in range(50):
        rows.asked = 0
        page = await handle.operations(query)
        assert rows.asked <= 3
        assert len(page.items) == 30 or not page.more
        found += page.items
        if not page.more:
            break
        last = found[-1]
        query = query.evolve(after=Cursor(created=last.created, id=last.id))
    assert found == [
        row
        for row in rows.rows
        if (who is None or row.instance == vms[who].id) and done in (None, row.done)
    ]
