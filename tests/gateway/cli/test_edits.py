"""What changes a server at once, and deletes that are taken back, against the gateway itself."""

from typing import Any

import pytest

from actors.model.edits import UpdateInstance
from actors.model.instance import VmState
from actors.model.operation import Action
from tests.gateway.cli.real import Real
from tests.gateway.cloud import ADMIN

BOOT = ("boot", "--image", "cirros", "--flavor", "m1.tiny")


async def shown(real: Real, server: str) -> dict[str, Any]:
    found: dict[str, Any] = await real.json("show", server)
    return found


async def says(real: Real, *arguments: str, token: str = "") -> str:
    """What a command that goes well tells a person."""
    code, out, err = await (real.nova(*arguments, token=token) if token else real.nova(*arguments))
    assert (code, err) == (0, "")
    return out.strip()


async def fails(real: Real, *arguments: str) -> str:
    code, _, err = await real.nova(*arguments)
    assert code in (1, 2)
    return err


async def test_rename_and_update(real: Real) -> None:
    await real.json(*BOOT, "web")
    assert await says(real, "rename", "web", "web1") == "Server web is called web1 now."
    await says(real, "update", "--description", "the first", "--hostname", "w1", "web1")
    found = await shown(real, "web1")
    assert (found["name"], found["description"], found["hostname"]) == ("web1", "the first", "w1")
    await says(real, "update", "--description", "", "web1")
    assert (await shown(real, "web1"))["description"] is None
    assert "FIELD_INVALID" in await fails(real, "update", "--hostname", "a_b", "web1")
    assert "nothing to change" in await fails(real, "update", "web1")
    assert "SERVER_NOT_FOUND" in await fails(real, "rename", "web", "web2")


async def test_meta(real: Real) -> None:
    await real.json(*BOOT, "--meta", "a=1", "web")
    await says(real, "meta", "web", "set", "b=2", "c=x=y")
    assert (await shown(real, "web"))["metadata"] == {"a": "1", "b": "2", "c": "x=y"}
    await says(real, "meta", "web", "delete", "a", "b=2")
    assert (await real.json("meta", "web", "delete", "c"))["metadata"] == {}
    assert "has no metadata 'c'" in await fails(real, "meta", "web", "delete", "c")
    assert "'k' is not KEY=VALUE" in await fails(real, "meta", "web", "set", "k")
    assert "Invalid value" in await fails(real, "meta", "web", "add", "k=v")


async def test_tags(real: Real) -> None:
    await real.json(*BOOT, "web")
    assert await says(real, "server-tag-add", "web", "web", "blue", "web") == (
        "Tags of server web: blue, web."
    )
    assert await real.json("server-tag-list", "web") == ["blue", "web"]
    assert "| blue |" in await says(real, "server-tag-list", "web")
    assert [s["name"] for s in await real.json("list", "--tags", "web,blue")] == ["web"]
    assert await real.json("list", "--tags", "green") == []
    await says(real, "server-tag-delete", "web", "blue")
    assert "has no tag 'blue'" in await fails(real, "server-tag-delete", "web", "blue")
    assert await real.json("server-tag-set", "web", "green") == ["green"]
    assert await says(real, "server-tag-delete-all", "web") == "Tags of server web: none."
    assert "FIELD_INVALID" in await fails(real, "server-tag-add", "web", "a,b")


@pytest.mark.parametrize("times", [1, 4, 5])
async def test_what_others_change_meanwhile_is_kept(real: Real, times: int) -> None:
    """Five tries; who is outrun five times is told so."""
    made = await real.json(*BOOT, "web")
    instances = real.compute.instances
    edit, number = instances.edit, 0

    async def outrun(wanted: UpdateInstance) -> Any:
        nonlocal number
        number += 1
        if number <= times:
            record = instances.records[made["instance"]["id"]]
            instances.put(record.evolve(metadata={**record.metadata, f"other{number}": "x"}))
        return await edit(wanted)

    instances.edit = outrun  # type: ignore[method-assign, assignment]
    code, _, err = await real.nova("meta", "web", "set", "mine=1")
    kept = instances.records[made["instance"]["id"]].metadata
    assert {f"other{n}" for n in range(1, times + 1)} <= set(kept)
    assert ("mine" in kept) == (times < 5) == (code == 0)
    assert ("ETAG_MISMATCH" in err) == (times == 5)


async def test_lock(real: Real) -> None:
    await real.json(*BOOT, "web")
    assert await says(real, "lock", "--reason", "audit", "web") == "Server web is locked."
    err = await fails(real, "delete", "web")
    assert "INSTANCE_LOCKED" in err
    assert "audit" in err
    found = await shown(real, "web")
    assert (found["locked"], found["locked_reason"]) == (True, "audit")
    assert "| locked_reason                        | audit" in await says(real, "show", "web")
    assert [s["name"] for s in await real.json("list", "--locked")] == ["web"]
    assert await real.json("list", "--not-locked") == []
    assert await says(real, "unlock", "web") == "Server web is unlocked."
    await says(real, "delete", "web")


async def test_reset_state(real: Real) -> None:
    for name in ("a", "b"):
        await real.json(*BOOT, name)
    a, b = [server["id"] for server in reversed(await real.json("list"))]
    assert await says(real, "reset-state", a, b, token=ADMIN) == (
        f"Reset state for server {a} succeeded; new state is error\n"
        f"Reset state for server {b} succeeded; new state is error"
    )
    assert (await shown(real, "a"))["status"] == "ERROR"
    (after,) = await real.json("reset-state", "--active", a, token=ADMIN)
    assert after["status"] == "ACTIVE"
    assert "ROLE_MISSING" in await fails(real, "reset-state", "a")
    code, out, err = await real.nova("lock", "none", "a")
    assert (code, out) == (1, "Server a is locked.\n")
    assert "SERVER_NOT_FOUND" in err


async def test_restore_and_force_delete_by_name(real: Real) -> None:
    real.compute.instances.keeps = True
    await real.json(*BOOT, "web")
    assert "Request to delete server web" in await says(real, "delete", "web")
    assert await real.json("list") == []
    assert [s["name"] for s in await real.json("list", "--status", "soft_deleted")] == ["web"]
    assert "SERVER_NOT_FOUND" in await fails(real, "show", "web")
    code, out, _ = await real.nova("restore", "--poll", "web")
    assert code == 0
    assert out.splitlines()[-1].startswith("Server web is ACTIVE")

    err = await fails(real, "restore", "web")
    assert "SERVER_NOT_FOUND" in err  # none that was deleted has this name
    (made,) = await real.json("list")
    assert "INVALID_STATE" in await fails(real, "restore", made["id"])

    code, out, _ = await real.nova("delete", "--poll", "web")
    assert code == 0
    assert out.splitlines()[-1] == "Server web has been deleted, and can be restored for a while."
    # A living one of the same name goes first.
    await real.json(*BOOT, "web")
    for left in (1, 0):
        await says(real, "force-delete", "web")
        assert len(await real.json("list", "--status", "SOFT_DELETED")) == left
        assert await real.json("list") == []
    assert "SERVER_NOT_FOUND" in await fails(real, "force-delete", "web")


async def test_two_deleted_of_one_name_are_told_apart(real: Real) -> None:
    real.compute.instances.keeps = True
    for _ in range(2):
        await real.json(*BOOT, "web")
        await says(real, "delete", "web")
    assert "AMBIGUOUS_NAME" in await fails(real, "restore", "web")
    assert "AMBIGUOUS_NAME" in await fails(real, "force-delete", "web")
    one = (await real.json("list", "--status", "SOFT_DELETED"))[0]
    await says(real, "restore", one["id"])
    record = real.compute.instances.records[one["id"]]
    assert record.vm_state is VmState.ACTIVE
    actions = [op.action for op in real.compute.instances.ops.values() if op.instance == one["id"]]
    assert actions == [Action.CREATE, Action.SOFT_DELETE, Action.RESTORE]
