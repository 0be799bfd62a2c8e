"""A pretended host for libvirt's test driver.

Never the bare ``test:///default``: all connections of a process share it, and it comes with a
domain. A node file of its own is private to each connection, and empty.
"""

import secrets
from pathlib import Path
from urllib.parse import quote

from actors.drivers.libvirt.pool_disks import POOL
from actors.drivers.libvirt.storage_xml import Node, NodeCpu, Pool


def write_test_node(state_dir: Path, vcpus: int = 64, memory_mb: int = 256 * 1024) -> str:
    """Write ``<state_dir>/node.xml`` and return the URI that opens it.

    Args:
        state_dir: The host's state directory; absolute.
        vcpus: Processors it pretends to have.
        memory_mb: MiB of memory it pretends to have.
    """
    node = Node(
        cpu=NodeCpu(cores=vcpus, active=vcpus),
        memory_kib=memory_mb * 1024,
        pools=(Pool(POOL, str(state_dir / "instances")),),
    )
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / "node.xml"
    # Never half a file: another actor of this host may open it now.
    new = state_dir / f"node.xml.{secrets.token_hex(4)}"
    new.write_text(node.to_text(), encoding="utf-8")
    new.rename(path)
    return f"test://{quote(str(path))}"
