"""``nova boot``: what it reads from this machine for the guest."""

import json
from pathlib import Path

import pytest

from tests.gateway.cli.cloud import UEC, Cloud
from tests.gateway.cli.conftest import Nova

BOOT = ("boot", "--image", UEC, "--flavor", "m1.tiny")


def test_all_that_the_guest_is_told_is_sent(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    script, motd = tmp_path / "test.file", tmp_path / "motd=1"
    script.write_bytes(b"#!/bin/sh\n\xff\n")
    motd.write_bytes(b"hello\n")
    out = nova(
        *BOOT, "--user-data", str(script), "--file", f"/etc/motd={motd}", "--file",
        f"/etc/issue={motd}", "--config-drive", "true", "--admin-pass", "s3same",
        "--hostname", "db", "injectTest",
    ).ok  # fmt: skip
    (request,) = cloud.requests("CreateInstance")
    assert request.user_data == b"#!/bin/sh\n\xff\n"
    assert dict(request.files) == {"/etc/motd": b"hello\n", "/etc/issue": b"hello\n"}
    assert request.instance.config_drive
    assert request.instance.hostname == "db"
    assert request.admin_password == "s3same"
    assert "| adminPass " in out
    assert "s3same" in out
    assert "adminPass" not in nova("show", "injectTest").ok


def test_the_password_is_told_once(cloud: Cloud, nova: Nova) -> None:
    said = json.loads(nova("--format", "json", *BOOT, "web").ok)
    assert said["admin_password"] == "u7wKfV3m77Bv"
    assert "u7wKfV3m77Bv" not in nova("--format", "json", "show", "web").ok


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--user-data", "/nonexistent/file", "cannot be read: No such file or directory"),
        ("--user-data", "/", "cannot be read: Is a directory"),
        ("--file", "/etc/motd", "is not DST=SRC"),
        ("--file", "=motd", "is not DST=SRC"),
        ("--file", "/etc/motd=/nonexistent", "cannot be read: No such file or directory"),
        ("--config-drive", "perhaps", "'perhaps' is not one of 'true', 'false'"),
    ],
)
def test_what_cannot_be_sent_is_refused_here(
    cloud: Cloud, nova: Nova, option: str, value: str, said: str
) -> None:
    result = nova(*BOOT, option, value, "web")
    assert result.code == 2
    assert said in " ".join(result.err.replace("│", " ").split())
    assert not cloud.requests("CreateInstance")
