"""What a guest is told at boot, beside what its record says: large, or secret, or both.

It lies in a table of its own and travels only to the host that builds config drive and metadata
from it: lists and watchers of instances never carry it.
"""

import base64
import binascii
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from actors.model.base import StoredRecord
from actors.model.ids import InstanceId, OperationId

#: Nova's ``MAX_USERDATA_SIZE``: bytes of the base64 text.
USER_DATA_LIMIT: Final = 65535
#: Nova's quotas for injected files.
FILES_LIMIT: Final = 5
FILE_PATH_LIMIT: Final = 255
FILE_SIZE_LIMIT: Final = 10 * 1024


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must have printable characters only")
    return value


def _files(value: dict[str, str]) -> dict[str, str]:
    for path, text in value.items():
        parts = path.split("/")
        if not path.startswith("/") or ".." in parts or not path.isprintable() or not parts[-1]:
            raise ValueError(f"path {path[:60]!r} must be absolute, name a file, and have no ..")
        if len(path) > FILE_PATH_LIMIT:
            raise ValueError(f"path {path[:60]!r} is longer than {FILE_PATH_LIMIT} characters")
        if len(base64.b64decode(_base64(text))) > FILE_SIZE_LIMIT:
            raise ValueError(f"file {path[:60]!r} is larger than {FILE_SIZE_LIMIT} bytes")
    return value


class GuestData(StoredRecord):
    """One version of an instance's data: never changed, only replaced (rebuild, rescue)."""

    #: The operation that brought it.
    id: OperationId
    instance: InstanceId
    #: One line of an authorized_keys file; empty for none.
    public_key: str = ""
    #: base64, as Nova keeps it; empty for none.
    user_data: Annotated[str, Field(max_length=USER_DATA_LIMIT), AfterValidator(_base64)] = ""
    #: Content in base64 by absolute path.
    files: Annotated[dict[str, str], Field(max_length=FILES_LIMIT), AfterValidator(_files)] = Field(
        default_factory=dict
    )
    admin_password: Annotated[str, Field(max_length=255), AfterValidator(_one_line)] = ""
    generation: int = 1
