"""Which files of a host's image cache nobody needs any more.

A base image is needed while an instance of the host says so in its record, and while any disk on
the host has it as its backing file, whatever the records say. What is not needed goes once it has
not been used for a while (Nova: ``remove_unused_original_minimum_age_seconds``).
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.qcow2 import NotQcow2, Qcow2Header
from actors.model.image import BootSource

#: A download that got nothing for so long was given up, seconds: one that goes on grows.
PART_PATIENCE: Final = 3600.0
#: Under such a name a file goes: nobody finds it any more.
GOING: Final = ".going-"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def contents_of(sources: Iterable[BootSource]) -> set[str]:
    """The contents that instances boot from, by checksum."""
    files = (file for s in sources for file in (s.disk, s.kernel, s.ramdisk) if file is not None)
    return {file.sha256 for file in files}


def backing_files(folder: Path, cache: Path) -> set[str]:
    """The contents that disks anywhere below ``folder`` lie on, but for ``cache``. Blocking.

    However a header spells the path: what has a checksum in it counts.

    Raises:
        OSError: A file cannot be read, so nobody knows what it lies on.
    """
    found: set[str] = set()
    for path in _files(folder, cache):
        try:
            backing = Qcow2Header.read(path).backing
        except NotQcow2:
            continue
        except FileNotFoundError:
            continue  # removed since it was listed
        found.update(_SHA256.findall(backing))
    return found


def is_stale(path: Path, used: set[str], now: float, age: float) -> bool:
    """Whether a file of the cache may go, at ``now`` (Unix time)."""
    if path.name.startswith(GOING):
        return True
    idle = now - path.stat().st_mtime
    if path.name.startswith("."):
        return idle > PART_PATIENCE
    return path.name not in used and idle > age


def _files(folder: Path, cache: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        if Path(root) == cache:
            folders.clear()
            continue
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path
