"""The operator's words to all guests of a host: a JSON object in a file."""

import json
from pathlib import Path

from actors.guestdata.guest import Json
from cluster.trouble import Trouble


def read_vendor_data(path: Path | None) -> dict[str, Json]:
    """The operator's words to all guests: a JSON object.

    Raises:
        Trouble: The file is not that.
    """
    if path is None:
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _no_vendor_data(path, str(error)) from error
    if not isinstance(value, dict):
        raise _no_vendor_data(path, "it is no JSON object")
    return value


def _no_vendor_data(path: Path, why: str) -> Trouble:
    return Trouble(
        f"The vendor data in {path} cannot be read: {why}.",
        'Write a JSON object into it ({"cloud-init": "#cloud-config"}), or unset vendor_data.',
    )
