"""How much memory processes take: PSS, which counts what they share once."""

from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def pss_mib(pid: int, proc: Path = _PROC) -> float:
    """MiB of one process; 0 where it has ended, or is not ours to look at."""
    with suppress(OSError):
        for line in (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "Pss":
                return int(value.split()[0]) / 1024
    return 0.0
