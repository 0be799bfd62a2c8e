"""Whether this machine has what a node needs, each lack with what to do about it."""

import os
import platform
import shutil
import socket
from importlib.metadata import version
from typing import Final

from cluster.config import Settings
from cluster.trouble import Trouble
from cluster.vendor_data import read_vendor_data

#: Commands, and the Debian packages that have them.
_COMMANDS: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "qemu-img": "qemu-utils",
}
#: Only where we start libvirt ourselves, or QEMU runs here.
_HYPERVISOR: Final = {
    "libvirtd": "libvirt-daemon",
    "qemu-system-x86_64": "qemu-system-x86",
}


def require_root(settings: Settings) -> None:
    """Only root may do what a host does.

    Raises:
        Trouble: We are not root.
    """
    if os.geteuid() != 0 and not settings.is_test:
        raise Trouble("A host is root's business.", "Run this command as root.")


def check_machine(settings: Settings) -> str:
    """Commands and files; what was found of Python and Ray.

    Raises:
        Trouble: Commands are missing, or the vendor data cannot be read.
    """
    wanted = {} if settings.is_test else {**_COMMANDS, **_HYPERVISOR}
    missing = {command: package for command, package in wanted.items() if not _found(command)}
    if missing:
        raise Trouble(
            f"These commands are missing: {', '.join(missing)}.",
            f"Run: apt-get install {' '.join(sorted(set(missing.values())))}",
        )
    read_vendor_data(settings.vendor_data)
    return f"novaray {version('novaray')}, Python {platform.python_version()}, Ray {version('ray')}"


def check_ports(settings: Settings) -> None:
    """Whether what we are to listen on is free.

    Raises:
        Trouble: It is not.
    """
    wanted = [("Ray", settings.node_address, settings.ray_port, "ray_port")]
    if settings.dashboard:
        wanted.append(("the dashboard", "127.0.0.1", settings.dashboard_port, "dashboard_port"))
    host, _, port = settings.listen.rpartition(":")
    wanted.append(("the gateway", host.strip("[]"), int(port), "listen"))
    for who, address, number, setting in wanted:
        if why := _taken(address, number):
            raise Trouble(
                f"{who[0].upper()}{who[1:]} cannot listen on {address}:{number}: {why}.",
                f"Free it, or set another (NOVARAY_{setting.upper()}).",
            )


def _found(command: str) -> bool:
    # Debian leaves /usr/sbin out of a user's PATH.
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def _taken(address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""
