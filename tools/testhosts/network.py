"""The links of a set: a bridge in the fabric, and a veth from it into each host.

All are made inside the set's namespaces: none is ever seen on the machine itself, and all end with
the namespaces.
"""

import subprocess
from ipaddress import IPv4Network
from typing import Final

from tools.testhosts.errors import HostsError
from tools.testhosts.plan import Host, HostSet

BRIDGE: Final = "fab0"
HOST_LINK: Final = "eth0"


def fabric_commands(record: HostSet) -> list[str]:
    """Return what `ip -batch` does in the fabric."""
    commands = [
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"address add {_with_length(record, record.fabric)} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ]
    for number, host in enumerate(record.hosts, start=1):
        assert host.holder
        port = f"h{number}"
        commands += [
            f"link add {port} type veth peer name {HOST_LINK} netns {host.holder.pid}",
            f"link set {port} master {BRIDGE} up",
        ]
    return commands


def host_commands(record: HostSet, host: Host) -> list[str]:
    """Return what `ip -batch` does in a host.

    The default route leads nowhere, but programs that ask the kernel for this host's address find
    it by it.
    """
    return [
        "link set lo up",
        f"address add {_with_length(record, host)} dev {HOST_LINK}",
        f"link set {HOST_LINK} up",
        f"route add default via {record.fabric.address}",
    ]


def connect(record: HostSet) -> None:
    """Join the hosts of a set to its fabric."""
    _run_ip(record.fabric, fabric_commands(record))
    for host in record.hosts:
        _run_ip(host, host_commands(record, host))


def _with_length(record: HostSet, member: Host) -> str:
    return f"{member.address}/{IPv4Network(record.subnet).prefixlen}"


def _run_ip(member: Host, commands: list[str]) -> None:
    assert member.holder
    done = subprocess.run(
        ["nsenter", f"--net=/proc/{member.holder.pid}/ns/net", "ip", "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HostsError(f"The network of {member.name} cannot be made: {done.stderr.strip()}")
