"""What a guest calls itself: one label of RFC 1123, section 2.1."""

import re
from typing import Final

from actors.model.ids import InstanceId

HOSTNAME_LIMIT: Final = 63

_LABEL: Final = re.compile("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def is_hostname(text: str) -> bool:
    """Whether it is such a label (Nova microversion 2.90: a caller's ``hostname``)."""
    return _LABEL.fullmatch(text) is not None


def hostname_for(name: str, instance: InstanceId) -> str:
    """From an instance's name; from its id where nothing of the name can be used.

    Nova: ``utils.sanitize_hostname``, but for letters with accents, which it keeps.
    """
    text = re.sub(r"[\s_.]+", "-", name.lower())
    text = re.sub("[^a-z0-9-]+", "", text)
    return text.strip("-")[:HOSTNAME_LIMIT].rstrip("-") or f"Server-{instance}"
