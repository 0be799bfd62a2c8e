"""The header of a qcow2 file (QEMU's ``docs/interop/qcow2.txt``): enough to trust or refuse it.

``qemu-img info`` tells the same, at the price of a process for each look.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

# magic, version, backing file offset, its length, cluster bits, virtual size, crypt method
_HEADER: Final = struct.Struct(">4sIQIIQI")
_INCOMPATIBLE: Final = struct.Struct(">Q")
_INCOMPATIBLE_AT: Final = 72
_MAGIC: Final = b"QFI\xfb"
_DATA_FILE: Final = 1 << 2
_LONGEST_NAME: Final = 1023


class NotQcow2(ValueError):
    """The file is no qcow2 image, or cut short."""


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What a qcow2 file says of itself."""

    #: Bytes the guest sees.
    virtual_size: int
    #: The file below it, as written; empty for none.
    backing: str
    #: Its data lie in another file.
    data_file: bool

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the header.

        Raises:
            NotQcow2: It has none, or half of one.
            OSError: The file cannot be read.
        """
        with path.open("rb") as file:
            start = file.read(_INCOMPATIBLE_AT + _INCOMPATIBLE.size)
            if len(start) < _INCOMPATIBLE_AT:
                raise NotQcow2(f"{path} has {len(start)} bytes")
            magic, version, offset, length, _, size, _ = _HEADER.unpack_from(start)
            if magic != _MAGIC:
                raise NotQcow2(f"{path} does not begin with qcow2's magic")
            if length > _LONGEST_NAME:
                raise NotQcow2(f"{path} names a backing file of {length} bytes")
            features = 0
            if version >= 3 and len(start) >= _INCOMPATIBLE_AT + _INCOMPATIBLE.size:
                (features,) = _INCOMPATIBLE.unpack_from(start, _INCOMPATIBLE_AT)
            backing = b""
            if offset:
                file.seek(offset)
                backing = file.read(length)
        return cls(size, backing.decode("utf-8", "replace"), bool(features & _DATA_FILE))
