"""What a guest's machine calls its disks."""

from string import ascii_lowercase
from typing import Final

from actors.model.errors import Conflict
from actors.model.flavor import Flavor
from actors.model.instance import ROOT_TARGET, InstanceRecord

#: In the order in which they are given: behind the root disk ``vda``.
TARGETS: Final = tuple(f"vd{letter}" for letter in ascii_lowercase[1:])


def flavor_targets(flavor: Flavor, taken: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Of the ephemeral disk, then of swap, where the flavor has them (Nova: ``blockinfo``)."""
    wanted = bool(flavor.ephemeral_gb) + bool(flavor.swap_mb)
    return tuple(target for target in TARGETS if target not in taken)[:wanted]


def volume_targets(record: InstanceRecord) -> frozenset[str]:
    """Those of its volumes."""
    return frozenset(volume.target for volume in record.volumes)


def free_target(record: InstanceRecord) -> str:
    """The next for a volume.

    Raises:
        Conflict: All are taken.
    """
    taken = volume_targets(record)
    taken |= frozenset(flavor_targets(record.flavor, taken)) | {ROOT_TARGET}
    for target in TARGETS:
        if target not in taken:
            return target
    raise Conflict(
        f"Instance {record.id} has as many disks as it can have. Detach a volume first.",
        "TOO_MANY_VOLUMES",
    )
