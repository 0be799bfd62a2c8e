"""An image up and down through everything: the command, TLS, the gateway, the actor, the disk."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actors.image import ImageActor
from gateway.app.images import PIECE
from gateway.cli import transfer
from gateway.cli.main import run
from gateway.rpc.server import Server
from tests.fakes.clock import FakeClock
from tests.fakes.image_files import MIB, image_actor, qcow2
from tests.fakes.memory_compute import MemoryCompute
from tests.fakes.memory_store import MemoryStore
from tests.gateway import certificates
from tests.gateway.cloud import MEMBER, SECRET, make_compute

CONTENT = qcow2(size=40 * MIB).ljust(11 * MIB, b"\0") + os.urandom(3 * MIB)


class Cut:
    """A line to the gateway that breaks after so many bytes, as often as it is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.after: list[int] = []

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        there, to = await asyncio.open_connection("127.0.0.1", self._port)
        limit = self.after.pop(0) if self.after else None
        ways = (_pass(reader, to, limit), _pass(there, writer, None))
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in tasks:
                way.cancel()
            for end in (to, writer):
                end.transport.abort()
            self._talks.discard(task)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
) -> None:
    passed = 0
    while data := await reader.read(65536):
        passed += len(data)
        if limit is not None and passed > limit:
            return
        writer.write(data)
        await writer.drain()


@dataclass
class Stack:
    """What a test takes hold of."""

    store: MemoryStore
    folder: Path
    compute: MemoryCompute
    line: Cut
    capture: pytest.CaptureFixture[str]

    def restart(self) -> None:
        """The actor dies, and comes back with what is on disk and in the records."""
        actor = image_actor(self.store, FakeClock(), str(self.folder))
        self.compute.images = actor  # type: ignore[assignment]
        self.compute.catalog.images = actor.images  # type: ignore[method-assign]

    async def nova(self, *arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, list(arguments))
        out, err = self.capture.readouterr()
        return int(code), out, err

    async def json(self, *arguments: str) -> Any:
        code, out, err = await self.nova("--format", "json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)


@pytest.fixture
async def stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Stack]:
    files, ca = certificates.make(tmp_path)
    made = Stack(MemoryStore(), tmp_path / "images", make_compute(), Cut(0), capsys)
    made.restart()
    server = Server(made.compute, SECRET, "127.0.0.1:0", files)
    # What the use cases were given at the start is not the actor that comes back later.
    server.application.images._images = Latest(made)
    made.line = Cut(await server.start())
    (tmp_path / "ca.pem").write_bytes(ca)
    monkeypatch.setenv("NOVARAY_ENDPOINT", f"127.0.0.1:{await made.line.open()}")
    monkeypatch.setenv("NOVARAY_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NOVARAY_PROJECT", "demo")
    monkeypatch.setenv("NOVARAY_TOKEN", MEMBER)
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 20.0)
    yield made
    await made.line.close()
    await server.stop(0)


class Latest:
    """The actor that has the name now, as a handle finds it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack.compute.images, name)


async def test_up_and_down_over_a_line_that_breaks(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "disk.qcow2"
    file.write_bytes(CONTENT)
    # The first call is the list of what was begun; the second line is cut within the upload.
    stack.line.after = [6 * MIB]
    write: Any = ImageActor.write
    offsets: list[int] = []

    async def noted(self: ImageActor, image: Any, offset: int, data: bytes) -> int:
        offsets.append(offset)
        if len(offsets) == 3:
            stack.restart()
        written: int = await write(self, image, offset, data)
        return written

    monkeypatch.setattr(ImageActor, "write", noted)
    made = await stack.json("image-upload", "--file", str(file), "--property", "a=b", "mine")
    assert (made["status"], made["size_bytes"]) == ("ACTIVE", len(CONTENT))
    assert (made["disk_format"], made["virtual_size_bytes"]) == ("qcow2", 40 * MIB)
    assert made["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    # Cut and restarted, but what had come was not sent again.
    assert offsets[0] == 0
    assert PIECE in offsets
    assert (stack.folder / made["sha256"]).read_bytes() == CONTENT
    assert {path.name for path in stack.folder.iterdir()} == {made["sha256"]}

    stack.line.after = []
    back = tmp_path / "back"
    code, _, err = await stack.nova("image-download", "--file", str(back), "mine")
    assert (code, err) == (0, "")
    assert back.read_bytes() == CONTENT
    assert (await stack.json("image-show", "mine"))["properties"] == {"a": "b"}
    assert (await stack.nova("image-delete", "mine"))[0] == 0
    assert list(stack.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (qcow2(backing=512), (), "backing file"),
        (qcow2(features=4), (), "another file"),
        (qcow2(), ("--disk-format", "raw"), "is a qcow2 image, not a raw one"),
        (b"KDMV" + bytes(1000), (), "is a vmdk image"),
        (bytes(1000), ("--disk-format", "aki"), "is not a Linux kernel"),
        (b"", (), "size_bytes"),
    ],
)
async def test_what_is_not_what_it_says_leaves_nothing(
    stack: Stack, tmp_path: Path, content: bytes, options: tuple[str, ...], why: str
) -> None:
    file = tmp_path / "disk"
    file.write_bytes(content)
    code, out, err = await stack.nova("image-upload", "--file", str(file), *options, "bad")
    assert (code, out) == (1, "")
    assert why in err
    assert await stack.json("image-list") == []
    assert not stack.folder.exists() or list(stack.folder.iterdir()) == []
