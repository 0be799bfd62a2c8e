"""Help texts: every command has one, with an example, and docs/cli.md speaks of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.rich_utils

from gateway.cli.main import app, run
from tests.gateway.cli import golden

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
#: A golden file's name in a comment, and the block below that shows it.
BLOCK = re.compile(
    r"(?P<head><!-- golden: (?P<name>\S+) -->\n```\w*\n)(?P<text>.*?)```\n", re.DOTALL
)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The command line of each command, without ``nova``."""
    for name, sub in getattr(command, "commands", {}).items():
        yield (*path, name)
        yield from commands(sub, (*path, name))


PATHS = sorted(commands(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def narrow_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns and no colour, whatever the tests run in."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(typer.rich_utils, "FORCE_TERMINAL", None)
    monkeypatch.setattr(typer.rich_utils, "MAX_WIDTH", None)


@pytest.mark.parametrize("path", [(), *PATHS], ids=lambda path: " ".join(["nova", *path]))
def test_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Example" in out
    assert not err
    golden.check(
        "-".join(["help", *path]), "".join(f"{line.rstrip()}\n" for line in out.splitlines())
    )


def test_examples_can_be_copied_from_a_terminal_of_80_columns() -> None:
    for path in PATHS:
        lines = [line.strip() for line in (_command(path).epilog or "").splitlines()]
        assert not [line for line in lines if len(line) > 78], path


def test_each_command_takes_a_format() -> None:
    assert run(["flavor-list", "--format", "yaml"]) == 2
    for path in PATHS:
        # A console's output is the guest's.
        if path not in (("operation",), ("console",), ("help",)):
            assert "--format" in _options(path), path


def test_the_docs_speak_of_each_command_and_option() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for path in PATHS:
        assert f"`nova {' '.join(path)}" in text, f"docs/cli.md does not speak of {path}"
        missing = {o for o in _options(path) if o.startswith("--") and o not in text}
        assert not missing - {"--help"}, f"docs/cli.md lacks {missing} of {path}"


def test_the_docs_show_what_is_printed() -> None:
    text = DOCS.read_text(encoding="utf-8")
    shown = {match["name"] for match in BLOCK.finditer(text)}
    printed = BLOCK.sub(_as_printed, text)
    if golden.UPDATE:
        DOCS.write_text(printed, encoding="utf-8")
        text = printed
    assert text == printed, "docs/cli.md shows other screens than the goldens: make golden-update"
    assert {"list", "show", "boot", "flavor-list", "image-list", "host-list"} <= shown


def _as_printed(block: re.Match[str]) -> str:
    path = golden.FOLDER / f"{block['name']}.txt"
    assert path.exists(), f"docs/cli.md shows {path.name}, which is not there"
    return f"{block['head']}{path.read_text(encoding='utf-8')}```\n"


def _command(path: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return command


def _options(path: tuple[str, ...]) -> set[str]:
    return {option for param in _command(path).params for option in param.opts}
