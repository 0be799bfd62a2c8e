"""What a user needs to reach the cluster: ``credentials.toml``, and the CA beside it."""

import hashlib
import os
import secrets
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import tomli_w

from cluster.config import Settings
from cluster.files import read_or_make, write_private
from cluster.trouble import Trouble

_TOKEN_BYTES: Final = 32
ADMIN_USER: Final = "admin"
ADMIN_PROJECT: Final = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One user's way in. The file names and keys are those that ``nova`` reads."""

    endpoint: str
    token: str
    project: str
    user: str
    ca: str

    def __repr__(self) -> str:
        """Without the token: this may end up in a log."""
        return f"Credentials({self.user} of {self.project} at {self.endpoint})"

    def write(self, path: Path) -> None:
        """For its owner alone."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, tomli_w.dumps(asdict(self)))


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def checksum(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def credentials_file(settings: Settings) -> Path:
    """Where the credentials lie; ``NOVARAY_CREDENTIALS`` names another place, as for ``nova``."""
    named = os.environ.get("NOVARAY_CREDENTIALS")
    return Path(named).expanduser() if named else settings.config_dir / "credentials.toml"


def read_credentials(path: Path) -> Credentials | None:
    """The credentials, or None where there are none.

    Raises:
        Trouble: The file is not what it should be.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        fields = ("endpoint", "token", "project", "user", "ca")
        return Credentials(**{field: str(values[field]) for field in fields})
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, KeyError, UnicodeDecodeError) as error:
        raise Trouble(
            f"The credentials file {path} cannot be read: {error}.",
            "Correct it, or move it away: nova-manage up makes a new one.",
        ) from None


def ensure_admin(settings: Settings, ca: bytes) -> Credentials:
    """The administrator's credentials and the CA beside them; a token that is there stays."""
    path = credentials_file(settings)
    beside = path.parent / "ca.pem"
    found = read_credentials(path)
    made = Credentials(
        endpoint=client_endpoint(settings),
        token=found.token if found else new_token(),
        project=found.project if found else ADMIN_PROJECT,
        user=found.user if found else ADMIN_USER,
        ca=str(beside),
    )
    if not beside.exists() or beside.read_bytes() != ca:
        write_private(beside, ca)
    if made != found or path.stat().st_mode & 0o077:
        made.write(path)
    return made


def ensure_ray_token(settings: Settings) -> None:
    """The secret that all Ray processes of the cluster share."""
    read_or_make(settings.ray_token_file, f"{secrets.token_hex(_TOKEN_BYTES)}\n")


def client_endpoint(settings: Settings) -> str:
    """Where clients on this node reach the gateway."""
    host, _, port = settings.listen.rpartition(":")
    if host in ("0.0.0.0", "[::]", ""):  # noqa: S104
        host = settings.node_address
    return f"{host}:{port}"
