"""Who this node is: UUIDs that stay, whatever its host name or address becomes."""

import os
import uuid
from pathlib import Path

from actors.model.ids import HostId
from cluster.config import Settings
from cluster.files import write_private


def host_id(settings: Settings) -> HostId:
    """This host's UUID, made at first use."""
    return HostId(_uuid(settings.state_dir / "host-uuid"))


def control_id(settings: Settings) -> str:
    """The UUID of the node that keeps the record, made at first use."""
    return _uuid(settings.state_dir / "control-uuid")


def _uuid(path: Path) -> str:
    try:
        return str(uuid.UUID(path.read_text(encoding="ascii").strip()))
    except FileNotFoundError:
        made = str(uuid.uuid4())
        write_private(path, f"{made}\n", mode=0o644)
        return made


def make_folders(settings: Settings) -> None:
    """The node's folders. A guest's process must get through to its disk, so others may pass."""
    for folder, mode in (
        (settings.state_dir, 0o711),
        (settings.run_dir, 0o711),
        (settings.config_dir, 0o700),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, mode)
