"""Disks put aside and back: cut off after any of their moves, and done again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.drivers.libvirt import disks_aside

OLD = {"disk.qcow2": "old root", "disk.eph0": "old ephemeral", "nvram.fd": "old variables"}
NEW = {"disk.qcow2": "new root", "disk.eph0": "new ephemeral"}
OTHERS = {"console.log": "words", "config.iso": "drive"}


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path, OLD | OTHERS)
    return tmp_path


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def lying(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def killed_at(monkeypatch: pytest.MonkeyPatch, move: int, call: Callable[[], None]) -> bool:
    """Make the call, and kill it before its so-many-th change of the folder; whether it came."""
    left = [move]

    def guarded(original: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return original(*args, **kwargs)

        return act

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "mkdir", "rmdir"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        try:
            call()
        except Killed:
            return True
    return False


def test_aside_and_back(folder: Path) -> None:
    assert not disks_aside.are_aside(folder, 7)
    disks_aside.put_aside(folder, 7)
    assert disks_aside.are_aside(folder, 7)
    assert not disks_aside.are_aside(folder, 6)
    assert lying(folder) == OTHERS
    fill(folder, NEW)
    disks_aside.put_aside(folder, 7)
    assert lying(folder) == NEW | OTHERS
    for _ in range(2):
        disks_aside.put_back(folder, 7)
        assert lying(folder) == OLD | OTHERS
    assert {path.name for path in folder.iterdir()} == set(OLD | OTHERS)


def test_forgotten(folder: Path) -> None:
    disks_aside.put_aside(folder, 7)
    fill(folder, NEW)
    for _ in range(2):
        disks_aside.forget(folder, 7)
    disks_aside.put_back(folder, 7)
    assert lying(folder) == NEW | OTHERS
    assert {path.name for path in folder.iterdir()} == set(NEW | OTHERS)


@pytest.mark.parametrize("move", range(12))
def test_cut_off_on_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch, move: int) -> None:
    """Whether it goes on or turns back, no disk is lost."""
    killed = killed_at(monkeypatch, move, lambda: disks_aside.put_aside(folder, 7))
    assert killed == (move < 5)
    if move % 2:
        disks_aside.put_aside(folder, 7)
        fill(folder, NEW)
    disks_aside.put_back(folder, 7)
    assert lying(folder) == OLD | OTHERS


@pytest.mark.parametrize("move", range(12))
def test_cut_off_on_the_way_back(folder: Path, monkeypatch: pytest.MonkeyPatch, move: int) -> None:
    disks_aside.put_aside(folder, 7)
    fill(folder, NEW)
    killed = killed_at(monkeypatch, move, lambda: disks_aside.put_back(folder, 7))
    assert killed == (move < 7)
    disks_aside.put_back(folder, 7)
    assert lying(folder) == OLD | OTHERS
    assert {path.name for path in folder.iterdir()} == set(OLD | OTHERS)


@pytest.mark.parametrize("move", range(6))
def test_cut_off_while_it_forgets(folder: Path, monkeypatch: pytest.MonkeyPatch, move: int) -> None:
    disks_aside.put_aside(folder, 7)
    fill(folder, NEW)
    assert killed_at(monkeypatch, move, lambda: disks_aside.forget(folder, 7)) == (move < 4)
    disks_aside.forget(folder, 7)
    assert lying(folder) == NEW | OTHERS
