"""The command against the gateway itself, over a cloud in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import progress
from gateway.cli.main import run
from gateway.rpc.server import Server, TlsFiles
from tests.fakes.memory_compute import MemoryCompute
from tests.gateway.cloud import MEMBER, SECRET, make_compute


@dataclass(frozen=True)
class Real:
    """A gateway, what is behind it, and the command."""

    compute: MemoryCompute
    server: Server
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


@pytest.fixture
async def real(
    tls: tuple[TlsFiles, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Real]:
    files, ca = tls
    compute = make_compute()
    server = Server(compute, SECRET, "127.0.0.1:0", files)
    port = await server.start()
    (tmp_path / "ca.pem").write_bytes(ca)
    monkeypatch.setenv("NOVARAY_ENDPOINT", f"127.0.0.1:{port}")
    monkeypatch.setenv("NOVARAY_CA", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NOVARAY_PROJECT", "demo")
    # A test that fails must not wait for its gateway to come back.
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 5.0)
    yield Real(compute, server, monkeypatch, capsys)
    await server.stop(0)
