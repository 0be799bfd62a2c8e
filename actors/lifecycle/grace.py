"""How long a guest is given to shut down by itself."""

from typing import Final

from actors.model.commands import DEFAULT_GRACE_SECONDS, InstanceCommand
from actors.model.details import Reboot
from actors.model.extra_specs import number
from actors.model.instance import InstanceRecord

_SPEC: Final = "novaray:shutdown_timeout"


def grace_of(record: InstanceRecord, command: InstanceCommand) -> float:
    """Seconds between the power button and the plug.

    The caller knows best, then who made the flavor, then who made the image (Nova's
    ``os_shutdown_timeout``, which only an image can say there).
    """
    if isinstance(command.details, Reboot) and command.details.hard:
        return 0.0
    if command.grace_seconds is not None:
        return command.grace_seconds
    flavors = number(record.flavor.extra_specs, _SPEC)
    said = record.source.shutdown_timeout if flavors is None else flavors
    return DEFAULT_GRACE_SECONDS if said is None else float(said)
