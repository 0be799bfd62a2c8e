"""Every call a handle makes is a method of the actor it calls, with as many arguments."""

import ast
import asyncio
import inspect
from pathlib import Path

import pytest

import actors.handles
from actors.conductor import ConductorActor
from actors.handles.remote import Group
from actors.host import HostActor
from actors.image import ImageActor
from actors.instance import InstanceActor
from actors.model.errors import ComputeError, NotFound
from actors.model.reply import Err, Ok, Reply
from actors.network import NetworkActor
from actors.scheduler import SchedulerActor

CALLED: dict[str, tuple[type, ...]] = {
    "conductor": (ConductorActor,),
    "hosts": (HostActor,),
    "instances": (InstanceActor,),
    "owners": (SchedulerActor, NetworkActor, ImageActor),
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
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "remote"} == set(CALLED)


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
