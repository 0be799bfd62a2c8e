"""The documentation is complete, its links lead somewhere, and what is made from code is current.

``make golden-update`` writes the generated parts again.
"""

import ast
import inspect
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import grpc
import pytest
import typer
from google.longrunning import operations_pb2

import actors.model.errors
from actors.lifecycle import machine
from actors.lifecycle.events import Moved, PowerObserved, Requested
from actors.lifecycle.guards import ALLOWED, Guard
from actors.lifecycle.status import status
from actors.model.errors import ComputeError, Kind
from actors.model.extra_specs import SERVED
from actors.model.instance import PowerState, Status, TaskState, VmState
from actors.model.operation import Action, OperationState
from actors.ports.host import HostStep
from actors.sagas.plans import SAGAS
from actors.sagas.saga import Place, Step
from cluster.config import Settings
from cluster.manage import app as manage
from gateway.cli.main import app as nova
from gateway.errors import BY_REASON, WIRE, Wire
from protos.novaray.v1 import (
    flavors_pb2,
    hosts_pb2,
    images_pb2,
    instances_pb2,
    networks_pb2,
    versions_pb2,
    volumes_pb2,
)
from tests.local.records import HOST, NOW, command, instance, operation
from tests.sagas.points import POWER

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
UPDATE = os.environ.get("NOVARAY_GOLDEN_UPDATE") == "1"

#: Folders of one machine: nothing in a document may depend on them.
MACHINE_PATHS = re.compile(r"/(?:work|workspace|mnt|Users|home/[a-z]+)/[\w.]|/tmp/[\w.]+/")

#: After these the guest runs, whatever it did before.
STARTS = frozenset(
    {
        Action.CREATE,
        Action.START,
        Action.REBOOT,
        Action.UNPAUSE,
        Action.RESUME,
        Action.RESTORE,
        Action.UNSHELVE,
        Action.RESCUE,
        Action.UNRESCUE,
    }
)

PROGRAMS = {"nova": nova, "nova-manage": manage}


def documents() -> list[Path]:
    return [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
    ]


def of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# --- what is made from code -------------------------------------------------------------------


def table(*rows: tuple[object, ...]) -> str:
    head, *body = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def code(words: object) -> str:
    return f"`{words}`"


def every(words: Iterator[str]) -> str:
    return ", ".join(words)


def _after(action: Action, state: VmState, end: OperationState) -> VmState:
    """What becomes of an instance in this state whose operation ends like that."""
    power = {
        VmState.STOPPED: PowerState.SHUTDOWN,
        VmState.ACTIVE: PowerState.RUNNING,
        VmState.RESIZED: PowerState.RUNNING,
        VmState.PAUSED: PowerState.PAUSED,
        VmState.SUSPENDED: PowerState.SUSPENDED,
    }
    record = instance(
        vm_state=state,
        power_state=power.get(state, PowerState.NOSTATE),
        task_state=TaskState.SPAWNING,
    )
    after, _ = machine.step(
        record, Moved(operation(record, action, state=end), NOW, {}, _told(action, end))
    )
    return after.vm_state


def _told(action: Action, end: OperationState) -> PowerState | None:
    """What its host says of the guest with the answer; None where it is as it was."""
    if end is not OperationState.SUCCEEDED:
        return None
    if action in STARTS:
        return PowerState.RUNNING
    return PowerState(POWER[action]) if action in POWER else None


def _begins_in(action: Action) -> list[VmState]:
    if action is Action.CREATE:
        return [VmState.BUILDING]
    return [state for state in VmState if state in ALLOWED[action].vm_states]


def _observed() -> Iterator[tuple[VmState, VmState, list[PowerState]]]:
    """State before, state after, and the reports that lead there."""
    for state in VmState:
        found: dict[VmState, list[PowerState]] = {}
        for power in PowerState:
            record = instance(vm_state=state)
            after, _ = machine.step(record, PowerObserved(power, HOST, 1, NOW))
            if after.vm_state is not state:
                found.setdefault(after.vm_state, []).append(power)
        for end, powers in found.items():
            yield state, end, powers


def _status() -> str:
    rows = []
    for state in VmState:
        plain = status(state, None)
        others: dict[Status, list[TaskState]] = {}
        for task in TaskState:
            if (shown := status(state, task)) is not plain:
                others.setdefault(shown, []).append(task)
        meanwhile = [
            f"{code(shown)} while {every(code(task) for task in tasks)}"
            for shown, tasks in others.items()
        ]
        rows.append((code(state), "; ".join([code(plain), *meanwhile])))
    return table(("vm_state", "status"), *rows)


def _diagram() -> str:
    edges: dict[tuple[str, str], list[str]] = {("[*]", "building"): ["create"]}

    def draw(start: VmState, end: VmState, label: str) -> None:
        labels = edges.setdefault((start.value, end.value), [])
        if label not in labels:
            labels.append(label)

    for action in Action:
        for state in _begins_in(action):
            draw(state, _after(action, state, OperationState.SUCCEEDED), action.value)
            failed = _after(action, state, OperationState.FAILED)
            if failed is not state:
                draw(state, failed, f"{action.value} fails")
    for state, end, powers in _observed():
        draw(state, end, f"seen {every(power.value for power in powers)}")
    lines = [f"    {start} --> {end}: {' / '.join(said)}" for (start, end), said in edges.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "    deleted --> [*]", "```"])


def _task_of(action: Action) -> str:
    if action is Action.CREATE:
        return every(code(task.value) for task in list(TaskState)[:3])
    state = _begins_in(action)[0]
    record = instance(vm_state=state)
    after, _ = machine.step(record, Requested(command(record, action), NOW))
    assert after.task_state is not None
    return code(after.task_state.value)


def _interrupts(guard: Guard) -> str:
    if guard.interrupts == set(TaskState):
        return "anything"
    left = [code(task.value) for task in TaskState if task not in guard.interrupts]
    if len(left) < len(guard.interrupts):
        return f"anything but {every(iter(left))}"
    return every(code(task.value) for task in TaskState if task in guard.interrupts) or "nothing"


def _guards() -> str:
    rows = [
        (
            code(action.value),
            "there is none yet"
            if action is Action.CREATE
            else every(code(state.value) for state in _begins_in(action)),
            _interrupts(ALLOWED[action]),
            _task_of(action),
            code(_after(action, _begins_in(action)[0], OperationState.SUCCEEDED).value),
        )
        for action in Action
    ]
    return table(("action", "vm_state", "interrupts", "task_state", "ends in"), *rows)


def _reports() -> str:
    rows = [
        (code(state.value), every(code(power.value) for power in powers), code(end.value))
        for state, end, powers in _observed()
    ]
    return table(("an instance that is", "and is reported", "becomes"), *rows)


def _power() -> str:
    rows = [(code(state.value), state.nova_code) for state in PowerState]
    return table(("power_state", "Nova"), *rows)


def _side(act: object, at: Place) -> str:
    if act is None:
        return "-"
    if isinstance(act, HostStep):
        where = "former host" if at is Place.FORMER else "host"
        return f"{where}: {code(act.value)}"
    assert inspect.isfunction(act)
    return code(act.__name__)


def _step_row(step: Step) -> tuple[object, ...]:
    name = f"{code(step.name)}{', beside' if step.beside else ''}"
    seconds = f"{step.deadline_seconds:g}"
    if step.seconds_per_gib:
        seconds += f", and {step.seconds_per_gib:g} per GiB of memory"
    return name, _side(step.do, step.at), _side(step.undo, step.at), seconds


def _sagas() -> str:
    parts = []
    for action in Action:
        saga = SAGAS[action]
        undone = "; only goes forward" if saga.only_forward else ""
        parts.append(f"### {action.value}\n\nAttempts: {saga.attempts}{undone}.\n")
        rows = [_step_row(step) for step in saga.steps]
        parts.append(table(("step", "done by", "undone by", "seconds"), *rows) + "\n")
    return "\n".join(parts).rstrip("\n")


_OPERATION_WORDS = {
    OperationState.RUNNING: "moving, or waiting for what `waiting_for` names",
    OperationState.UNDOING: "a step failed, or a cancel came: what was done is being undone",
    OperationState.SUCCEEDED: "done as asked",
    OperationState.FAILED: "failed and undone; `error` says why",
    OperationState.CANCELLED: "ended early by a cancel or a delete",
}


def _operation() -> str:
    rows = [
        (code(state.value), "yes" if state.done else "no", _OPERATION_WORDS[state])
        for state in OperationState
    ]
    return table(("state", "done", "what it means"), *rows)


def _errors() -> dict[str, type[ComputeError]]:
    found = inspect.getmembers(actors.model.errors, inspect.isclass)
    return {name: kind for name, kind in found if issubclass(kind, ComputeError)}


def _kinds() -> str:
    meaning = {
        error.kind: (error.__doc__ or "").strip().split(". ")[0].splitlines()[0].rstrip(".") + "."
        for error in _errors().values()
        if error is not ComputeError
    }
    rows = [
        (code(kind.value), WIRE[kind].code.name, WIRE[kind].http, meaning[kind]) for kind in Kind
    ]
    return table(("kind", "gRPC", "HTTP", "what it says"), *rows)


def _decisions() -> str:
    rows = []
    for path in sorted((DOCS / "decisions").glob("*.md")):
        number, title = (
            path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(": ", 1)
        )
        rows.append((f"[{number}](decisions/{path.name})", title))
    return table(("record", "what it decides"), *rows)


def _extra_specs() -> str:
    rows = [(code(name), spec.values, spec.meaning) for name, spec in SERVED.items()]
    return table(("extra spec", "values", "what it does"), *rows)


GENERATED: dict[str, Callable[[], str]] = {
    "status": _status,
    "diagram": _diagram,
    "guards": _guards,
    "reports": _reports,
    "power": _power,
    "sagas": _sagas,
    "operation": _operation,
    "kinds": _kinds,
    "decisions": _decisions,
    "extra_specs": _extra_specs,
}
_PART = re.compile(
    r"(<!-- generated: (?P<name>\w+) -->\n)(?P<body>.*?)(<!-- end of generated: (?P=name) -->)",
    re.DOTALL,
)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_current(name: str) -> None:
    wanted = f"{GENERATED[name]()}\n"
    places = [path for path in documents() if f"<!-- generated: {name} -->" in text_of(path)]
    assert len(places) == 1, f"one document has the part {name}: {places}"
    [found] = [part for part in _PART.finditer(text_of(places[0])) if part["name"] == name]
    if UPDATE and found["body"] != wanted:
        text = places[0].read_text(encoding="utf-8")
        places[0].write_text(text.replace(found[0], f"{found[1]}{wanted}{found[4]}"), "utf-8")
        text_of.cache_clear()
    else:
        assert found["body"] == wanted, f"{of(places[0])} is old: run 'make golden-update'"


# --- what must be mentioned -------------------------------------------------------------------

_REASON = re.compile(r"`([A-Z][A-Z_]+)` \(([A-Z_]+), (\d{3})\)")
#: Said by the border itself, of no kind of ours.
_UNSERVED = {"METHOD_NOT_SERVED": Wire(grpc.StatusCode.UNIMPLEMENTED, 501)}


def _argument(call: ast.Call, place: int) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((word.value for word in call.keywords if word.arg == "reason"), None)


def _helpers(tree: ast.Module) -> dict[str, tuple[str, int]]:
    """Functions that make an error of the reason they are given: which, and where it stands."""
    found = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = [argument.arg for argument in function.args.args]
            for call in ast.walk(function):
                if "reason" in names and isinstance(call, ast.Call) and _raises(call):
                    found[function.name] = (ast.unparse(call.func), names.index("reason"))
    return found


def _raises(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in _errors()


def _constants(tree: ast.Module) -> dict[str, str]:
    pairs = [
        (ast.unparse(line.target), line.value)
        for line in tree.body
        if isinstance(line, ast.AnnAssign)
    ]
    return {
        name: value.value
        for name, value in pairs
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def _reasons_of(tree: ast.Module) -> Iterator[tuple[str, Kind]]:
    makers = {name: (name, 1) for name in _errors()} | _helpers(tree)
    constants = _constants(tree)
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        if call.func.id in makers:
            name, place = makers[call.func.id]
            error = _errors()[name]
            match _argument(call, place):
                case None:
                    yield error.default_reason, error.kind
                case ast.Constant(str(reason)):
                    yield reason or error.default_reason, error.kind
                case ast.Name(constant) if constant in constants:
                    yield constants[constant], error.kind


@cache
def reasons() -> dict[str, set[Wire]]:
    """Every reason that the code gives, with its codes on the wire."""
    found: dict[str, set[Wire]] = {name: {wire} for name, wire in _UNSERVED.items()}
    for error in _errors().values():
        found.setdefault(error.default_reason, set()).add(WIRE[error.kind])
    for folder in ("actors", "gateway/app", "gateway/rpc", "cluster"):
        for path in (ROOT / folder).rglob("*.py"):
            for reason, kind in _reasons_of(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(reason, set()).add(BY_REASON.get(reason) or WIRE[kind])
    return found


def test_every_reason_is_explained() -> None:
    told = _REASON.findall(text_of(DOCS / "status-codes.md"))
    names = [name for name, _, _ in told]
    assert len(names) == len(set(names)), "a reason stands there twice"
    assert set(names) == set(reasons()), "docs/status-codes.md and the code differ"
    for name, said, http in told:
        wires = {(wire.code.name, wire.http) for wire in reasons()[name]}
        assert wires == {(said, int(http))}, name


def test_every_method_is_in_the_manual() -> None:
    text = text_of(DOCS / "grpc-api.md")
    files = (
        instances_pb2, flavors_pb2, images_pb2, volumes_pb2, networks_pb2, hosts_pb2, versions_pb2,
        operations_pb2,
    )  # fmt: skip
    for file in files:
        for service in file.DESCRIPTOR.services_by_name.values():
            assert service.full_name in text
            for method in service.methods:
                assert f"`{method.name}`" in text, f"docs/grpc-api.md lacks {method.full_name}"


def commands(app: typer.Typer, program: str) -> Iterator[str]:
    """Every command line of a program, without options."""
    for command_info in app.registered_commands:
        assert command_info.callback is not None
        name = command_info.name or command_info.callback.__name__.replace("_", "-")
        if not command_info.hidden:
            yield f"{program} {name}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{program} {group.name}")


@pytest.mark.parametrize(("page", "program"), [("cli.md", "nova"), ("operating.md", "nova-manage")])
def test_every_command_is_in_the_manual(page: str, program: str) -> None:
    found = set(commands(PROGRAMS[program], program))
    assert len(found) > 8
    text = text_of(DOCS / page)
    assert not (missing := {line for line in found if line not in text}), f"{page} lacks {missing}"


def test_every_command_of_a_document_exists() -> None:
    real = set(commands(manage, "nova-manage")) | set(commands(nova, "nova"))
    groups = {line.rpartition(" ")[0] for line in real}
    for path in documents():
        if "decisions" in path.parts:
            continue  # records tell of what is to come, too
        for line in re.findall(
            r"`(nova(?:-manage)? [a-z][a-z-]*(?: [a-z][a-z-]*)?)[^`]*`", text_of(path)
        ):
            first = " ".join(line.split()[:2])
            assert first in real or line in real or first in groups, f"{of(path)}: {line}"


def test_every_setting_and_dependency_is_in_the_manual() -> None:
    settings = text_of(DOCS / "settings.md")
    assert not [name for name in Settings.model_fields if f"`{name}`" not in settings]
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    needed = {re.split(r"[\[<>=~!]", line)[0] for line in project["dependencies"]}
    rows = set(re.findall(r"^\| `([\w-]+)` \|", text_of(DOCS / "dependencies.md"), re.MULTILINE))
    assert rows == needed


def test_every_metric_is_in_the_manual() -> None:
    made = set(re.findall(r'"(novaray_\w+)"', text_of(ROOT / "cluster/metrics.py")))
    told = set(re.findall(r"`ray_(novaray_\w+)", text_of(DOCS / "dashboard.md")))
    assert made == told


def test_every_action_of_ours_is_compared_with_nova() -> None:
    text = text_of(DOCS / "openstack-compat.md")
    for line in commands(nova, "nova"):
        assert line.split()[1] in text, line
    for action in Action:
        assert action.value in text


def test_every_page_is_in_the_index() -> None:
    index = text_of(DOCS / "index.md")
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md") if path.name != "index.md"]
    assert not [str(page) for page in pages if f"({page})" not in index]


# --- how it is written ------------------------------------------------------------------------


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines outside of code blocks and of tables, which cannot be broken."""
    fenced = False
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith(("|", "    ")):
            yield number, line


def _anchors(path: Path) -> set[str]:
    titles = [line.lstrip("#") for _, line in prose(path) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", documents(), ids=of)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(path), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{of(path)}: {link}"
        assert not anchor or anchor in _anchors(target), f"{of(path)}: {link}"


@pytest.mark.parametrize("path", documents(), ids=of)
def test_lines_are_short_and_name_no_machine(path: Path) -> None:
    long = [number for number, line in prose(path) if len(line) > 120]
    assert not long, f"{of(path)}: break these lines at 120 characters: {long}"
    assert not (found := MACHINE_PATHS.findall(text_of(path))), f"{of(path)}: {found}"


@pytest.mark.parametrize("path", documents(), ids=of)
def test_files_that_are_named_exist(path: Path) -> None:
    if "decisions" in path.parts or path.name == "CHANGELOG.md":
        return  # they say what was
    named = re.findall(
        r"`((?:actors|cluster|gateway|protos|tests|tools|docs)/[\w./-]+)`", text_of(path)
    )
    examples = {"actors/sagas/pause.py"}
    assert not [name for name in named if name not in examples and not (ROOT / name).exists()]
