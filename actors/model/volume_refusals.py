"""Why something cannot be done to a volume, in one form."""

from collections.abc import Iterable

from actors.model.errors import Conflict, Invalid, QuotaExceeded
from actors.model.ids import ProjectId
from actors.model.volume import VOLUME_LIMIT, Volume, VolumeSnapshot, VolumeStatus


def check_quota(
    project: ProjectId, what: str, held: Iterable[Volume] | Iterable[VolumeSnapshot]
) -> None:
    """Whether the project may have one more.

    Raises:
        QuotaExceeded: It has ``VOLUME_LIMIT``.
    """
    if sum(one.project == project for one in held) >= VOLUME_LIMIT:
        raise QuotaExceeded(
            f"Project {project} has {VOLUME_LIMIT} {what}, as many as one may have. Delete some.",
            "VOLUME_QUOTA_EXCEEDED",
            "",
            {"project": project, "limit": str(VOLUME_LIMIT)},
        )


def busy(volume: Volume, what: str) -> Conflict:
    """It is not available."""
    match volume.status:
        case VolumeStatus.DELETING:
            hint = ""
        case VolumeStatus.ATTACHING | VolumeStatus.DETACHING:
            hint = " Try again in a moment."
        case _:
            hint = " Detach it first."
    return Conflict(
        f"Volume {volume.id} is {volume.status.value} and cannot {what}.{hint}",
        "VOLUME_BUSY",
        "",
        {"volume": volume.id, "status": volume.status.value},
    )


def being_copied(volume: Volume) -> Conflict:
    """Its bytes must not change while they are copied."""
    return Conflict(
        f"Volume {volume.id} is being copied for a snapshot. Try again in a moment.",
        "VOLUME_BUSY",
        "",
        {"volume": volume.id, "status": volume.status.value},
    )


def too_small(size_gb: int, why: str) -> Invalid:
    """It needs more room."""
    return Invalid(
        f"A size of {size_gb} GiB is too small: {why}.",
        "VOLUME_TOO_SMALL",
        "",
        {"volume.size_gb": why},
    )
