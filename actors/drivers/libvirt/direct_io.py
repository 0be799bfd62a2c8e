"""Whether a folder's file system can do direct I/O (O_DIRECT)."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def cache_mode(folder: Path) -> str:
    """QEMU's cache mode for disks in this folder.

    ``none``: the guest's page cache is enough, and the host's would hold every block twice. It
    needs O_DIRECT, which some file systems refuse; there ``writeback``. Both hold what the guest
    has flushed.
    """
    probe = folder / f".direct-io-{secrets.token_hex(4)}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_DIRECT, 0o600))
    except OSError:
        return "writeback"
    else:
        return "none"
    finally:
        with suppress(FileNotFoundError):
            probe.unlink()
