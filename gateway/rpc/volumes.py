"""VolumeService."""

from google.protobuf.empty_pb2 import Empty

from gateway.app.auth import is_admin
from gateway.app.pages import PageRequest
from gateway.app.volumes import VolumeCases
from gateway.rpc.call import Context, caller, request_id_or_own
from gateway.rpc.names import any_project_of, generation_of, snapshot_of, volume_of
from gateway.rpc.replies import fitting
from gateway.rpc.translate.volumes import (
    new_snapshot,
    new_volume,
    snapshot_message,
    volume_changes,
    volume_message,
)
from protos.novaray.v1 import volumes_pb2 as pb
from protos.novaray.v1 import volumes_pb2_grpc


class VolumesService(volumes_pb2_grpc.VolumeServiceServicer):
    """Disks that outlive instances."""

    def __init__(self, volumes: VolumeCases) -> None:
        self._volumes = volumes

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.Volume:
        """Make a volume (AIP-133, AIP-155)."""
        who = caller()
        new = new_volume(request, request_id_or_own(request.request_id))
        return volume_message(await self._volumes.create(who, new), admin=is_admin(who))

    async def GetVolume(self, request: pb.GetVolumeRequest, context: Context) -> pb.Volume:
        """One volume (AIP-131)."""
        who = caller()
        found = await self._volumes.get(who, *volume_of(request.name))
        return volume_message(found, admin=is_admin(who))

    async def ListVolumes(
        self, request: pb.ListVolumesRequest, context: Context
    ) -> pb.ListVolumesResponse:
        """A page of a project's volumes (AIP-132, AIP-158)."""
        who = caller()
        page = PageRequest(request.page_size, request.page_token)
        project = any_project_of(request.parent)
        listed = await self._volumes.list(who, project, request.filter, page)
        admin = is_admin(who)
        messages, token = fitting(listed, lambda volume: volume_message(volume, admin=admin))
        return pb.ListVolumesResponse(volumes=messages, next_page_token=token)

    async def UpdateVolume(self, request: pb.UpdateVolumeRequest, context: Context) -> pb.Volume:
        """Describe it otherwise, or make it larger (AIP-134, AIP-154)."""
        who = caller()
        updated = await self._volumes.update(
            who,
            *volume_of(request.volume.name, "volume.name"),
            volume_changes(request.volume, request.update_mask.paths),
            generation_of(request.volume.etag),
        )
        return volume_message(updated, admin=is_admin(who))

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> Empty:
        """Delete it; its bytes go behind (AIP-135)."""
        await self._volumes.delete(caller(), *volume_of(request.name))
        return Empty()

    async def CreateVolumeSnapshot(
        self, request: pb.CreateVolumeSnapshotRequest, context: Context
    ) -> pb.VolumeSnapshot:
        """Keep a volume as it is; its bytes are copied behind (AIP-133, AIP-155)."""
        new = new_snapshot(request, request_id_or_own(request.request_id))
        return snapshot_message(await self._volumes.create_snapshot(caller(), new))

    async def GetVolumeSnapshot(
        self, request: pb.GetVolumeSnapshotRequest, context: Context
    ) -> pb.VolumeSnapshot:
        """One snapshot (AIP-131)."""
        return snapshot_message(
            await self._volumes.get_snapshot(caller(), *snapshot_of(request.name))
        )

    async def ListVolumeSnapshots(
        self, request: pb.ListVolumeSnapshotsRequest, context: Context
    ) -> pb.ListVolumeSnapshotsResponse:
        """A page of the snapshots of a project's volumes (AIP-132, AIP-158)."""
        page = PageRequest(request.page_size, request.page_token)
        project = any_project_of(request.parent)
        listed = await self._volumes.list_snapshots(caller(), project, request.filter, page)
        messages, token = fitting(listed, snapshot_message)
        return pb.ListVolumeSnapshotsResponse(volume_snapshots=messages, next_page_token=token)

    async def DeleteVolumeSnapshot(
        self, request: pb.DeleteVolumeSnapshotRequest, context: Context
    ) -> Empty:
        """Delete it; its bytes go behind (AIP-135)."""
        await self._volumes.delete_snapshot(caller(), *snapshot_of(request.name))
        return Empty()
