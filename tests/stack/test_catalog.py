"""Flavors and key pairs through everything: the command, the gateway, the conductor, SQLite."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actors.conductor import ConductorActor
from actors.model.flavor import DEFAULT_FLAVORS
from gateway.cli.main import run
from gateway.rpc.server import Server
from tests.fakes.memory_compute import MemoryCompute
from tests.gateway import certificates
from tests.gateway.cloud import ADMIN, DISK, MEMBER, SECRET, make_compute

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"


class Conductor:
    """The actor that has the name now, as a handle finds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._actor: Any = ConductorActor(str(path), 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actor, name)

    async def restart(self) -> None:
        """It goes away, and another takes over what is on disk."""
        await self._actor.close()
        self._actor = ConductorActor(str(self._path), 1)


@dataclass
class Stack:
    """What a test takes hold of."""

    conductor: Conductor
    compute: MemoryCompute
    environ: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    async def nova(self, *arguments: str, token: str = MEMBER) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self.environ.setenv("NOVARAY_TOKEN", token)
        code = await asyncio.to_thread(run, list(arguments))
        out, err = self.capture.readouterr()
        return int(code), out, err

    async def json(self, *arguments: str, token: str = MEMBER) -> Any:
        """What a command that goes well says to a program."""
        code, out, err = await self.nova("--format", "json", *arguments, token=token)
        assert (code, err) == (0, "")
        return json.loads(out)

    async def ok(self, *arguments: str, token: str = ADMIN) -> None:
        """A command that goes well and has nothing to say."""
        assert await self.nova(*arguments, token=token) == (0, "", "")


@pytest.fixture
async def stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Stack]:
    files, ca = certificates.make(tmp_path)
    interval = sys.getswitchinterval()
    conductor = Conductor(tmp_path / "novaray.sqlite")
    await conductor.found_flavors(DEFAULT_FLAVORS)
    compute = make_compute()
    compute.keypairs = conductor  # type: ignore[assignment]
    for name in ("flavors", "create_flavor", "change_flavor", "delete_flavor"):
        monkeypatch.setattr(compute.catalog, name, _late(conductor, name))
    server = Server(compute, SECRET, "127.0.0.1:0", files)
    (tmp_path / "ca.pem").write_bytes(ca)
    monkeypatch.setenv("NOVARAY_ENDPOINT", f"127.0.0.1:{await server.start()}")
    monkeypatch.setenv("NOVARAY_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NOVARAY_PROJECT", "demo")
    yield Stack(conductor, compute, monkeypatch, capsys)
    await server.stop(0)
    await conductor.close()
    # The conductor sets its process's.
    sys.setswitchinterval(interval)


def _late(conductor: Conductor, name: str) -> Any:
    """The method of whichever actor is there when it is called."""

    async def call(*arguments: Any) -> Any:
        return await getattr(conductor, name)(*arguments)

    return call


async def test_a_flavor_for_one_project(stack: Stack) -> None:
    options = ("--ephemeral", "1", "--swap", "64", "--is-public", "false")
    (made,) = await stack.json(
        "flavor-create", *options, "web", "auto", "128", "1", "2", token=ADMIN
    )
    await stack.ok("flavor-key", "web", "set", "quota:cpu_shares=512", "note=a b")
    code, _, err = await stack.nova("flavor-key", "web", "set", "quota:cpu_share=1", token=ADMIN)
    assert code == 1
    assert "quota:cpu_shares" in err
    assert await stack.nova("flavor-show", "web") != (0, "", "")
    boot = ("boot", "--image", DISK, "--flavor", made["id"], "vm")
    assert (await stack.nova(*boot))[0] == 1

    await stack.conductor.restart()
    await stack.json("flavor-access-add", "web", "demo", token=ADMIN)
    shown = await stack.json("flavor-show", "web")
    assert shown["extra_specs"] == {"note": "a b", "quota:cpu_shares": "512"}
    assert (shown["ephemeral_gb"], shown["swap_mb"], shown["public"]) == (1, 64, False)
    await stack.json(*boot)
    await stack.ok("flavor-delete", "web")
    (record,) = stack.compute.instances.records.values()
    assert record.flavor.extra_specs == shown["extra_specs"]
    assert "web" not in {flavor["name"] for flavor in await stack.json("flavor-list", token=ADMIN)}


async def test_a_key_pair_that_a_server_is_made_with(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "id.pub"
    file.write_text(f"{KEY}\n")
    await stack.ok("keypair-add", "--pub-key", str(file), "my laptop", token=MEMBER)
    code, _, err = await stack.nova("keypair-add", "--pub-key", str(file), "my laptop")
    assert (code, "KEYPAIR_EXISTS" in err) == (1, True)
    await stack.conductor.restart()
    assert (await stack.json("keypair-show", "my laptop"))["public_key"] == KEY
    boot = ("boot", "--image", DISK, "--flavor", "m1.tiny", "--key-name")
    await stack.json(*boot, "my laptop", "vm")
    await stack.ok("keypair-delete", "my laptop", token=MEMBER)
    assert await stack.json("keypair-list") == []
    code, _, err = await stack.nova(*boot, "my laptop", "another")
    assert (code, "KEYPAIR_NOT_FOUND" in err) == (1, True)
    # The copy outlives the key pair.
    (command,) = stack.compute.instances.commands
    assert command.guest_data is not None
    assert command.guest_data.public_key == KEY


async def test_a_private_key_is_told_apart(stack: Stack, tmp_path: Path) -> None:
    private = tmp_path / "id"
    code, said, _ = await stack.nova("keypair-add", "--save", str(private), "made")
    assert (code, private.exists()) == (0, True)
    assert "PRIVATE" not in said
    code, _, err = await stack.nova("keypair-add", "--pub-key", str(private), "wrong")
    assert (code, "PUBLIC_KEY_INVALID" in err, ".pub file" in err) == (1, True, True)
    assert not _contains(tmp_path, b"PRIVATE")


def _contains(folder: Path, text: bytes) -> bool:
    """Whether the database, or what SQLite keeps beside it, has the text."""
    return any(text in path.read_bytes() for path in folder.glob("novaray.sqlite*"))
