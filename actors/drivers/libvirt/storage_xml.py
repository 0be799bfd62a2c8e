"""Storage pools and volumes, and the test driver's node.

https://libvirt.org/formatstorage.html; libvirt's ``src/test/test_driver.c`` for the node.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from actors.drivers.libvirt.element import Element, at


@dataclass(frozen=True, slots=True)
class Pool(Element):
    """``<pool>``."""

    TAG: ClassVar[str] = "pool"

    name: str = field(metadata=at("name"))
    path: str = field(metadata=at("target/path"))
    kind: str = field(default="dir", metadata=at("@type"))


@dataclass(frozen=True, slots=True)
class Volume(Element):
    """``<volume>``."""

    TAG: ClassVar[str] = "volume"

    name: str = field(metadata=at("name"))
    capacity: int = field(metadata=at("capacity"))
    #: Bytes taken at once: none, so that the pool never fills.
    allocation: int = field(default=0, metadata=at("allocation"))
    format: str = field(default="qcow2", metadata=at("target/format/@type"))
    backing: str | None = field(default=None, metadata=at("backingStore/path"))
    backing_format: str | None = field(default=None, metadata=at("backingStore/format/@type"))


@dataclass(frozen=True, slots=True)
class NodeCpu(Element):
    """``<cpu>`` of a pretended host."""

    TAG: ClassVar[str] = "cpu"

    cores: int = field(metadata=at("cores"))
    active: int = field(metadata=at("active"))
    mhz: int = field(default=2000, metadata=at("mhz"))
    model: str = field(default="test", metadata=at("model"))
    nodes: int = field(default=1, metadata=at("nodes"))
    sockets: int = field(default=1, metadata=at("sockets"))
    threads: int = field(default=1, metadata=at("threads"))


@dataclass(frozen=True, slots=True)
class Node(Element):
    """``<node>``: what ``test:///path`` reads (libvirt's ``src/test/test_driver.c``)."""

    TAG: ClassVar[str] = "node"

    cpu: NodeCpu = field(metadata=at(""))
    memory_kib: int = field(metadata=at("memory"))
    pools: tuple[Pool, ...] = field(default=(), metadata=at(""))
