"""What the figures were measured on. No host name, no path: the file may be shown to others."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_KIB_IN_GIB: Final = 1 << 20
_PACKAGES: Final = ("novaray", "ray", "grpcio", "protobuf", "pydantic", "libvirt-python")


def facts(state: Path, root: Path) -> dict[str, Any]:
    """Processor, memory, filesystem, versions, revision, time."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(root),
        "processors": os.cpu_count(),
        "processor": _processor((_PROC / "cpuinfo").read_text()),
        "memory_gib": round(_memory_gib((_PROC / "meminfo").read_text()), 1),
        "kernel": platform.release(),
        "filesystem": filesystem(state, (_PROC / "self/mounts").read_text()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def filesystem(path: Path, mounts: str) -> str:
    """The kind of filesystem that a path lies on."""
    rows = [line.split() for line in mounts.splitlines()]
    above = [row for row in rows if path == Path(row[1]) or Path(row[1]) in path.parents]
    # The longest path is the innermost mount, and of those on one path the last is on top.
    return max(enumerate(above), key=lambda found: (len(found[1][1]), found[0]))[1][2]


def _revision(root: Path) -> str:
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor(text: str) -> str:
    return next(
        (line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line),
        platform.machine(),
    )


def _memory_gib(text: str) -> float:
    return int(text.split(maxsplit=2)[1]) / _KIB_IN_GIB
