"""Which public keys are taken, and what is shown of them."""

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.model.errors import Invalid
from actors.model.ids import RequestId, UserId
from actors.model.keypair import ImportKeypair, read_public_key


def line(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def packed(*parts: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(p)) + p for p in parts)).decode()


#: The same for every run: tests are named by it.
POINT = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
ED25519 = f"ssh-ed25519 {packed(b'ssh-ed25519', POINT)}"
SECURITY_KEY = packed(b"sk-ssh-ed25519@openssh.com", POINT, b"ssh:")
#: 512 bits: cryptography makes none so short.
SHORT = f"ssh-rsa {packed(b'ssh-rsa', bytes((1, 0, 1)), bytes((0,)) + bytes((0xC5,)) * 64)}"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_the_fingerprint_is_that_of_ssh_keygen(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "id"
    make = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ann@laptop (old)", "-f", str(file)]
    subprocess.run(make, check=True)
    public = file.with_suffix(".pub")
    said = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", str(public)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    key = read_public_key(public.read_text())
    assert f"MD5:{key.fingerprint}" in said
    assert key.line == public.read_text().strip()
    assert key.comment == "ann@laptop (old)"


@pytest.mark.parametrize(
    "text",
    [
        line(rsa.generate_private_key(65537, 1024).public_key()),
        line(ec.generate_private_key(ec.SECP256R1()).public_key()),
        line(ec.generate_private_key(ec.SECP521R1()).public_key()),
        f"sk-ssh-ed25519@openssh.com {SECURITY_KEY} token",
        f"  {ED25519}   a comment \r\n",
    ],
    ids=("rsa", "p256", "p521", "sk", "blanks"),
)
def test_keys_that_are_taken(text: str) -> None:
    key = read_public_key(text)
    assert read_public_key(key.line) == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "begin with its type"),
        ("ssh-ed25519", "not a whole key"),
        (ED25519[:-8], "not a whole key"),
        (f"ssh-rsa {ED25519.split()[1]}", "not a whole key"),
        (f"ssh-ed25519 {packed(b'ssh-ed25519', POINT, b'more')}", "not a whole key"),
        ("ssh-ed25519 AAAA!!!!", "not a whole key"),
        (f'command="rm -rf /" {ED25519}', "begin with its type"),
        (f"{ED25519}\n{ED25519}", "one line"),
        (f"{ED25519} bell\a", "one line"),
        (f"{ED25519} {'x' * 17_000}", "more than 16384"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n", r"the \.pub file"),
        (f"ssh-dss {packed(b'ssh-dss', POINT)}", "begin with its type"),
        (SHORT, "512 bits; sshd wants 1024"),
        (f"ssh-ed25519-cert-v01@openssh.com {ED25519.split()[1]}", "begin with its type"),
    ],
)
def test_keys_that_are_not(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem) as refused:
        read_public_key(text)
    assert refused.value.reason == "PUBLIC_KEY_INVALID"
    assert list(refused.value.metadata) == ["keypair.public_key"]
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("name", ["a", "ann@example.com", "my key-1_2", "x" * 255])
def test_names(name: str) -> None:
    assert imported(name).name == name


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "é", "a\n", "x" * 256, "<b>"])
def test_names_that_are_not_taken(name: str) -> None:
    with pytest.raises(ValueError, match="must"):
        imported(name)


def imported(name: str) -> ImportKeypair:
    return ImportKeypair(
        user=UserId("ann"), name=name, request_id=RequestId("r"), public_key=ED25519
    )
