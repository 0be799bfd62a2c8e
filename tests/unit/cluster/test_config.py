"""Settings: where they come from, and that the manual lists them all."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from cluster.config import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "novaray.toml"
    monkeypatch.setenv("NOVARAY_CONFIG", str(file))
    return file


def test_the_environment_beats_the_file(no_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_file.write_text('listen = "192.0.2.1:1"\npartitions = 3\n')
    monkeypatch.setenv("NOVARAY_LISTEN", "192.0.2.2:2")
    settings = Settings()
    assert (settings.listen, settings.partitions) == ("192.0.2.2:2", 3)


def test_a_setting_nobody_knows_is_refused(no_file: Path) -> None:
    no_file.write_text("partition = 3\n")
    with pytest.raises(ValidationError, match="partition"):
        Settings()


def test_the_manual_lists_every_setting_with_its_default() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE))
    assert listed.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        if name == "config_dir":
            continue  # the user's own
        default = field.get_default()
        told = (
            str(default).lower() if default is None or isinstance(default, bool) else str(default)
        )
        assert listed[name].strip("`").replace("\u202f", "") == (told or "empty"), name


def test_the_credentials_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/somebody/conf")
    assert Settings().config_dir == Path("/home/somebody/conf/novaray")


def test_tunnels_end_at_the_nodes_address_unless_another_is_said() -> None:
    assert str(Settings(node_address="192.0.2.1").tunnel) == "192.0.2.1"
    said = Settings.model_validate({"node_address": "192.0.2.1", "tunnel_address": "198.51.100.1"})
    assert str(said.tunnel) == "198.51.100.1"
    with pytest.raises(ValidationError, match="tunnel_address"):
        Settings.model_validate({"tunnel_address": "2001:db8::1"})
