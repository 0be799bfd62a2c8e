"""What ``nova boot`` tells the guest: files of this machine, read and checked here."""

from enum import StrEnum
from pathlib import Path

import typer


class Truth(StrEnum):
    """As python-novaclient takes it: ``--config-drive true``."""

    TRUE = "true"
    FALSE = "false"


def read_user_data(file: Path | None) -> bytes:
    """The bytes of ``--user-data``; empty for none."""
    return b"" if file is None else _read(file, "--user-data")


def read_files(texts: list[str]) -> dict[str, bytes]:
    """Content by its path in the guest, of each ``--file DST=SRC``."""
    found = {}
    for text in texts:
        path, equals, source = text.partition("=")
        if not path or not equals or not source:
            raise typer.BadParameter(
                f"'{text}' is not DST=SRC: the path in the guest, then a file of this machine.",
                param_hint="'--file'",
            )
        found[path] = _read(Path(source), "--file")
    return found


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(
            f"{file} cannot be read: {error.strerror}.", param_hint=f"'{option}'"
        ) from None
