"""Key pairs: the public halves of users' SSH keys (Nova: ``/os-keypairs``).

Only the public half is ever here: since microversion 2.92 Nova makes no keys either, and a private
key that was never sent cannot be lost.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import md5
from typing import Annotated, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import AfterValidator, Field

from actors.model.base import Instant, Record, StoredRecord
from actors.model.errors import Invalid
from actors.model.ids import RequestId, UserId

#: Key pairs a user may have (Nova: quota ``key_pairs``).
KEYPAIR_LIMIT: Final = 100
#: The longest public key, characters. An RSA key of 16,384 bits has 2,800.
PUBLIC_KEY_LIMIT: Final = 16 * 1024
#: OpenSSH refuses shorter ones (``RequiredRSASize`` of sshd_config). Nova has no limit here.
RSA_BITS_LEAST: Final = 1024

#: What OpenSSH's sshd still takes. ``ssh-dss`` is gone from it, and a certificate is no key.
KEY_TYPES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)

#: Microversion 2.92 of Nova: also ``@`` and ``.``, which names like alice@example.com need.
_NAME: Final = re.compile(r"[A-Za-z0-9@._\- ]{1,255}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must have 1 to 255 letters, digits, spaces or any of @ . _ -")
    if value != value.strip():
        raise ValueError("must not begin or end with white space")
    return value


KeypairName = Annotated[str, AfterValidator(_name)]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One line of an ``authorized_keys`` file (sshd(8)), without options."""

    type: str
    #: The key in the format of RFC 4253, section 6.6.
    blob: bytes
    #: Anything printable; usually whose key it is.
    comment: str

    @property
    def line(self) -> str:
        """The line, with one space between its parts."""
        encoded = base64.b64encode(self.blob).decode()
        return " ".join(part for part in (self.type, encoded, self.comment) if part)

    @property
    def fingerprint(self) -> str:
        """MD5 of the blob, in pairs with colons (Nova: ``crypto.generate_fingerprint``).

        Also ``ssh-keygen -l -E md5``. It tells keys apart for people and protects nothing.
        """
        return md5(self.blob, usedforsecurity=False).digest().hex(":")


class ImportKeypair(Record):
    """Make a public key known under a name."""

    user: UserId
    name: KeypairName
    request_id: RequestId
    public_key: str


class Keypair(StoredRecord):
    """A public key and the name its user gave it. Never changes."""

    user: UserId
    name: str
    public_key: str
    fingerprint: str
    #: Of the import: the same one again is answered with this record.
    request_id: RequestId
    created: Instant
    #: Nova's other type, ``x509``, is for Windows guests.
    type: str = "ssh"
    generation: int = Field(default=1, ge=1)


def read_public_key(text: str) -> PublicKey:
    """The key of a ``.pub`` file.

    Raises:
        Invalid: ``PUBLIC_KEY_INVALID``: it is no key, or none that a guest's sshd would take.
    """
    line = text.strip(" \t\r\n")
    if "PRIVATE KEY" in line:
        raise _invalid(
            "is a private key. Keep it secret: what is wanted is the .pub file beside it"
        )
    if len(line) > PUBLIC_KEY_LIMIT:
        raise _invalid(f"has more than {PUBLIC_KEY_LIMIT} characters")
    if not line.isprintable():
        raise _invalid("must be one line of printable characters")
    kind, _, rest = line.partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind not in KEY_TYPES:
        raise _invalid(f"must begin with its type, one of {', '.join(KEY_TYPES)}")
    blob = _blob(kind, encoded)
    return PublicKey(kind, blob, comment.strip())


def _blob(kind: str, encoded: str) -> bytes:
    try:
        blob = base64.b64decode(encoded, validate=True)
        # Reads every number and refuses what is left over; a point must lie on its curve.
        key = load_ssh_public_key(f"{kind} {encoded}".encode())
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise _invalid(f"is not a whole key of the type {kind}") from None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_LEAST:
        raise _invalid(f"has {key.key_size} bits; sshd wants {RSA_BITS_LEAST} at least")
    return blob


def _invalid(problem: str) -> Invalid:
    return Invalid(
        f"The public key {problem}.", "PUBLIC_KEY_INVALID", "", {"keypair.public_key": problem}
    )
