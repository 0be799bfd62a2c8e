"""What ``nova rebuild`` and ``nova rescue`` ask of the server."""

import json
from pathlib import Path

import pytest

from gateway.cli.failures import Exit
from tests.gateway.cli.cloud import IMAGES, UEC, Cloud
from tests.gateway.cli.conftest import Nova

IMAGE = f"images/{IMAGES[0][0]}"


def test_a_rebuild_says_what_it_is_told(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    assert nova(
        *("rebuild", "--name", "web2", "--meta", "a=b", "--key-name", "laptop"),
        *("--user-data", str(script), "--file", f"/etc/motd={script}"),
        *("--rebuild-password", "s3same", "--grace", "5", "MyFirstInstance", UEC),
    ).ok
    request = cloud.requests("RebuildInstance")[0]
    assert (request.image, request.display_name, dict(request.metadata)) == (
        IMAGE,
        "web2",
        {"a": "b"},
    )
    assert (request.key_name, request.user_data) == ("laptop", b"#!/bin/sh\n")
    assert dict(request.files) == {"/etc/motd": b"#!/bin/sh\n"}
    assert (request.admin_password, request.grace_seconds) == ("s3same", 5)


def test_a_rebuild_keeps_key_and_user_data_unless_told(cloud: Cloud, nova: Nova) -> None:
    said = json.loads(nova("rebuild", "MyFirstInstance", UEC, "--format", "json").ok)
    assert said["admin_password"] == "u7wKfV3m77Bv"
    assert nova("rebuild", "--key-unset", "--user-data-unset", "MyFirstInstance", UEC).ok
    kept, unset = cloud.requests("RebuildInstance")
    assert not kept.HasField("key_name")
    assert not kept.HasField("user_data")
    assert not kept.HasField("grace_seconds")
    assert unset.HasField("key_name")
    assert unset.HasField("user_data")
    assert (unset.key_name, unset.user_data) == ("", b"")


@pytest.mark.parametrize(
    "options",
    [("--key-name", "laptop", "--key-unset"), ("--user-data", "/dev/null", "--user-data-unset")],
)
def test_a_thing_is_not_set_and_unset(cloud: Cloud, nova: Nova, options: tuple[str, ...]) -> None:
    done = nova("rebuild", *options, "MyFirstInstance", UEC)
    assert done.code == Exit.USAGE
    assert "exclude one another" in done.err
    assert cloud.requests("RebuildInstance") == []


def test_a_rescue_takes_an_image_and_a_password(cloud: Cloud, nova: Nova) -> None:
    out = nova("rescue", "--image", UEC, "--password", "s3same", "MyFirstInstance").ok
    assert "s3same" in out
    assert nova("rescue", "MyFirstInstance").ok
    named, own = cloud.requests("RescueInstance")
    assert (named.image, named.admin_password) == (IMAGE, "s3same")
    assert (own.image, own.admin_password) == ("", "")
