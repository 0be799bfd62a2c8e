"""Ephemeral and swap disks: files beside the root disk, made with it and removed with its folder.

Raw and sparse: what mkfs and mkswap write, and no more. As with root disks, a file that has its
name is complete.
"""

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.errors import refused
from actors.drivers.libvirt.settle import settle
from actors.lifecycle.targets import flavor_targets
from actors.model.flavor import Flavor
from actors.model.instance import InstanceRecord

_EPHEMERAL: Final = "disk.eph0"
_SWAP: Final = "disk.swap"
_TEMPORARY: Final = ".new"
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_MAKE_SECONDS: Final = 60
#: Nova's default format and its label. Lazily: nothing is written that a guest may never read.
_MKFS: Final = (
    "mkfs.ext4", "-q", "-F", "-L", "ephemeral0",
    "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
)  # fmt: skip
_MKSWAP: Final = ("mkswap",)


@dataclass(frozen=True, slots=True)
class ExtraDisk:
    """One of them."""

    name: str
    #: What the guest calls it.
    target: str
    #: Bytes.
    size: int
    #: What gives it its content; the file's name comes last.
    make: tuple[str, ...]


def extra_disks(flavor: Flavor, taken: frozenset[str] = frozenset()) -> tuple[ExtraDisk, ...]:
    """Those of a flavor, in Nova's order: behind the root disk ``vda`` first ephemeral, then swap.

    Nova: ``blockinfo.get_disk_mapping``.
    """
    wanted = [
        (_EPHEMERAL, flavor.ephemeral_gb * _GIB, _MKFS),
        (_SWAP, flavor.swap_mb * _MIB, _MKSWAP),
    ]
    there = [each for each in wanted if each[1]]
    return tuple(
        ExtraDisk(name, target, size, make)
        for target, (name, size, make) in zip(flavor_targets(flavor, taken), there, strict=True)
    )


def ensure_extra_disks(folder: Path, record: InstanceRecord) -> None:
    """Make what is missing, and what has become larger.

    An ephemeral disk is only ever made longer: its content is the tenant's. Swap has none.

    Raises:
        HypervisorRefused, Exhausted: It cannot be made.
    """
    for disk in extra_disks(record.flavor):
        path = folder / disk.name
        size = path.stat().st_size if path.exists() else 0
        if disk.name == _EPHEMERAL and size:
            if size < disk.size:
                os.truncate(path, disk.size)
        elif size != disk.size:
            _make(path, disk, record)


def _make(path: Path, disk: ExtraDisk, record: InstanceRecord) -> None:
    for left_over in path.parent.glob(f"*{_TEMPORARY}"):
        left_over.unlink(missing_ok=True)
    # A name of its own: the mkfs of a process that was killed may still write to the last one.
    new = path.with_name(f"{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        new.touch(mode=0o600, exist_ok=False)
        os.truncate(new, disk.size)
        _run((*disk.make, str(new)), f"make {disk.name} of instance {record.id}")
        settle(new, path)
    finally:
        new.unlink(missing_ok=True)


def _run(command: tuple[str, ...], action: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_MAKE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise refused(action, f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise refused(action, f"{command[0]}: {done.stderr.strip()}")
