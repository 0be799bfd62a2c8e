"""What the build takes from the machine it runs on: commands and a progress line.

Nothing else in this package starts a process.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Commands the build starts, and the Debian package that holds each.
COMMANDS: Final[Mapping[str, str]] = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "grub-mkimage": "grub-common",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
}

#: mke2fs lies in sbin, which a plain user's PATH does not name.
_SEARCH_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


class GuestImageError(Exception):
    """The image cannot be built; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Prints one line a step, each with the seconds since the build began."""

    clock: Callable[[], float]
    began: float

    def __call__(self, text: str) -> None:
        """Print `text` behind the time that has passed."""
        print(f"[{self.clock() - self.began:5.2f} s] {text}", flush=True)


def require(commands: Mapping[str, str] = COMMANDS) -> None:
    """Raise unless every command is there, naming all that are missing at once."""
    missing = [name for name in commands if _find(name) is None]
    if missing:
        packages = " ".join(sorted({commands[name] for name in missing}))
        raise GuestImageError(
            f"Missing host commands: {', '.join(missing)}. "
            f"Install them: apt-get install --no-install-recommends {packages}"
        )


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    """Run a command and return its standard output.

    Args:
        command: The program, by name or path, and its arguments.
        cwd: The folder to run in.
        env: Variables added to the build's own environment.

    Raises:
        GuestImageError: The command is missing or failed; its standard error is in the message.
    """
    program, *arguments = (str(part) for part in command)
    if program in COMMANDS:
        require({program: COMMANDS[program]})
    done = subprocess.run(
        [_find(program) or program, *arguments],
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or "no message"
        raise GuestImageError(f"{program} failed with status {done.returncode}: {reason}")
    return done.stdout


def _find(command: str) -> str | None:
    return shutil.which(command, path=_SEARCH_PATH)
