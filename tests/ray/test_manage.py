"""``nova-manage`` on libvirt's test driver: up, kills, down, up again."""

import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.novaray.v1 import instances_pb2
from tests.ray.managed import Managed, eventually, managed

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
ACTORS = (
    "conductor", "scheduler", "network", "images", "volumes", "instances/0", "gateway/n1", "host/",
)  # fmt: skip
MAX_IDLE_MIB = 1000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Managed]:
    with managed() as made:
        yield made


@pytest.fixture(scope="module")
def image(cluster: Managed) -> str:
    file = cluster.folder / "small.raw"
    file.write_bytes(b"\0" * 1024 * 1024)
    said = cluster.manage("image", "register", str(file), "--format", "raw", "--name", "small")
    again = cluster.manage("image", "register", str(file), "--format", "raw", "--name", "small")
    assert "small: registered (" in said
    assert "small: there already (" in again
    return said.rpartition("(")[2].rstrip(")\n")


def test_all_is_well_and_small(cluster: Managed) -> None:
    status = cluster.status()
    assert status["healthy"], status
    assert status["pss_mib"] < MAX_IDLE_MIB
    names = {part["name"] for part in status["parts"] if part["node"]}
    assert {name for name in names if not name.startswith("host/")} == set(ACTORS) - {"host/"}
    assert [host["name"] for host in status["hosts"]] == ["n1"]


def test_up_again_changes_nothing(cluster: Managed) -> None:
    before = {name: actor["pid"] for name, actor in cluster.actors().items()}
    credentials = cluster.credentials
    cluster.manage("up")
    assert {name: actor["pid"] for name, actor in cluster.actors().items()} == before
    assert cluster.credentials == credentials


def test_create_until_active_and_delete(cluster: Managed, image: str) -> None:
    ended = cluster.boot("alone", image)
    assert ended.WhichOneof("result") == "response", ended
    [instance] = cluster.list()
    assert instance.display_name == "alone"
    assert instance.state == instances_pb2.Instance.STATE_ACTIVE
    assert cluster.delete(instance.name).WhichOneof("result") == "response"
    assert cluster.list() == []


def test_each_actor_comes_back(cluster: Managed, image: str) -> None:
    for wanted in ACTORS:
        [(name, actor)] = [
            found for found in cluster.actors().items() if found[0].startswith(wanted)
        ]
        os.kill(actor["pid"], signal.SIGKILL)
        # The very next call may meet the dead; one soon after must be served.
        eventually(cluster.list)

        def boot(name: str = name) -> Any:
            return cluster.boot(f"after {name}", image)

        booted = eventually(boot)
        assert booted.WhichOneof("result") == "response", f"{name}: {booted}"

        def restarted(name: str = name, before: int = actor["restarts"]) -> None:
            assert cluster.actors()[name]["restarts"] == before + 1

        eventually(restarted)
    for instance in cluster.list():
        assert cluster.delete(instance.name).WhichOneof("result") == "response"
    assert cluster.list() == []


def _refused(cluster: Managed, token: str) -> None:
    code = None
    try:
        cluster.list(token)
    except grpc.RpcError as error:
        told: Any = error
        code = told.code()
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_is_made_and_revoked(cluster: Managed) -> None:
    file = cluster.folder / "alice" / "alice.toml"
    project = cluster.credentials["project"]
    cluster.manage(
        "token", "create", "--user", "alice", "--project", project, "--output", str(file)
    )
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().split('token = "')[1].split('"')[0]
    assert cluster.list(token) == []
    cluster.manage("token", "revoke", "--file", str(file))

    eventually(lambda: _refused(cluster, token))


def test_a_host_is_disabled_and_enabled(cluster: Managed) -> None:
    cluster.manage("host", "disable", "n1", "--reason", "new disks")
    assert [host["enabled"] for host in cluster.status()["hosts"]] == [False]
    cluster.manage("host", "enable", "n1")
    assert [host["enabled"] for host in cluster.status()["hosts"]] == [True]
    said = cluster.run(str(Path(sys.executable).with_name("nova-manage")), "host", "enable", "n2",
                       code=1)  # fmt: skip
    assert "n2" in said.stderr


def test_the_dashboard_asks_for_the_token(cluster: Managed) -> None:
    port = cluster.environment["NOVARAY_DASHBOARD_PORT"]
    url = f"http://127.0.0.1:{port}/api/v0/nodes"
    eventually(lambda: socket.create_connection(("127.0.0.1", int(port)), 60).close())
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url, timeout=60)
    assert error.value.code in (401, 403)
    error.value.close()
    token = Path(cluster.environment["XDG_CONFIG_HOME"], "novaray/ray-token").read_text().strip()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_the_python_example_of_the_manual_works(cluster: Managed, image: str) -> None:
    cluster.boot("example", image)
    [instance] = cluster.list()
    text = (ROOT / "docs/operating.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    assert "INSTANCE" in example
    example = example.replace("INSTANCE", instance.name.rpartition("/")[2])
    variables = [
        line.removeprefix("export ").split("=", 1) for line in cluster.manage("env").splitlines()
    ]
    cluster.environment.update({name: value.strip("'") for name, value in variables})
    try:
        said = cluster.run(sys.executable, "-c", example).stdout
    finally:
        for name, _ in variables:
            del cluster.environment[name]
    assert said.split() == ["active", "succeeded", "stopped"]
    cluster.delete(instance.name)


def test_what_actors_say_is_in_rays_logs(cluster: Managed) -> None:
    logs = cluster.folder / "run/ray/session_latest/logs"
    said = "\n".join(path.read_text() for path in logs.glob("worker-*.err"))
    for actor in ACTORS[:-1]:
        assert f" INFO    {actor} " in said, f"{actor} has said nothing"


def test_up_after_all_of_ray_was_killed(cluster: Managed, image: str) -> None:
    cluster.boot("survivor", image)
    before = cluster.list()
    for part in cluster.status()["parts"]:
        with suppress(ProcessLookupError):  # it went with the one before it
            os.kill(part["pid"], signal.SIGKILL)
    eventually(lambda: cluster.status(code=4))
    cluster.manage("up")
    assert [one.name for one in cluster.list()] == [one.name for one in before]
    assert cluster.status()["healthy"]
    cluster.delete(before[0].name)


def test_down_and_up_keep_everything(cluster: Managed) -> None:
    credentials = cluster.credentials
    cluster.manage("down")
    assert cluster.manage("down") == "novaray did not run.\n"
    assert cluster.status(code=4)["parts"] == []
    cluster.manage("up")
    assert cluster.credentials == credentials
    assert cluster.status()["healthy"]


def test_purge_leaves_nothing() -> None:
    with managed() as own:
        listed = own.manage("down", "--purge", "--dry-run")
        assert "novaray.sqlite" in listed
        assert own.status()["healthy"], "a dry run changes nothing"
        own.manage("down", "--purge", "--yes")
        assert [path for path in own.folder.rglob("*") if path.is_file()] == []
        assert own.status(code=4)["parts"] == []
