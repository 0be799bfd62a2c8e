"""What is private to a host, and the text of the files it starts with. Pure, no I/O."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.testhosts.plan import Host

#: Folders each host has its own of, with their modes. All of /run, not only /run/libvirt: a host's
#: named network namespaces (/run/netns), locks and sockets must not meet those of another host or
#: of the machine.
PRIVATE_FOLDERS: Final = {
    "/etc/libvirt": 0o755,
    "/etc/novaray": 0o755,
    "/run": 0o755,
    "/tmp": 0o1777,  # noqa: S108 - this is what stands in for it
    "/var/cache/libvirt": 0o755,
    "/var/lib/libvirt": 0o755,
    "/var/lib/novaray": 0o755,
    "/var/log/libvirt": 0o755,
}
#: The same below the user's home.
PRIVATE_HOME_FOLDERS: Final = {".config/novaray": 0o700, ".ray": 0o700}
#: Folders that programs expect to be in a private folder.
EXPECTED_FOLDERS: Final = {
    "/run/libvirt": 0o755,
    "/run/lock": 0o1777,
    "/run/novaray": 0o755,
    "/var/lib/libvirt/images": 0o755,
}
LIBVIRTD_CONF: Final = "/etc/libvirt/libvirtd.conf"
LIBVIRTD_LOG: Final = "/var/log/libvirt/libvirtd.log"
LIBVIRTD_PID: Final = "/run/libvirtd.pid"
LIBVIRT_SOCKET: Final = "/run/libvirt/libvirt-sock"

#: Restarting the daemon must not be refused, and tests open many connections.
_LIBVIRTD: Final = """\
host_uuid = "{uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
max_clients = 200
max_client_requests = 50
log_outputs = "3:stderr"
"""

#: Files belong to root and stay so: hosts share what is outside their private folders, images for
#: one. Without a cgroup tree and with no mount namespace of its own, a guest needs nothing that two
#: daemons would share. "file": no virtlogd is needed, and none runs.
_QEMU: Final = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
vnc_listen = "127.0.0.1"
migration_host = "{address}"
migration_address = "{address}"
"""


def private_folders(home: Path) -> dict[str, int]:
    """Return every folder a host has its own of, with its mode."""
    if any(home.is_relative_to(folder) for folder in PRIVATE_FOLDERS):
        return PRIVATE_FOLDERS  # a home below /tmp, say, is private as a whole
    at_home = {str(home / name): mode for name, mode in PRIVATE_HOME_FOLDERS.items()}
    return PRIVATE_FOLDERS | at_home


def private_files(host: Host, members: Sequence[Host]) -> dict[str, str]:
    """Return the files a host sees in place of the machine's, with their text."""
    names = "".join(f"{member.address} {member.name}\n" for member in members)
    return {
        "/etc/hostname": f"{host.name}\n",
        "/etc/hosts": f"127.0.0.1 localhost\n{names}",
        # No name server can be reached. Without this file each look-up would wait for one.
        "/etc/resolv.conf": "# A test host has no name server.\n",
    }


def libvirt_files(host: Host) -> dict[str, str]:
    """Return the files that configure a host's libvirtd."""
    return {
        LIBVIRTD_CONF: _LIBVIRTD.format(uuid=host.uuid, address=host.address),
        "/etc/libvirt/qemu.conf": _QEMU.format(address=host.address),
    }
