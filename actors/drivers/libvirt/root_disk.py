"""A root disk by the names of its files.

It is ``disk.qcow2``. When it is frozen under a guest that runs, the guest goes on in a file with
the next number, ``disk.1.qcow2``: QEMU and libvirt know files by the names they were opened under,
so what is in use keeps its name. The newest is the disk; those before it are other names of layers
(``layers``). Once nothing runs, the newest takes the plain name again.
"""

import re
from pathlib import Path
from typing import Final

from actors.drivers.libvirt.settle import sync

#: The plain name.
ROOT: Final = "disk.qcow2"

_NAME: Final = re.compile(r"disk(?:\.([1-9][0-9]*))?\.qcow2")


def newest(folder: Path) -> Path | None:
    """The root disk of the guest that this folder belongs to; None where there is none."""
    files = _files(folder)
    return files[max(files)] if files else None


def following(disk: Path) -> Path:
    """The name of the file that a guest goes on in when this one is frozen."""
    return disk.with_name(f"disk.{_number(disk.name) + 1}.qcow2")


def is_root(name: str) -> bool:
    """Whether a file has a root disk's name."""
    return _NAME.fullmatch(name) is not None


def take_plain_name(folder: Path) -> None:
    """Give the root disk its plain name; nothing may run on it, or wait to run on.

    The newest goes last: cut off anywhere, it is the newest still.
    """
    files = _files(folder)
    if not files or max(files) == 0:
        return
    last = files.pop(max(files))
    files.pop(0, None)
    for path in files.values():
        path.unlink()
    last.rename(folder / ROOT)
    sync(folder)


def _files(folder: Path) -> dict[int, Path]:
    found = (path for path in folder.glob("disk*.qcow2") if is_root(path.name))
    return {_number(path.name): path for path in found}


def _number(name: str) -> int:
    match = _NAME.fullmatch(name)
    return int(match[1] or 0) if match else 0
