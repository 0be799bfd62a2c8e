"""Credentials: modes, what stays, and that ``nova`` reads what ``nova-manage`` writes."""

from pathlib import Path

import pytest

from cluster.config import Settings
from cluster.credentials import (
    Credentials,
    client_endpoint,
    credentials_file,
    ensure_admin,
    ensure_ray_token,
    read_credentials,
)
from cluster.trouble import Trouble
from gateway.cli.settings import Overrides, load_connection

CA = b"-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NOVARAY_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.delenv("NOVARAY_CREDENTIALS", raising=False)
    return Settings(config_dir=tmp_path / "novaray")


def test_they_are_their_owners_alone(settings: Settings) -> None:
    ensure_admin(settings, CA)
    ensure_ray_token(settings)
    for path in settings.config_dir.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name


def test_nova_reads_them(settings: Settings, tmp_path: Path) -> None:
    made = ensure_admin(settings, CA)
    read = load_connection(Overrides(), {"XDG_CONFIG_HOME": str(tmp_path)})
    assert (read.endpoint, read.token, read.project) == (made.endpoint, made.token, made.project)
    assert read.ca.read_bytes() == CA


def test_the_token_stays(settings: Settings) -> None:
    first = ensure_admin(settings, CA)
    moved = settings.model_copy(update={"listen": "127.0.0.1:9999"})
    second = ensure_admin(moved, CA)
    assert (second.token, second.endpoint) == (first.token, "127.0.0.1:9999")


def test_an_open_file_is_closed(settings: Settings) -> None:
    ensure_admin(settings, CA)
    credentials_file(settings).chmod(0o644)
    ensure_admin(settings, CA)
    assert credentials_file(settings).stat().st_mode & 0o777 == 0o600


def test_rays_token_stays_and_is_long(settings: Settings) -> None:
    ensure_ray_token(settings)
    token = settings.ray_token_file.read_text().strip()
    ensure_ray_token(settings)
    assert settings.ray_token_file.read_text().strip() == token
    assert len(token) == 64


def test_a_broken_file_is_told_of(settings: Settings) -> None:
    ensure_admin(settings, CA)
    credentials_file(settings).write_text("endpoint = ")
    with pytest.raises(Trouble, match="cannot be read"):
        read_credentials(credentials_file(settings))


def test_a_token_does_not_get_into_logs() -> None:
    assert "secret" not in repr(Credentials("127.0.0.1:1", "secret", "p", "u", "ca.pem"))


@pytest.mark.parametrize(
    ("listen", "endpoint"),
    [
        ("127.0.0.1:8774", "127.0.0.1:8774"),
        ("0.0.0.0:8774", "192.0.2.1:8774"),
        ("[::]:8774", "192.0.2.1:8774"),
        ("cloud.example:443", "cloud.example:443"),
    ],
)
def test_clients_are_told_an_address_they_can_reach(
    settings: Settings, listen: str, endpoint: str
) -> None:
    changed = settings.model_copy(update={"listen": listen, "node_address": "192.0.2.1"})
    assert client_endpoint(changed) == endpoint
