"""Volumes and snapshots to messages, and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from actors.model.volume import (
    SnapshotStatus,
    Volume,
    VolumeChanges,
    VolumeSnapshot,
    VolumeStatus,
)
from gateway.app.volumes import NewSnapshot, NewVolume
from gateway.rpc.names import etag, image_of, project_of, snapshot_of, volume_of
from gateway.rpc.translate.instants import timestamp
from gateway.rpc.translate.masks import masked
from protos.novaray.v1 import volumes_pb2 as pb

_STATE: Final = {status: pb.Volume.State.Value(f"STATE_{status.name}") for status in VolumeStatus}
_SNAPSHOT_STATE: Final = {
    status: pb.VolumeSnapshot.State.Value(f"STATE_{status.name}") for status in SnapshotStatus
}


def volume_message(volume: Volume, *, admin: bool) -> pb.Volume:
    """The volume on the wire; ``admin``: whether the reader may know on which host it is."""
    parent, has = f"projects/{volume.project}", volume.attachment
    return pb.Volume(
        name=f"{parent}/volumes/{volume.id}",
        uid=volume.id,
        display_name=volume.name,
        description=volume.description,
        metadata=volume.metadata,
        size_gb=volume.size_gb,
        state=_STATE[volume.shown],
        image=f"images/{volume.source.image}" if volume.source else "",
        snapshot=f"{parent}/volumeSnapshots/{volume.snapshot}" if volume.snapshot else "",
        instance=f"{parent}/instances/{has.instance}" if has else "",
        host=(volume.host or "") if admin else "",
        shared=volume.shared,
        bootable=volume.source is not None,
        user=volume.user,
        create_time=timestamp(volume.created),
        attach_time=timestamp(has.since) if has else None,
        etag=etag(volume.generation),
    )


def snapshot_message(snapshot: VolumeSnapshot) -> pb.VolumeSnapshot:
    """The snapshot on the wire."""
    parent = f"projects/{snapshot.project}"
    return pb.VolumeSnapshot(
        name=f"{parent}/volumeSnapshots/{snapshot.id}",
        uid=snapshot.id,
        display_name=snapshot.name,
        description=snapshot.description,
        volume=f"{parent}/volumes/{snapshot.volume}",
        size_gb=snapshot.size_gb,
        state=_SNAPSHOT_STATE[snapshot.status],
        create_time=timestamp(snapshot.created),
    )


def new_volume(request: pb.CreateVolumeRequest, request_id: str) -> NewVolume:
    """What a create asks for.

    Raises:
        Invalid: A resource name is malformed.
    """
    asked = request.volume
    return NewVolume(
        project=project_of(request.parent),
        size_gb=asked.size_gb,
        request_id=request_id,
        name=asked.display_name,
        description=asked.description,
        metadata=dict(asked.metadata),
        image=image_of(asked.image, "volume.image") if asked.image else None,
        snapshot=snapshot_of(asked.snapshot, "volume.snapshot") if asked.snapshot else None,
    )


def new_snapshot(request: pb.CreateVolumeSnapshotRequest, request_id: str) -> NewSnapshot:
    """What a create asks for.

    Raises:
        Invalid: A resource name is malformed.
    """
    asked = request.volume_snapshot
    return NewSnapshot(
        project=project_of(request.parent),
        volume=volume_of(asked.volume, "volume_snapshot.volume"),
        request_id=request_id,
        name=asked.display_name,
        description=asked.description,
    )


#: What can be changed: the field of the message, ours, and its value.
_CHANGES: Final[Mapping[str, tuple[str, Callable[[pb.Volume], Any]]]] = {
    "display_name": ("name", lambda volume: volume.display_name),
    "description": ("description", lambda volume: volume.description),
    "metadata": ("metadata", lambda volume: dict(volume.metadata)),
    "size_gb": ("size_gb", lambda volume: volume.size_gb),
}


def volume_changes(message: pb.Volume, mask: Iterable[str]) -> VolumeChanges:
    """What an update asks for (AIP-134).

    Raises:
        Invalid: The mask names what cannot be changed.
        pydantic.ValidationError: A field breaks a limit of ``VolumeChanges``.
    """
    paths = masked(message, mask, _CHANGES)
    return VolumeChanges(**{_CHANGES[path][0]: _CHANGES[path][1](message) for path in paths})
