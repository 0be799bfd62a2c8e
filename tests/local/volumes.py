"""Commands about volumes, as tests send them."""

from actors.model.ids import HostId, InstanceId, ProjectId, RequestId, SnapshotId, UserId, VolumeId
from actors.model.image import BootSource
from actors.model.volume import CreateVolume, CreateVolumeSnapshot
from actors.model.volume_hold import Hold, Reserve

PROJECT = ProjectId("p")


def new_volume(
    name: str = "v",
    size_gb: int = 1,
    *,
    project: ProjectId = PROJECT,
    snapshot: str | None = None,
    source: BootSource | None = None,
) -> CreateVolume:
    return CreateVolume(
        id=VolumeId(name),
        project=project,
        user=UserId("u"),
        request_id=RequestId(f"request-{name}"),
        size_gb=size_gb,
        snapshot=SnapshotId(snapshot) if snapshot else None,
        source=source,
    )


def new_snapshot(
    name: str = "s", volume: str = "v", project: ProjectId = PROJECT
) -> CreateVolumeSnapshot:
    return CreateVolumeSnapshot(id=SnapshotId(name), volume=VolumeId(volume), project=project)


def hold(volume: str = "v", instance: str = "i", sequence: int = 2, attempt: int = 1) -> Hold:
    return Hold(VolumeId(volume), InstanceId(instance), sequence, attempt)


def reserve(held: Hold | None = None, host: str = "h1", project: ProjectId = PROJECT) -> Reserve:
    return Reserve(held or hold(), project, HostId(f"id-{host}"), host)
