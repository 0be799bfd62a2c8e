"""How a file gets its name: whole, and on disk."""

import os
from pathlib import Path


def settle(new: Path, path: Path) -> None:
    """Give a complete file its name, so that not even a power failure shows half of it there."""
    new.chmod(0o600)
    sync(new)
    new.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Write a file's content, or a folder's names, to disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
