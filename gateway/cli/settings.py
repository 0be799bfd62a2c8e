"""Where the gateway is and what to show it: credentials file, environment, options.

An option beats the environment, the environment beats the file. The file holds a secret, so one
that others may read is refused, as ssh refuses such a key.
"""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.cli.failures import Exit, Failure

DEFAULT_PORT: Final = 8774
DEFAULT_TIMEOUT: Final = 30.0

_VARIABLES: Final = {
    "endpoint": "NOVARAY_ENDPOINT",
    "token": "NOVARAY_TOKEN",
    "project": "NOVARAY_PROJECT",
    "ca": "NOVARAY_CA",
}
_WRITES_THEM: Final = "nova-manage up writes this file; an administrator can give you one."


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line itself said; None where it said nothing."""

    endpoint: str | None = None
    token: str | None = None
    project: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a connection takes."""

    endpoint: str
    token: str
    project: str
    ca: Path

    def __repr__(self) -> str:
        """Without the token: this may end up in a log."""
        return f"Connection({self.endpoint}, project {self.project})"


def credentials_path(environ: Mapping[str, str]) -> Path:
    """Where the credentials file is, or would be."""
    if named := environ.get("NOVARAY_CREDENTIALS"):
        return Path(named).expanduser()
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "novaray" / "credentials.toml"


def load_connection(
    overrides: Overrides, environ: Mapping[str, str], *, account: bool = True
) -> Connection:
    """Options, environment and credentials file, in this order.

    Args:
        overrides: What the command line said.
        environ: The environment.
        account: Whether token and project are needed; without them they stay empty.

    Raises:
        Failure: Something is missing, unreadable, or readable by others.
    """
    path = credentials_path(environ)
    values: dict[str, str] = {}
    for key, variable in _VARIABLES.items():
        if given := getattr(overrides, key) or environ.get(variable):
            values[key] = given
    # Where everything is said already, no file is needed, and a broken one does no harm.
    wanted = list(_VARIABLES) if account else ["endpoint", "ca"]
    if any(key not in values for key in wanted):
        values = _read(path, explicit="NOVARAY_CREDENTIALS" in environ, needed=not values) | values
    missing = [key for key in wanted if not values.get(key)]
    if missing:
        variables = ", ".join(_VARIABLES[key] for key in missing)
        raise _refusal(
            f"The connection lacks {_listed(missing)}: neither {path} nor the environment says.",
            "CREDENTIALS_INCOMPLETE",
            f"Add {_listed(missing)} to the file, or set {variables}.",
        )
    return Connection(
        endpoint=normal_endpoint(values["endpoint"]),
        token=values["token"] if account else "",
        project=values["project"] if account else "",
        ca=Path(values["ca"]).expanduser(),
    )


def read_ca(path: Path) -> bytes:
    """The CA's certificates.

    Raises:
        Failure: The file cannot be read, or holds no certificate.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise _refusal(
            f"The CA file {path} cannot be read: {_why(error)}.",
            "CA_UNREADABLE",
            "Correct 'ca' in the credentials file, NOVARAY_CA or --ca.",
        ) from error
    if b"BEGIN CERTIFICATE" not in pem:
        raise _refusal(
            f"The CA file {path} holds no PEM certificate.",
            "CA_UNREADABLE",
            "Correct 'ca' in the credentials file, NOVARAY_CA or --ca.",
        )
    return pem


def normal_endpoint(text: str) -> str:
    """``host:port``, with the default port where none is given.

    Raises:
        Failure: It is neither.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or text.endswith("]"):  # [::1] has colons, but no port
        host, port = text.strip(), str(DEFAULT_PORT)
    elif ":" in host and not host.startswith("["):
        host, port = f"[{text.strip()}]", str(DEFAULT_PORT)
    in_range = port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16
    if not host or not in_range or any(c in host for c in "/ @"):
        raise _refusal(
            f"The endpoint {text!r} is not host:port.",
            "ENDPOINT_INVALID",
            "An example: 127.0.0.1:8774.",
        )
    return f"{host}:{port}"


def _read(path: Path, *, explicit: bool, needed: bool) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise _refusal(
                    f"The credentials file {path} can be read by others (mode {mode:04o}).",
                    "CREDENTIALS_EXPOSED",
                    f"Run: chmod 600 {path}",
                )
            content = tomllib.load(file)
    except FileNotFoundError as error:
        if explicit or needed:
            raise _refusal(
                f"The credentials file {path} does not exist.",
                "CREDENTIALS_MISSING",
                f"{_WRITES_THEM} Or set {_listed(list(_VARIABLES.values()))}.",
            ) from error
        return {}
    except OSError as error:
        raise _refusal(
            f"The credentials file {path} cannot be read: {_why(error)}.",
            "CREDENTIALS_UNREADABLE",
            _WRITES_THEM,
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refusal(
            f"The credentials file {path} is not TOML: {error}.",
            "CREDENTIALS_UNREADABLE",
            _WRITES_THEM,
        ) from error
    return _checked(path, content)


def _checked(path: Path, content: Mapping[str, object]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key in _VARIABLES:
        value = content.get(key, "")
        if not isinstance(value, str):
            raise _refusal(
                f"In {path}, {key} is not a text.",
                "CREDENTIALS_UNREADABLE",
                f'Write it in quotes: {key} = "…".',
            )
        values[key] = value
    if values["ca"]:
        # A relative path is meant from the file that says it, not from wherever nova runs.
        values["ca"] = str(path.parent / Path(values["ca"]).expanduser())
    return values


def _refusal(message: str, reason: str, hint: str) -> Failure:
    return Failure(message, reason, exit_code=Exit.NO_CONNECTION, hint=hint)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
