"""Runs the programs that a host's network is made with."""

import subprocess
from collections.abc import Sequence
from typing import Final

from actors.model.errors import HypervisorRefused

#: Seconds. These commands take milliseconds; a machine that swaps takes longer.
_TIME_LIMIT: Final = 20.0


def run(command: Sequence[str], text: str = "") -> str:
    """Run a command with ``text`` on its standard input; what it said on its standard output.

    Raises:
        HypervisorRefused: It failed, took too long or is not installed.
    """
    # A session of its own: Ray ends an actor's whole process group, and what is half done must get
    # done.
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise refused(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def refused(detail: str) -> HypervisorRefused:
    """The error that says what the host would not do. ``detail`` is for the operator alone."""
    return HypervisorRefused(
        "The host could not set up the network.", "HOST_NETWORK_REFUSED", detail
    )
