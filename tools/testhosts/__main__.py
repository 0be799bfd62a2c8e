"""The command line: `python -m tools.testhosts --help`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.testhosts import lifecycle, preflight
from tools.testhosts.errors import HostsError
from tools.testhosts.hosts import TestHost, entering
from tools.testhosts.plan import HostSet
from tools.testhosts.processes import boot_id, is_alive
from tools.testhosts.registry import Registry


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    chosen = parser().parse_args(arguments)
    try:
        preflight.require_root()
        return int(chosen.run(chosen, Registry()))
    except HostsError as error:
        print(f"testhosts: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m tools.testhosts", description="Several hypervisor hosts on one machine."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="make a set of hosts")
    up.add_argument("--count", type=int, default=2, metavar="N", help="how many hosts (2)")
    up.add_argument("--name", metavar="PREFIX", help="what their names begin with (t1, t2, …)")
    up.add_argument("--state", type=Path, metavar="DIR", help="where the set's folder is made")
    up.add_argument("--subnet", metavar="NET", help="their IPv4 subnet (a free one of 10.9.0.0/16)")
    up.add_argument("--no-libvirtd", action="store_true", help="do not start libvirtd")
    up.add_argument(
        "--private-pids", action="store_true", help="give each host process numbers of its own"
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="remove a set without a trace")
    which = down.add_mutually_exclusive_group()
    which.add_argument("--name", metavar="PREFIX", help="which set, when there are several")
    which.add_argument("--all", action="store_true", help="every set made by this tool")
    down.set_defaults(run=_down)

    listing = commands.add_parser("list", help="show the sets and their hosts")
    listing.set_defaults(run=_list)

    execute = commands.add_parser("exec", help="run a command in a host: exec NAME -- CMD…")
    execute.add_argument("host", metavar="NAME")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD")
    execute.set_defaults(run=_exec)

    stop = commands.add_parser("libvirtd-stop", help="end a host's libvirtd; its guests run on")
    stop.add_argument("host", metavar="NAME")
    stop.add_argument("--kill", action="store_true", help="by SIGKILL")
    stop.set_defaults(run=_libvirtd_stop)

    start = commands.add_parser("libvirtd-start", help="start a host's libvirtd again")
    start.add_argument("host", metavar="NAME")
    start.set_defaults(run=_libvirtd_start)
    return top


def _up(chosen: argparse.Namespace, registry: Registry) -> int:
    wish = lifecycle.Wish(
        count=chosen.count,
        name=chosen.name,
        subnet=chosen.subnet,
        state=chosen.state,
        libvirtd=not chosen.no_libvirtd,
        private_pids=chosen.private_pids,
    )
    _show(lifecycle.up(wish, registry))
    return 0


def _down(chosen: argparse.Namespace, registry: Registry) -> int:
    names = [record.name for record in registry.sets()]
    if chosen.name:
        names = [chosen.name]
    elif len(names) > 1 and not chosen.all:
        raise HostsError(f"There are several sets: {', '.join(names)}. Use --name or --all.")
    for name in names:
        lifecycle.down(name, registry)
    return 0


def _list(_: argparse.Namespace, registry: Registry) -> int:
    for record in registry.sets():
        _show(record)
    return 0


def _exec(chosen: argparse.Namespace, registry: Registry) -> int:
    if not chosen.command:
        raise HostsError("What is to be run? exec NAME -- CMD…")
    words = [*entering(*registry.find_host(chosen.host)), *chosen.command]
    os.execvp(words[0], words)  # noqa: S606 - this process becomes the command


def _libvirtd_stop(chosen: argparse.Namespace, registry: Registry) -> int:
    TestHost(*registry.find_host(chosen.host)).stop_libvirtd(kill=chosen.kill)
    return 0


def _libvirtd_start(chosen: argparse.Namespace, registry: Registry) -> int:
    TestHost(*registry.find_host(chosen.host)).start_libvirtd()
    return 0


def _show(record: HostSet) -> None:
    print(f"{record.name}  {record.subnet}  {record.folder}")
    for member in record.members:
        print(f"  {member.name}  {member.address}  {_state(record, TestHost(record, member))}")


def _state(record: HostSet, host: TestHost) -> str:
    member = record.host(host.name)
    if member.holder is None or record.boot_id != boot_id() or not is_alive(member.holder):
        return "its holder is gone"
    if member is record.fabric:
        return "bridge"
    try:
        runs = host.libvirtd_runs
    except HostsError:
        return "its holder does not answer"
    return host.libvirt_uri if runs else "libvirtd does not run"


if __name__ == "__main__":
    sys.exit(main())
