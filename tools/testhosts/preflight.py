"""What the machine must offer before a test host is made."""

import os
import shutil
from collections.abc import Mapping
from typing import Final

from tools.testhosts.errors import HostsError

#: Each command, with the Debian package that has it.
_COMMANDS: Final = {"ip": "iproute2", "nsenter": "util-linux"}
_LIBVIRT_COMMANDS: Final = {
    "libvirtd": "libvirt-daemon-system",
    "qemu-system-x86_64": "qemu-system-x86",
}
_SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def require_root() -> None:
    """Refuse to go on as an ordinary user."""
    if os.geteuid() != 0:
        raise HostsError("Test hosts need namespaces and mounts: run this as root.")


def require_commands(*, libvirtd: bool) -> None:
    """Refuse to go on when a command is missing, and say which package has it."""
    wanted = _COMMANDS | (_LIBVIRT_COMMANDS if libvirtd else {})
    path = search_path(os.environ)
    missing = {name: deb for name, deb in wanted.items() if shutil.which(name, path=path) is None}
    if missing:
        names = ", ".join(f"{name} (package {package})" for name, package in missing.items())
        packages = " ".join(sorted(missing.values()))
        raise HostsError(
            f"Not installed: {names}. Install with: "
            f"apt-get install --no-install-recommends {packages}"
        )


def search_path(environment: Mapping[str, str]) -> str:
    """Return the PATH with the folders of system commands, which it may lack."""
    folders = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*folders, *(name for name in _SYSTEM_FOLDERS if name not in folders)])
