"""Key pairs: what is sent, what is printed, and where a private key goes."""

import io
import json
import subprocess
import uuid
from pathlib import Path

import grpc
import pytest

from tests.gateway.cli.cloud import Cloud, refusal
from tests.gateway.cli.conftest import Nova

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann"
TAKEN = refusal(grpc.StatusCode.ALREADY_EXISTS, "KEYPAIR_EXISTS", "There is one.")


def public_half(private: Path) -> str:
    """What ssh-keygen makes of a private key."""
    run = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(private)], check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


def test_a_public_key_is_imported(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    file = tmp_path / "id.pub"
    file.write_text(f"{KEY}\n")
    assert nova("keypair-add", "--pub-key", str(file), "my key").ok == ""
    (request,) = cloud.requests("CreateKeypair")
    assert (request.parent, request.keypair_id) == ("users/me", "my key")
    assert request.keypair.public_key.strip() == KEY
    assert str(uuid.UUID(request.request_id)) == request.request_id
    said = json.loads(nova("-f", "json", "keypair-add", "--pub-key", str(file), "a").ok)
    assert said["name"] == "a"
    assert "private_key" not in said


def test_a_public_key_comes_from_standard_input(
    cloud: Cloud, nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY))
    assert nova("keypair-add", "--pub-key", "-", "--user", "ann", "a").code == 0
    (request,) = cloud.requests("CreateKeypair")
    assert (request.parent, request.keypair.public_key) == ("users/ann", KEY)


def test_a_key_is_made_here(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    private = tmp_path / "key"
    private.touch(0o600)
    private.write_text(nova("keypair-add", "new").ok)
    (request,) = cloud.requests("CreateKeypair")
    assert request.keypair.public_key == f"{public_half(private)} new"
    assert b"PRIVATE" not in request.SerializeToString()
    said = json.loads(nova("-f", "json", "keypair-add", "other").ok)
    assert "OPENSSH PRIVATE KEY" in said["private_key"]


def test_a_private_key_is_saved_for_its_owner_alone(
    cloud: Cloud, nova: Nova, tmp_path: Path
) -> None:
    private = tmp_path / "key"
    assert nova("keypair-add", "--save", str(private), "new").ok == (
        f"The private key is in {private}.\n"
    )
    assert private.stat().st_mode & 0o777 == 0o600
    (request,) = cloud.requests("CreateKeypair")
    assert request.keypair.public_key == f"{public_half(private)} new"
    # Never a second time.
    content = private.read_bytes()
    again = nova("keypair-add", "--save", str(private), "other")
    assert (again.code, private.read_bytes()) == (1, content)
    assert "FILE_NOT_WRITTEN" in again.err
    assert len(cloud.requests("CreateKeypair")) == 1


def test_a_key_that_is_refused_leaves_no_file(cloud: Cloud, nova: Nova, tmp_path: Path) -> None:
    private = tmp_path / "key"
    cloud.refuse["CreateKeypair"].append(TAKEN)
    assert nova("keypair-add", "--save", str(private), "new").code == 1
    assert not private.exists()
    # Nobody knows whether the cloud has it now: the key is kept.
    cloud.refuse["CreateKeypair"] += [grpc.StatusCode.DEADLINE_EXCEEDED]
    assert nova("keypair-add", "--save", str(private), "new").code
    assert private.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_public_key_that_cannot_be_read(
    cloud: Cloud, nova: Nova, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "id.pub"
    if content is not None:
        file.write_bytes(content)
    ran = nova("keypair-add", "--pub-key", str(file), "a")
    assert ran.code == 1
    assert "FILE_UNREADABLE" in ran.err
    assert not cloud.requests("CreateKeypair")


def test_one_source_of_a_key(cloud: Cloud, nova: Nova) -> None:
    assert nova("keypair-add", "--pub-key", "a", "--save", "b", "c").code == 2
    assert not cloud.asked


def test_delete(cloud: Cloud, nova: Nova) -> None:
    assert nova("keypair-delete", "my key").ok == ""
    (request,) = cloud.requests("DeleteKeypair")
    assert request.name == "users/me/keypairs/my key"
