"""Which volumes a caller may see, and an instance may be given."""

from actors.model.errors import Invalid, NotFound
from actors.model.identity import Principal
from actors.model.ids import InstanceId, ProjectId, SnapshotId, VolumeId
from actors.model.volume import Volume, VolumeSnapshot, VolumeStatus
from actors.model.volume_refusals import busy
from actors.ports.volumes import Volumes
from gateway.app.auth import is_admin


async def volume_of(
    volumes: Volumes, caller: Principal, project: ProjectId, volume: VolumeId
) -> Volume:
    """One volume of a project.

    Raises:
        NotFound: It is not there, or not the caller's.
    """
    if not _own(caller, project):
        raise unknown_volume(volume)
    found = await volumes.volume(volume)
    if found.project != project:
        raise unknown_volume(volume)
    return found


async def snapshot_of(
    volumes: Volumes, caller: Principal, project: ProjectId, snapshot: SnapshotId
) -> VolumeSnapshot:
    """One snapshot of a project.

    Raises:
        NotFound: It is not there, or not the caller's.
    """
    if not _own(caller, project):
        raise unknown_snapshot(snapshot)
    found = await volumes.snapshot(snapshot)
    if found.project != project:
        raise unknown_snapshot(snapshot)
    return found


async def volume_for(
    volumes: Volumes,
    caller: Principal,
    project: ProjectId,
    named: tuple[ProjectId, VolumeId],
    field: str,
) -> Volume:
    """The volume that a request about an instance of this project names.

    Raises:
        Invalid: It is not there, or in another project than the instance.
    """
    theirs, volume = named
    try:
        if theirs != project:
            raise unknown_volume(volume)
        return await volume_of(volumes, caller, project, volume)
    except NotFound as error:
        raise not_there(error, field) from None


def check_free(volume: Volume, instance: InstanceId) -> None:
    """Whether an instance may be given it, as things are now: its owner has the last word.

    What the instance itself has passes: the same request may have come before.

    Raises:
        Conflict: Another instance has it, or it is being deleted.
    """
    has = volume.attachment
    if volume.status is not VolumeStatus.AVAILABLE and (has is None or has.instance != instance):
        raise busy(volume, "be attached")


def unknown_volume(volume: VolumeId) -> NotFound:
    """What callers hear of a volume that is not there, or not theirs."""
    return NotFound(
        f"Volume {volume} could not be found.", "VOLUME_NOT_FOUND", "", {"volume": volume}
    )


def unknown_snapshot(snapshot: SnapshotId) -> NotFound:
    """What callers hear of a snapshot that is not there, or not theirs."""
    return NotFound(
        f"Snapshot {snapshot} could not be found.",
        "VOLUME_SNAPSHOT_NOT_FOUND",
        "",
        {"snapshot": snapshot},
    )


def not_there(error: NotFound, field: str) -> Invalid:
    """Where the thing asked for is another: what is not there is a field of the request."""
    return Invalid(error.message, error.reason, error.detail, {field: "could not be found"})


def _own(caller: Principal, project: ProjectId) -> bool:
    return project == caller.project or is_admin(caller)
