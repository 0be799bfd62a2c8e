"""Credentials: options over environment over file; a file that others can read is refused."""

from pathlib import Path

import pytest

from gateway.cli.failures import Exit, Failure
from gateway.cli.settings import (
    Overrides,
    credentials_path,
    load_connection,
    normal_endpoint,
    read_ca,
)

FILE = 'endpoint = "10.0.0.1:8774"\ntoken = "t"\nproject = "demo"\nca = "ca.pem"\n'
ALL = {
    "NOVARAY_ENDPOINT": "h:1",
    "NOVARAY_TOKEN": "x",
    "NOVARAY_PROJECT": "p",
    "NOVARAY_CA": "/ca",
}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose config folder has a credentials file."""
    file = tmp_path / "novaray" / "credentials.toml"
    file.parent.mkdir()
    file.write_text(FILE)
    file.chmod(0o600)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def refused(overrides: Overrides, environ: dict[str, str]) -> Failure:
    with pytest.raises(Failure) as caught:
        load_connection(overrides, environ)
    assert caught.value.exit_code is Exit.NO_CONNECTION
    assert caught.value.hint
    return caught.value


def test_the_file(home: dict[str, str]) -> None:
    connection = load_connection(Overrides(), home)
    assert (connection.endpoint, connection.token, connection.project) == (
        "10.0.0.1:8774",
        "t",
        "demo",
    )
    # Relative to the file, wherever nova is run.
    assert connection.ca == Path(home["XDG_CONFIG_HOME"]) / "novaray" / "ca.pem"


def test_the_environment_beats_the_file_and_options_beat_both(home: dict[str, str]) -> None:
    environ = {**home, "NOVARAY_ENDPOINT": "10.0.0.2:1", "NOVARAY_PROJECT": "other"}
    connection = load_connection(Overrides(endpoint="10.0.0.3:2"), environ)
    assert connection.endpoint == "10.0.0.3:2"
    assert connection.project == "other"
    assert connection.token == "t"


def test_no_file_is_needed_where_the_environment_says_all() -> None:
    connection = load_connection(Overrides(), {**ALL, "NOVARAY_CREDENTIALS": "/nowhere"})
    assert connection.endpoint == "h:1"


def test_the_token_stays_out_of_logs(home: dict[str, str]) -> None:
    assert "'t'" not in repr(load_connection(Overrides(), home))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(home: dict[str, str], mode: int) -> None:
    path = credentials_path(home)
    path.chmod(mode)
    failure = refused(Overrides(), home)
    assert failure.reason == "CREDENTIALS_EXPOSED"
    assert failure.hint == f"Run: chmod 600 {path}"


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        ("endpoint =", "CREDENTIALS_UNREADABLE", "is not TOML"),
        ("endpoint = 1", "CREDENTIALS_UNREADABLE", "endpoint is not a text"),
        ('endpoint = "h:1"', "CREDENTIALS_INCOMPLETE", "lacks token, project and ca"),
    ],
)
def test_a_file_that_does_not_do(
    home: dict[str, str], content: str, reason: str, said: str
) -> None:
    credentials_path(home).write_text(content)
    failure = refused(Overrides(), home)
    assert failure.reason == reason
    assert said in failure.message


def test_no_file(tmp_path: Path) -> None:
    failure = refused(Overrides(), {"NOVARAY_CREDENTIALS": str(tmp_path / "none.toml")})
    assert failure.reason == "CREDENTIALS_MISSING"
    assert "nova-manage up" in failure.hint
    assert "NOVARAY_TOKEN" in failure.hint


def test_the_usual_place() -> None:
    assert credentials_path({}) == Path("~/.config/novaray/credentials.toml").expanduser()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("127.0.0.1:8774", "127.0.0.1:8774"),
        ("cloud", "cloud:8774"),
        ("[::1]", "[::1]:8774"),
        ("[::1]:99", "[::1]:99"),
        ("fd00::1", "[fd00::1]:8774"),
    ],
)
def test_endpoints(text: str, normal: str) -> None:
    assert normal_endpoint(text) == normal


@pytest.mark.parametrize("text", ["", ":1", "h:0", "h:65536", "h:x", "https://h:1", "a b:1"])
def test_not_an_endpoint(text: str) -> None:
    with pytest.raises(Failure, match="is not host:port"):
        normal_endpoint(text)


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(Failure, match="no such file"):
        read_ca(file)
    file.write_text("hello")
    with pytest.raises(Failure, match="no PEM certificate"):
        read_ca(file)
