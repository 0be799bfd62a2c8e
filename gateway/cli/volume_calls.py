"""Calls about volumes and their snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.calls import Calls, pages
from protos.novaray.v1 import instances_pb2, instances_pb2_grpc, volumes_pb2, volumes_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.longrunning.operations_pb2 import Operation


class VolumeCalls(Calls):
    """What can be asked about disks that outlive instances."""

    def create_volume(self, volume: volumes_pb2.Volume, request_id: str) -> volumes_pb2.Volume:
        """Make a volume."""
        request = volumes_pb2.CreateVolumeRequest(
            parent=self._project, volume=volume, request_id=request_id
        )
        return self._call(self._volumes.CreateVolume, request)

    def list_volumes(
        self, filter_text: str = "", *, all_projects: bool = False
    ) -> Iterator[volumes_pb2.Volume]:
        """Volumes, newest first."""
        parent = "projects/-" if all_projects else self._project

        def page(token: str, size: int) -> tuple[list[volumes_pb2.Volume], str]:
            request = volumes_pb2.ListVolumesRequest(
                parent=parent, page_size=size, page_token=token, filter=filter_text
            )
            response = self._call(self._volumes.ListVolumes, request)
            return list(response.volumes), response.next_page_token

        return pages(page)

    def update_volume(
        self, volume: volumes_pb2.Volume, fields: Sequence[str]
    ) -> volumes_pb2.Volume:
        """Change these fields of a volume."""
        request = volumes_pb2.UpdateVolumeRequest(volume=volume)
        request.update_mask.paths.extend(fields)
        return self._call(self._volumes.UpdateVolume, request)

    def delete_volume(self, name: str) -> None:
        """Delete a volume, by resource name."""
        self._call(self._volumes.DeleteVolume, volumes_pb2.DeleteVolumeRequest(name=name))

    def create_volume_snapshot(
        self, snapshot: volumes_pb2.VolumeSnapshot, request_id: str
    ) -> volumes_pb2.VolumeSnapshot:
        """Keep a volume as it is."""
        request = volumes_pb2.CreateVolumeSnapshotRequest(
            parent=self._project, volume_snapshot=snapshot, request_id=request_id
        )
        return self._call(self._volumes.CreateVolumeSnapshot, request)

    def list_volume_snapshots(
        self, filter_text: str = "", *, all_projects: bool = False
    ) -> Iterator[volumes_pb2.VolumeSnapshot]:
        """Snapshots of volumes, newest first."""
        parent = "projects/-" if all_projects else self._project

        def page(token: str, size: int) -> tuple[list[volumes_pb2.VolumeSnapshot], str]:
            request = volumes_pb2.ListVolumeSnapshotsRequest(
                parent=parent, page_size=size, page_token=token, filter=filter_text
            )
            response = self._call(self._volumes.ListVolumeSnapshots, request)
            return list(response.volume_snapshots), response.next_page_token

        return pages(page)

    def delete_volume_snapshot(self, name: str) -> None:
        """Delete a snapshot, by resource name."""
        request = volumes_pb2.DeleteVolumeSnapshotRequest(name=name)
        self._call(self._volumes.DeleteVolumeSnapshot, request)

    def attach_volume(
        self, name: str, request_id: str, volume: str, *, delete_on_termination: bool
    ) -> Operation:
        """Give an instance a volume; both by resource name."""
        request = instances_pb2.AttachVolumeRequest(
            name=name,
            request_id=request_id,
            volume=volume,
            delete_on_termination=delete_on_termination,
        )
        return self._call(self._attachments.AttachVolume, request)

    def detach_volume(self, name: str, request_id: str, volume: str) -> Operation:
        """Take a volume from an instance; both by resource name."""
        request = instances_pb2.DetachVolumeRequest(name=name, request_id=request_id, volume=volume)
        return self._call(self._attachments.DetachVolume, request)

    # ------------------------------------------------------------------------------------------

    @property
    def _project(self) -> str:
        return f"projects/{self._connection.project}"

    @property
    def _volumes(self) -> volumes_pb2_grpc.VolumeServiceStub:
        return volumes_pb2_grpc.VolumeServiceStub(self._channel)

    @property
    def _attachments(self) -> instances_pb2_grpc.InstanceServiceStub:
        return instances_pb2_grpc.InstanceServiceStub(self._channel)
