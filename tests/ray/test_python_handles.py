"""The programs of the manual, run against a cluster."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ray.managed import Managed, managed

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Managed]:
    with managed() as made:
        yield made


@pytest.fixture(scope="module")
def image(cluster: Managed) -> str:
    file = cluster.folder / "small.raw"
    file.write_bytes(b"\0" * 1024 * 1024)
    said = cluster.manage("image", "register", str(file), "--format", "raw", "--name", "small")
    return said.rpartition("(")[2].rstrip(")\n")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page that are in this language; what they print has none."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for named, body in fenced if named == language]


def ray_environment(cluster: Managed) -> dict[str, str]:
    """What ``nova-manage env`` says."""
    lines = shlex.split(cluster.manage("env"), comments=True)
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_the_handles_example(cluster: Managed, image: str, tmp_path: Path) -> None:
    [program] = blocks("python-handles.md", "python")
    [printed] = blocks("python-handles.md", "")
    script = tmp_path / "example.py"
    script.write_text(program, encoding="utf-8")
    cluster.boot("MyFirstInstance", image)
    [instance] = cluster.list()
    cluster.environment |= ray_environment(cluster)
    done = cluster.run(sys.executable, str(script), instance.uid)
    shown = printed.replace("node1", "n1").replace(
        "381f0bec-3c55-5baa-adba-265d5f2a1c7e", instance.uid
    )
    assert done.stdout == shown
    assert cluster.delete(instance.name).WhichOneof("result") == "response"


LOOKING = """
import asyncio, ray, sys
from actors.model.errors import Conflict
from cluster.connect import connect

async def main() -> None:
    vm = (await connect()).instance(sys.argv[1])
    print((await vm.screenshot()).content_type)
    print((await vm.diagnostics()).hypervisor)
    try:
        async with vm.console():
            print("attached")
    except Conflict as error:
        print(error.reason)

ray.init(address="auto", namespace="novaray", log_to_driver=False)
asyncio.run(main())
"""


def test_a_guest_is_looked_at_by_its_handle(cluster: Managed, image: str, tmp_path: Path) -> None:
    script = tmp_path / "looking.py"
    script.write_text(LOOKING, encoding="utf-8")
    cluster.boot("seen", image)
    [instance] = cluster.list()
    cluster.environment |= ray_environment(cluster)
    done = cluster.run(sys.executable, str(script), instance.uid)
    assert done.stdout.split() == ["image/png", "test", "CONSOLE_NOT_SUPPORTED"]
    assert cluster.delete(instance.name).WhichOneof("result") == "response"


def test_the_api_example(cluster: Managed, image: str, tmp_path: Path) -> None:
    [program] = blocks("grpc-api.md", "python")
    printed = blocks("grpc-api.md", "")[-1]
    script = tmp_path / "example.py"
    script.write_text(program, encoding="utf-8")
    done = cluster.run(sys.executable, str(script))
    assert image
    assert done.stdout == printed
    assert cluster.list() == []
