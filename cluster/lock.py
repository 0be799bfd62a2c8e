"""Keeps several ``nova-manage`` on one node apart."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cluster.trouble import Trouble

_NAME: Final = "nova-manage.lock"


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Be the only one that changes this node. The lock ends with its process, however that ends.

    Raises:
        Trouble: Another one is at work.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / _NAME).open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Trouble(
                f"Another nova-manage (process {holder}) is at work on this node.",
                "Wait until it has ended, and try again.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
