"""Connections that do not come about: exit code 3, one sentence, what to do."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from gateway.cli.failures import Exit
from tests.gateway.cli.certificates import make_certificates
from tests.gateway.cli.cloud import Cloud
from tests.gateway.cli.conftest import Nova


def rewrite(credentials: Path, old: str, new: str) -> None:
    text = credentials.read_text()
    assert old in text
    credentials.write_text(text.replace(old, new))


def test_no_gateway(credentials: Path, nova: Nova, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    rewrite(credentials, str(port), str(free))
    ran = nova("list")
    assert (ran.code, ran.out) == (Exit.NO_CONNECTION, "")
    assert ran.err == (
        f"ERROR (NO_CONNECTION): No connection to the gateway at 127.0.0.1:{free} "
        "(Connection refused).\n"
        "Hint: Is the gateway up? Whoever runs it can start it with: nova-manage up.\n"
    )


def test_the_option_beats_the_file(nova: Nova) -> None:
    ran = nova("--endpoint", "127.0.0.1:1", "--format", "json", "list")
    assert ran.code == Exit.NO_CONNECTION
    error = json.loads(ran.err)["error"]
    assert error["data"]["endpoint"] == "127.0.0.1:1"
    assert error["reason"] == "NO_CONNECTION"


def test_a_wrong_token(nova: Nova, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOVARAY_TOKEN", "wrong")
    ran = nova("list")
    assert ran.code == Exit.NO_CONNECTION
    assert ran.err.startswith("ERROR (TOKEN_UNKNOWN): The bearer token is not valid.\nHint: ")
    assert "wrong" not in ran.err


def test_another_ca(nova: Nova, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    ran = nova("--ca", str(other.ca), "list")
    assert ran.code == Exit.NO_CONNECTION
    assert "ERROR (CERTIFICATE_REFUSED): " in ran.err
    assert "--ca" in ran.err


def test_an_address_that_the_certificate_does_not_name(nova: Nova, port: int) -> None:
    ran = nova("--endpoint", f"127.0.0.2:{port}", "list")
    assert ran.code == Exit.NO_CONNECTION
    assert "ERROR (CERTIFICATE_REFUSED): 127.0.0.2" in ran.err


def test_a_server_without_tls(nova: Nova) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    bound = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ran = nova("--endpoint", f"127.0.0.1:{bound}", "list")
    server.stop(0).wait()
    assert ran.code == Exit.NO_CONNECTION
    assert "ERROR (" in ran.err


def test_a_name_that_the_certificate_has(nova: Nova, port: int) -> None:
    assert nova("--endpoint", f"localhost:{port}", "list").code == 0


def test_exposed_credentials(credentials: Path, nova: Nova) -> None:
    credentials.chmod(0o644)
    ran = nova("list")
    assert ran.code == Exit.NO_CONNECTION
    assert f"Hint: Run: chmod 600 {credentials}\n" in ran.err


def test_no_credentials(credentials: Path, nova: Nova) -> None:
    credentials.unlink()
    assert nova("list").code == Exit.NO_CONNECTION


def test_a_deadline(cloud: Cloud, nova: Nova) -> None:
    cloud.delay = 30.0
    ran = nova("--timeout", "0.2", "list")
    assert ran.code == Exit.FAILED
    assert "ERROR (DEADLINE_EXCEEDED)" in ran.err
    assert "--timeout" in ran.err


def test_a_gateway_that_restarts_is_met(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["ListInstances"] = [grpc.StatusCode.UNAVAILABLE] * 3
    assert nova("list").code == 0
    assert len(cloud.requests("ListInstances")) == 4


def test_what_is_refused_is_not_repeated(cloud: Cloud, nova: Nova) -> None:
    cloud.refuse["ListInstances"] = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert nova("list").code == 1
    assert len(cloud.requests("ListInstances")) == 1
