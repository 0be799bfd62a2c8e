"""What is on a host, seen from outside with nothing of novaray's in between."""

import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import libvirt

from tools.testhosts import TestHost

#: Not the product's own folders: a `nova-manage down --purge` on the machine removes those, and a
#: folder that goes there takes along what a host has mounted on it.
STATE: Final = "/var/lib/libvirt/novaray"
RUN: Final = "/run/novaray"
_PROC: Final = Path("/proc")
_OURS: Final = re.compile(r"^\d+: ((?:tap|brq|dhcp|vx-)[^:@]*)", re.MULTILINE)
_RAY: Final = re.compile(r"ray::|\S*/(raylet|gcs_server) |.*/ray/session_")
_END_SECONDS: Final = 60.0
_LOG_LINE: Final = re.compile(r"^(?=\d{4}-\d\d-\d\d )", re.MULTILINE)
_BAD: Final = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")


def processes(host: TestHost) -> dict[int, str]:
    """Command lines of the host's processes, by number."""
    found = {}
    mounts = os.readlink(_PROC / str(host.holder_pid) / "ns/mnt")
    for entry in _PROC.iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "ns/mnt") == mounts:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = command.decode(errors="replace").strip()
    return found


def ray_processes(host: TestHost) -> set[int]:
    """The host's Ray processes, actors included."""
    return {pid for pid, command in processes(host).items() if _RAY.match(command)}


def kill(pids: Iterable[int]) -> None:
    """Kill all of these at once, and wait until they are gone."""
    waiting = set(pids)
    for pid in waiting:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_SECONDS
    while waiting := {pid for pid in waiting if _lives(pid)}:
        assert time.monotonic() < deadline, f"still there: {waiting}"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " not in (_PROC / str(pid) / "stat").read_text()
    return False


def actor(host: TestHost, kind: str) -> int:
    """The process of the one actor of this kind; its title also says what it is at."""
    (pid,) = (pid for pid, what in processes(host).items() if what.startswith(f"ray::{kind}"))
    return pid


def qemus(host: TestHost) -> dict[str, int]:
    """Processes of guests, by domain name."""
    found = {}
    for pid, command in processes(host).items():
        if "qemu-system" in command.split(" ", 1)[0] and (
            name := re.search("guest=([^,]+)", command)
        ):
            assert name[1] not in found, f"two processes of {name[1]}"
            found[name[1]] = pid
    return found


def domains(host: TestHost) -> dict[str, bool]:
    """Whether each domain runs, by name."""
    with closing(libvirt.open(host.libvirt_uri)) as connection:
        found = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        return {domain.name(): bool(domain.isActive()) for domain, _ in found}


def namespace(host: TestHost) -> str:
    """The DHCP namespace of the one network that is on the host."""
    (name,) = (file.name for file in Path(f"{host.folder}/run/netns").glob("qdhcp-*"))
    return name


def pings(host: TestHost, address: str) -> bool:
    """Whether a guest answers from its host's DHCP namespace; it may be too busy once or twice."""
    ping = ["ip", "netns", "exec", namespace(host), "busybox", "ping", "-c1", "-W3", address]
    return any(host.run(ping).returncode == 0 for _ in range(3))


def traces(host: TestHost) -> set[str]:
    """All that guests have on the host."""
    state = Path(f"{host.folder}{STATE}")
    found = {f"domain {name}" for name in domains(host)}
    found |= {f"folder {folder.name}" for folder in (state / "instances").glob("*")}
    found |= {f"link {name}" for name in _OURS.findall(host.run(["ip", "-o", "link"]).stdout)}
    found |= {f"namespace {file.name}" for file in Path(f"{host.folder}/run/netns").glob("*")}
    for file in (state / "network").glob("*/hosts"):
        found |= {f"lease {line}" for line in file.read_text().splitlines()}
    found |= {f"QEMU of {name}" for name in qemus(host)}
    commands = processes(host).values()
    return found | {f"{sum(c.startswith('dnsmasq') for c in commands)} dnsmasq"}


def records(head: TestHost) -> set[str]:
    """What instances hold in the cluster's record."""
    queries = {
        "claim": "SELECT instance FROM claims",
        "port": "SELECT instance || ' ' || address FROM ports",
        "eviction": "SELECT instance FROM evictions",
        "unfinished": "SELECT id FROM operations WHERE done = 0",
    }
    path = f"file:{head.folder}{STATE}/novaray.sqlite?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as database:
        return {
            f"{what} {row[0]}" for what, query in queries.items() for row in database.execute(query)
        }


def logged(host: TestHost, lines: int = 60) -> str:
    """The last warnings and errors of the host's actors, with their tracebacks."""
    found = []
    for file in Path(f"{host.folder}{RUN}/ray").glob("session_2*/logs/worker-*.err"):
        found += _LOG_LINE.split(file.read_text(errors="replace"))
    bad = [entry.rstrip() for entry in found if _BAD.match(entry)]
    return "\n".join(sorted(bad)[-lines:])
