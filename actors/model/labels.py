"""What tenants write on their things: names, metadata, tags. The limits are Nova's.

``nova/api/validation/parameter_types.py``.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from actors.model.hostname import is_hostname

NAME_LIMIT = 255
METADATA_LIMIT = 128
TAGS_LIMIT = 50
TAG_LIMIT = 60

_METADATA_KEY = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}")


def _printable(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty or only white space")
    if value != value.strip():
        raise ValueError("must not begin or end with white space")
    if not value.isprintable():
        raise ValueError("must have printable characters only")
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not _METADATA_KEY.fullmatch(key):
            raise ValueError(
                f"key {key[:40]!r} must have 1 to 255 letters, digits, spaces or any of - _ : ."
            )
        if len(text) > NAME_LIMIT:
            raise ValueError(f"the value of {key!r} is longer than {NAME_LIMIT} characters")
    return value


def _description(value: str) -> str:
    if not all(line.isprintable() for line in value.splitlines()):
        raise ValueError("must have printable characters and line ends only")
    return value


def _hostname(value: str) -> str:
    if not is_hostname(value):
        raise ValueError("must have 1 to 63 letters, digits and hyphens, no hyphen at an end")
    return value


def _tags(value: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(value))
    if len(found) > TAGS_LIMIT:
        raise ValueError(f"must be at most {TAGS_LIMIT}")
    for tag in found:
        if not 0 < len(tag) <= TAG_LIMIT or not tag.isprintable() or set(tag) & set(",/"):
            raise ValueError(
                f"tag {tag[:60]!r} must have 1 to {TAG_LIMIT} printable characters, no comma and "
                "no slash"
            )
    return found


#: An instance's name: 1 to 255 printable characters, none of them white space at an end.
InstanceName = Annotated[str, Field(max_length=NAME_LIMIT), AfterValidator(_printable)]
Metadata = Annotated[dict[str, str], Field(max_length=METADATA_LIMIT), AfterValidator(_metadata)]
#: At most 255 characters, line ends among them.
Description = Annotated[str, Field(max_length=NAME_LIMIT), AfterValidator(_description)]
Hostname = Annotated[str, AfterValidator(_hostname)]
#: At most 50, each once, in order (Nova microversion 2.26).
Tags = Annotated[tuple[str, ...], AfterValidator(_tags)]
