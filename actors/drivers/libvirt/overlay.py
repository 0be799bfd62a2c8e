"""Overlays: qcow2 files that hold what differs from the file they lie on."""

import secrets
import subprocess
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.settle import settle
from actors.model.ids import InstanceId

#: What a file that is being made has at the end of its name.
TEMPORARY: Final = ".new"
_QEMU_IMG_SECONDS: Final = 60


def make_overlay(
    path: Path, backing: Path, backing_format: str, size: int, instance: InstanceId
) -> None:
    """Make an empty overlay beside its place and rename it into it: who has the name is whole.

    Raises:
        Exhausted: The disk is full.
        HypervisorRefused: qemu-img says no.
    """
    for left_over in path.parent.glob(f"*{TEMPORARY}"):
        left_over.unlink(missing_ok=True)
    # A name of its own: the qemu-img of a process that was killed may still write to the last one.
    new = path.with_name(f"{secrets.token_hex(4)}{TEMPORARY}")
    command = (
        # Unchecked: a guest may run on the backing file, and holds a lock on it.
        "qemu-img", "create", "-q", "-u", "-f", "qcow2",
        "-F", backing_format, "-b", str(backing), str(new), str(size),
    )  # fmt: skip
    action = f"make the disk of instance {instance}"
    try:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_QEMU_IMG_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise refused(action, f"qemu-img: {error}") from error
        if done.returncode != 0:
            raise refused(action, f"qemu-img: {done.stderr.strip()}")
        settle(new, path)
    finally:
        new.unlink(missing_ok=True)
