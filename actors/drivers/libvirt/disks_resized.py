"""Disks of another size: copies of the former ones, of which the root disk has grown.

The former ones stay as they are, put aside on this host or on their own (why not an overlay on
them: ``docs/decisions/0016``). A mark in the instance's folder says that all are made: what has no
mark was cut off and is made again.
"""

import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.disks_aside import disks_of
from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.qcow2 import Qcow2Header
from actors.drivers.libvirt.root_disk import ROOT
from actors.drivers.libvirt.settle import settle, sync
from actors.model.image import DiskFormat

_TEMPORARY: Final = ".new"
_QEMU_IMG_SECONDS: Final = 60


def mark_of(folder: Path, sequence: int) -> Path:
    """What says that this resize's disks are made."""
    return folder / f"resized-{sequence}"


def incoming_of(folder: Path, sequence: int) -> Path:
    """Where disks from another host come to."""
    return folder / f"incoming-{sequence}"


def mark(folder: Path, sequence: int) -> None:
    """Say so."""
    mark_of(folder, sequence).touch()
    sync(folder)


def make(folder: Path, source: Path, grow: Callable[[Path], None]) -> None:
    """Copy the disks of ``source`` into the instance's folder; the root disk grows."""
    for left_over in (*disks_of(folder), *folder.glob(f"*{_TEMPORARY}")):
        left_over.unlink()
    for disk in disks_of(source):
        new = folder / f"{secrets.token_hex(4)}{_TEMPORARY}"
        _copy(disk, new)
        if disk.name == ROOT:
            grow(new)
        settle(new, folder / disk.name)


def lay_on(disk: Path, base: Path, base_format: DiskFormat) -> None:
    """Let a disk lie on this host's copy of its base: only its name is written.

    Raises:
        HypervisorRefused: qemu-img says no.
    """
    _qemu_img("rebase", "-u", "-f", "qcow2", "-F", str(base_format), "-b", str(base), str(disk))


def grow(disk: Path, size: int) -> None:
    """Let a disk be as large as this. It never shrinks.

    Raises:
        NotQcow2: It is none.
        HypervisorRefused: qemu-img says no.
    """
    if Qcow2Header.read(disk).virtual_size < size:
        _qemu_img("resize", "-q", "-f", "qcow2", str(disk), str(size))


def forget(folder: Path, sequence: int) -> None:
    """Remove the mark, and what came or was still to come from another host."""
    mark_of(folder, sequence).unlink(missing_ok=True)
    forget_incoming(folder, sequence)


def forget_incoming(folder: Path, sequence: int) -> None:
    """Remove what came from another host."""
    shutil.rmtree(incoming_of(folder, sequence), ignore_errors=True)


def _copy(disk: Path, new: Path) -> None:
    """Blocks are shared where the filesystem can, and holes stay holes."""
    command = ("cp", "--reflink=auto", "--sparse=always", "--", str(disk), str(new))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        new.unlink(missing_ok=True)
        raise refused("copy the disk", f"cp: {done.stderr.strip()}")


def _qemu_img(*arguments: str) -> None:
    done = subprocess.run(
        ("qemu-img", *arguments),
        capture_output=True,
        text=True,
        timeout=_QEMU_IMG_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise refused(f"{arguments[0]} the disk", f"qemu-img: {done.stderr.strip()}")
