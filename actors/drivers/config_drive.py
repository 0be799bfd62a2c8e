"""Config drives: a tree of files as an ISO 9660 image (Nova: ``nova/virt/configdrive.py``).

Guests know it by its label ``config-2``. Rock Ridge and Joliet carry the real names; the names of
ISO 9660 itself are numbers, so nothing in a tree can be a name that the format forbids.
"""

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Final

import pycdlib
from pycdlib import dates, headervd, utils
from pycdlib import pycdlib as writer

from actors.guestdata.drive import drive_files
from actors.guestdata.guest import Guest, HostShare
from actors.model.guest_data import GuestData
from actors.model.instance import InstanceRecord

LABEL: Final = "config-2"

#: 2020-01-01 00:00 UTC; no guest looks at it.
_DATE: Final = 1577836800.0
_NEW: Final = ".new"


#: Stands for ``time`` in pycdlib, which dates all that it writes and cannot be told a date.
_no_clock = SimpleNamespace(**vars(time) | {"time": lambda: _DATE, "localtime": time.gmtime})

for _module in (dates, headervd, utils, writer):
    _module.time = _no_clock  # type: ignore[attr-defined]


class ConfigDrives:
    """Writes the config drives of one host."""

    def __init__(self, share: HostShare) -> None:
        self._share = share

    def write(self, path: Path, record: InstanceRecord, data: GuestData | None) -> None:
        """Put an instance's drive in its place, whole (rename(2)). Only its owner reads it.

        Not synced: it is written again before each start of its guest.
        """
        image = iso_image(drive_files(Guest(record, data, self._share)))
        new = path.with_name(path.name + _NEW)
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(image)
        new.replace(path)


def iso_image(files: Mapping[str, bytes]) -> bytes:
    """The image of these files, by path. The same files always give the same bytes."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        names: dict[PurePosixPath, str] = {PurePosixPath("/"): ""}
        for number, (path, content) in enumerate(sorted(files.items())):
            place = PurePosixPath("/", path)
            for folder in reversed(place.parents):
                if folder not in names:
                    names[folder] = f"{names[folder.parent]}/D{len(names)}"
                    iso.add_directory(names[folder], rr_name=folder.name, joliet_path=str(folder))
            iso.add_fp(
                io.BytesIO(content),
                len(content),
                f"{names[place.parent]}/F{number}.;1",
                rr_name=place.name,
                joliet_path=str(place),
            )
        image = io.BytesIO()
        iso.write_fp(image)
        return image.getvalue()
    finally:
        iso.close()
