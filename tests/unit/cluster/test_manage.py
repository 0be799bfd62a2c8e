"""The command line of ``nova-manage``: help, sentences, exit codes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import cluster
from cluster import manage
from cluster.commands import lifecycle
from cluster.config import Settings
from cluster.daemons import _needs_virtlogd
from cluster.lock import locked
from cluster.purge import _paths
from cluster.trouble import Trouble


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NOVARAY_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("NOVARAY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("NOVARAY_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NOVARAY_LIBVIRT_URI", "test://")
    return Settings()


def _commands(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in app.registered_commands:
        yield (*path, str(command.name))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _commands(group.typer_instance, (*path, str(group.name)))


@pytest.mark.parametrize("path", list(_commands(manage.app)), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(manage.app, [*path, "--help"])
    assert result.exit_code == 0
    assert f"nova-manage {' '.join(path)}" in result.output.split("Example", 1)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["up", "--no-such-option"],
        ["down", "--dry-run"],
        ["image", "register"],
        ["token", "create", "--user", "a"],
        ["token", "revoke"],
        ["host", "join"],
    ],
)
def test_a_wrong_command_line_is_told_in_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert manage.run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("ERROR: ")
    assert "--help" in said
    assert "Traceback" not in said


def test_a_wrong_setting_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVARAY_PARTITIONS", "none")
    assert manage.run(["status"]) == 1
    assert "partitions" in capsys.readouterr().err


def test_a_bug_shows_no_traceback_unless_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Settings:
        raise RuntimeError("oops")

    monkeypatch.setattr(lifecycle, "load_settings", broken)
    assert manage.run(["env"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert manage.run(["--debug", "env"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_does_not_run_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert manage.run(["down"]) == 0
    assert capsys.readouterr().out == "novaray did not run.\n"
    assert manage.run(["status"]) == 4
    assert "nova-manage up" in capsys.readouterr().out
    assert manage.run(["host", "list"]) == 1
    assert "novaray does not run" in capsys.readouterr().err


def test_the_command_line_does_not_load_ray() -> None:
    code = "import sys, cluster.manage; sys.exit('ray' in sys.modules or 'grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_at_once_are_kept_apart(settings: Settings) -> None:
    with (
        locked(settings.run_dir),
        pytest.raises(Trouble, match="Another nova-manage"),
        locked(settings.run_dir),
    ):
        pass
    with locked(settings.run_dir):
        pass


def test_purge_knows_its_own_files_only(settings: Settings, tmp_path: Path) -> None:
    for name in ("state/images", "state/pki", "state/photos", "run/ray", "config/novaray"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("state/novaray.sqlite", "state/letter.txt", "config/novaray/ray-token"):
        (tmp_path / name).touch()
    found = {str(path.relative_to(tmp_path)) for path in _paths(settings)}
    assert found == {
        "state/images",
        "state/pki",
        "state/novaray.sqlite",
        "run/ray",
        "config/novaray/ray-token",
    }


def test_purge_knows_all_that_is_written(settings: Settings, tmp_path: Path) -> None:
    root = Path(cluster.__file__).parents[1]
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("actors", "cluster")
        for path in (root / folder).rglob("*.py")
    )
    names = set(re.findall(r'state_dir / "([^"]+)"', code))
    assert len(names) > 5
    for name in names:
        (tmp_path / "state" / name).mkdir(parents=True)
    assert {path.name for path in _paths(settings)} == names


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("", True),
        ('#stdio_handler = "file"\n', True),
        ('stdio_handler = "logd"\n', True),
        ('user = "root"\nstdio_handler = "file"\n', False),
    ],
)
def test_virtlogd_is_started_where_qemu_needs_it(tmp_path: Path, text: str, needed: Any) -> None:
    file = tmp_path / "qemu.conf"
    file.write_text(text)
    assert _needs_virtlogd(file) is needed
