"""The command against the gateway itself: what the scripted cloud cannot vouch for."""

import asyncio
import json
from collections.abc import Callable

import pytest

from actors.model.errors import Kind
from actors.model.ids import OperationId
from actors.model.instance import Fault
from tests.gateway.cli.real import Real
from tests.gateway.cloud import ADMIN, NOW


async def until(condition: Callable[[], bool]) -> None:
    """Let the command, which runs in a thread, get so far."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)


BOOT = ("boot", "--image", "cirros", "--flavor", "m1.tiny")


async def test_the_walkthrough(real: Real) -> None:
    code, out, _ = await real.nova(*BOOT, "--meta", "role=web", "--poll", "MyFirstInstance")
    assert code == 0
    assert "| name                                 | MyFirstInstance" in out
    assert out.splitlines()[-1].startswith("Server MyFirstInstance is ACTIVE")
    (listed,) = await real.json("list")
    assert (listed["name"], listed["status"]) == ("MyFirstInstance", "ACTIVE")
    assert listed["metadata"] == {"role": "web"}
    assert (await real.nova("show", "MyFirstInstance"))[0] == 0
    for words in (("stop", "--grace", "5"), ("start",), ("delete",)):
        code, out, err = await real.nova(*words, "--poll", "MyFirstInstance")
        assert (code, out.splitlines()[0]) == (
            0,
            f"Request to {words[0]} server MyFirstInstance has been accepted.",
        ), err
    assert await real.json("list") == []


async def test_the_catalog(real: Real) -> None:
    flavors = await real.json("flavor-list")
    assert [f["id"] for f in flavors] == sorted(f["id"] for f in flavors)
    assert "cirros" in [i["name"] for i in await real.json("image-list")]
    assert [h["name"] for h in await real.json("host-list", token=ADMIN)] == ["host-1"]
    assert (await real.json("version"))["api_level"] >= 1


async def test_hosts_are_for_admins(real: Real) -> None:
    code, _, err = await real.nova("host-list")
    assert code == 1
    assert "ERROR (ROLE_MISSING)" in err


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "AND = x", "服务器", "état"])
async def test_any_name_is_found_again(real: Real, name: str) -> None:
    made = await real.json(*BOOT, name)
    assert (await real.json("show", name))["id"] == made["instance"]["id"]
    (listed,) = await real.json("list", "--name", name, "--status", "active")
    assert listed["name"] == name


async def test_a_name_that_several_have(real: Real) -> None:
    made = [(await real.json(*BOOT, "web"))["instance"]["id"] for _ in range(2)]
    code, _, err = await real.nova("--format", "json", "show", "web")
    assert code == 1
    candidates = json.loads(err)["error"]["data"]["candidates"]
    assert {c["id"] for c in candidates} == set(made)
    assert {c["status"] for c in candidates} == {"ACTIVE"}


async def test_one_request_id_makes_one_server(real: Real) -> None:
    options = ("--request-id", "7f1b7a8e-5f5e-4c3b-9a51-0d1d7ec0a7e4")
    first, second = [await real.json(*BOOT, *options, "web") for _ in range(2)]
    assert first["instance"]["id"] == second["instance"]["id"]
    assert len(await real.json("list")) == 1


async def test_a_failed_boot_tells_why_per_host(real: Real) -> None:
    real.compute.settle = False
    boot = asyncio.create_task(real.nova(*BOOT, "--poll", "web", token=ADMIN))
    await until(lambda: bool(real.compute.instances.ops))
    (operation,) = real.compute.instances.ops
    fault = Fault(
        kind=Kind.NO_VALID_HOST,
        reason="NO_VALID_HOST",
        message="No host is left to try.",
        hosts={"host-1": "disk: No space left on device"},
        created=NOW,
    )
    real.compute.instances.finish(OperationId(operation), fault)
    code, _, err = await boot
    assert code == 1
    assert "ERROR (NO_VALID_HOST): No host is left to try." in err
    assert "  host-1: disk: No space left on device" in err
    shown = await real.json("operation", "show", operation, token=ADMIN)
    assert shown["error"]["reason"] == "NO_VALID_HOST"


async def test_operations(real: Real) -> None:
    made = await real.json(*BOOT, "web")
    await real.nova("stop", "web")
    assert [o["action"] for o in await real.json("operation", "list")] == ["stop", "create"]
    of_one = await real.json("operation", "list", "--server", "web", "--limit", "1")
    assert [o["instance"] for o in of_one] == [made["instance"]["id"]]


async def test_the_console(real: Real) -> None:
    made = await real.json(*BOOT, "web")
    log = "".join(f"line {n}\r\n" for n in range(5000))
    real.compute.instances.consoles[made["instance"]["id"]] = log.encode()
    shown = await real.json("console-log", "web")
    assert shown["text"] == log.replace("\r\n", "\n")
    tail = await real.json("console-log", "--length", "2", "web")
    assert tail["text"] == "line 4998\nline 4999\n"
    # The whole of a long log, and a piece in the middle of it, begin and end where they should.
    assert tail["next_offset"] == shown["next_offset"] == len(log)


async def test_a_watch(real: Real) -> None:
    await real.json(*BOOT, "web")
    (record,) = real.compute.instances.records.values()
    watching = asyncio.create_task(real.nova("watch", "--count", "2", "--format", "json"))
    await until(lambda: real.server.application.feed.watchers > 0)
    for _ in range(2):
        real.compute.instances.put(record)
    code, out, err = await watching
    assert (code, err) == (0, "")
    first, second = (json.loads(line) for line in out.splitlines())
    assert first["instance"]["name"] == "web"
    # What came behind the first one is still there to be read.
    token = first["resume_token"]
    assert await real.json("watch", "--count", "1", "--resume-token", token) == second


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--project", "other", "list"), 1, "PROJECT_NOT_FOUND"),
        (("list", "--all-projects"), 1, "ROLE_MISSING"),
        (("list", "--status", "sleepy"), 1, "FILTER_INVALID"),
        (("watch", "--resume-token", "x"), 1, "RESUME_TOKEN_INVALID"),
        (("operation", "show", "x"), 1, "RESOURCE_NAME_INVALID"),
        ((*BOOT, " "), 1, "FIELD_INVALID"),
        ((*BOOT, "x" * 256), 1, "FIELD_INVALID"),
        ((*BOOT, "--host", "host-1", "web"), 1, "ROLE_MISSING"),
        (("boot", "--image", "large", "--flavor", "m1.tiny", "web"), 1, None),
        (("--token", "nobody's", "list"), 3, "TOKEN_UNKNOWN"),
    ],
)
async def test_refusals(
    real: Real, arguments: tuple[str, ...], code: int, reason: str | None
) -> None:
    ended, out, err = await real.nova("--format", "json", *arguments)
    error = json.loads(err)["error"]
    assert (ended, out) == (code, "")
    assert error["reason"] == (reason or error["reason"])
    assert error["message"].endswith(".")
    assert not real.compute.instances.ops
