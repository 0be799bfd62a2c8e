"""Volumes, as a client sees them."""

import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import QuotaFailure

from actors.model.details import AttachVolume, DetachVolume
from actors.model.ids import HostId, InstanceId, VolumeId
from actors.model.operation import Action
from actors.model.volume import VOLUME_LIMIT
from actors.model.volume_hold import Hold, Reserve
from protos.novaray.v1 import instances_pb2
from protos.novaray.v1 import volumes_pb2 as pb
from tests.gateway.cloud import ADMIN, READER, STRANGER, Client, Cloud, create, refused

CONFLICT, MISSING = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED


def making(name: str = "data", size_gb: int = 1, **fields: Any) -> pb.CreateVolumeRequest:
    request_id = fields.pop("request_id", "")
    volume = pb.Volume(display_name=name, size_gb=size_gb, **fields)
    return pb.CreateVolumeRequest(parent="projects/demo", volume=volume, request_id=request_id)


def snapping(volume: pb.Volume, name: str = "kept") -> pb.CreateVolumeSnapshotRequest:
    snapshot = pb.VolumeSnapshot(volume=volume.name, display_name=name)
    return pb.CreateVolumeSnapshotRequest(parent="projects/demo", volume_snapshot=snapshot)


async def get(client: Client, volume: pb.Volume) -> pb.Volume:
    found: pb.Volume = await client.volumes.GetVolume(pb.GetVolumeRequest(name=volume.name))
    return found


async def boot(cloud: Cloud) -> str:
    """The name of an instance that runs."""
    operation = await cloud.member.instances.CreateInstance(create())
    metadata = instances_pb2.InstanceOperationMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.instance


async def hold(cloud: Cloud, volume: pb.Volume, instance: str) -> None:
    """As the saga of an attach does it."""
    word = Hold(VolumeId(volume.uid), InstanceId(instance.rpartition("/")[2]), 2)
    owner = cloud.compute.volumes
    project = owner.ledger.volume(word.volume).project
    await owner.reserve(Reserve(word, project, HostId("h"), "host-1"))
    await owner.attached(word)


async def test_create_show_list_delete(cloud: Cloud) -> None:
    stub = cloud.member.volumes
    made = await stub.CreateVolume(making(description="words", metadata={"k": "v"}))
    assert made.name == f"projects/demo/volumes/{made.uid}"
    assert (made.display_name, made.size_gb, made.description) == ("data", 1, "words")
    assert (made.state, dict(made.metadata)) == (pb.Volume.STATE_AVAILABLE, {"k": "v"})
    assert (made.user, made.bootable, made.instance, made.host) == ("member", False, "", "")
    assert made.create_time.seconds
    assert await get(cloud.member, made) == made
    listed = await stub.ListVolumes(pb.ListVolumesRequest(parent="projects/demo"))
    assert list(listed.volumes) == [made]
    await stub.DeleteVolume(pb.DeleteVolumeRequest(name=made.name))
    await refused(get(cloud.member, made), MISSING, "VOLUME_NOT_FOUND")


async def test_a_request_makes_one(cloud: Cloud) -> None:
    request = making(request_id=str(uuid.uuid4()))
    made = await cloud.member.volumes.CreateVolume(request)
    assert await cloud.member.volumes.CreateVolume(request) == made
    listed = await cloud.member.volumes.ListVolumes(pb.ListVolumesRequest(parent="projects/demo"))
    assert len(listed.volumes) == 1


async def test_a_list_comes_in_pages_newest_first(cloud: Cloud) -> None:
    stub = cloud.member.volumes
    for name in ("a", "b", "c"):
        await stub.CreateVolume(making(name))
    first = await stub.ListVolumes(pb.ListVolumesRequest(parent="projects/demo", page_size=2))
    rest = await stub.ListVolumes(
        pb.ListVolumesRequest(parent="projects/demo", page_token=first.next_page_token)
    )
    assert [v.display_name for v in (*first.volumes, *rest.volumes)] == ["c", "b", "a"]
    assert not rest.next_page_token
    for condition, found in (("display_name = b", ["b"]), ("state = IN_USE", [])):
        listed = await stub.ListVolumes(
            pb.ListVolumesRequest(parent="projects/demo", filter=condition)
        )
        assert [volume.display_name for volume in listed.volumes] == found


async def test_a_volume_from_an_image_boots(cloud: Cloud) -> None:
    made = await cloud.member.volumes.CreateVolume(making(image="images/cirros"))
    assert (made.image, made.bootable) == ("images/cirros", True)
    request = create(image="", boot_volume=made.name, delete_boot_volume=True)
    await cloud.member.instances.CreateInstance(request)
    (command,) = cloud.compute.instances.commands
    assert (command.boot_volume, command.delete_boot_volume) == (made.uid, True)  # type: ignore[union-attr]
    assert command.source.image == "cirros"  # type: ignore[union-attr]


async def test_what_no_instance_can_boot_from(cloud: Cloud) -> None:
    stub, member = cloud.member.volumes, cloud.member.instances
    empty = await stub.CreateVolume(making())
    call = member.CreateInstance(create(image="", boot_volume=empty.name))
    await refused(call, INVALID, "VOLUME_NOT_BOOTABLE")
    taken = await stub.CreateVolume(making(image="images/cirros"))
    await hold(cloud, taken, await boot(cloud))
    call = member.CreateInstance(create(image="", boot_volume=taken.name))
    await refused(call, CONFLICT, "VOLUME_BUSY")
    thirsty = await stub.CreateVolume(making(image="images/thirsty"))
    call = member.CreateInstance(create(image="", boot_volume=thirsty.name))
    await refused(call, INVALID, "FLAVOR_TOO_SMALL")
    assert len(cloud.compute.instances.commands) == 1


async def test_a_volumes_size_is_what_its_image_needs(cloud: Cloud) -> None:
    made = await cloud.member.volumes.CreateVolume(making(size_gb=5, image="images/wide"))
    # The flavor's own disk of 1 GiB does not matter.
    await cloud.member.instances.CreateInstance(create(image="", boot_volume=made.name))


async def test_a_volume_is_described_anew_and_grows(cloud: Cloud) -> None:
    stub = cloud.member.volumes
    made = await stub.CreateVolume(making())
    other = pb.Volume(name=made.name, display_name="other", size_gb=2, etag=made.etag)
    changed = await stub.UpdateVolume(pb.UpdateVolumeRequest(volume=other))
    assert (changed.display_name, changed.size_gb, changed.uid) == ("other", 2, made.uid)
    aborted = grpc.StatusCode.ABORTED
    await refused(stub.UpdateVolume(pb.UpdateVolumeRequest(volume=other)), aborted, "ETAG_MISMATCH")
    smaller = pb.UpdateVolumeRequest(
        volume=pb.Volume(name=made.name, size_gb=1), update_mask=FieldMask(paths=["size_gb"])
    )
    await refused(stub.UpdateVolume(smaller), INVALID, "VOLUME_TOO_SMALL")


async def test_a_volume_in_use_grows_and_is_kept(cloud: Cloud) -> None:
    stub = cloud.member.volumes
    made = await stub.CreateVolume(making())
    await hold(cloud, made, await boot(cloud))
    cloud.compute.settle = False
    larger = pb.UpdateVolumeRequest(volume=pb.Volume(name=made.name, size_gb=3))
    grows = await stub.UpdateVolume(larger)
    assert (grows.state, grows.size_gb) == (pb.Volume.STATE_EXTENDING, 3)
    for state, found in (("EXTENDING", [grows]), ("IN_USE", [])):
        listed = await stub.ListVolumes(
            pb.ListVolumesRequest(parent="projects/demo", filter=f"state = {state}")
        )
        assert list(listed.volumes) == found
    cloud.compute.settle = True
    kept = await stub.CreateVolumeSnapshot(snapping(made))
    assert (await get(cloud.member, made)).state == pb.Volume.STATE_IN_USE
    kept = await stub.GetVolumeSnapshot(pb.GetVolumeSnapshotRequest(name=kept.name))
    assert (kept.state, kept.size_gb) == (pb.VolumeSnapshot.STATE_AVAILABLE, 3)


async def test_snapshots(cloud: Cloud) -> None:
    stub = cloud.member.volumes
    volume = await stub.CreateVolume(making())
    made = await stub.CreateVolumeSnapshot(snapping(volume))
    assert made.name == f"projects/demo/volumeSnapshots/{made.uid}"
    assert (made.volume, made.size_gb, made.display_name) == (volume.name, 1, "kept")
    assert made.state == pb.VolumeSnapshot.STATE_AVAILABLE
    assert await stub.GetVolumeSnapshot(pb.GetVolumeSnapshotRequest(name=made.name)) == made
    for condition, found in ((f"volume = {volume.uid}", [made]), ("display_name = x", [])):
        listed = await stub.ListVolumeSnapshots(
            pb.ListVolumeSnapshotsRequest(parent="projects/demo", filter=condition)
        )
        assert list(listed.volume_snapshots) == found
    delete = stub.DeleteVolume(pb.DeleteVolumeRequest(name=volume.name))
    await refused(delete, CONFLICT, "VOLUME_HAS_SNAPSHOTS")
    again = await stub.CreateVolume(making("again", snapshot=made.name))
    assert again.snapshot == made.name
    await stub.DeleteVolumeSnapshot(pb.DeleteVolumeSnapshotRequest(name=made.name))
    await stub.DeleteVolume(pb.DeleteVolumeRequest(name=volume.name))


async def test_attach_and_detach(cloud: Cloud) -> None:
    instance = await boot(cloud)
    volume = await cloud.member.volumes.CreateVolume(making())
    attach = instances_pb2.AttachVolumeRequest(
        name=instance, volume=volume.name, delete_on_termination=True, request_id=str(uuid.uuid4())
    )
    first = await cloud.member.instances.AttachVolume(attach)
    metadata = instances_pb2.InstanceOperationMetadata()
    first.metadata.Unpack(metadata)
    assert metadata.action == instances_pb2.InstanceOperationMetadata.ACTION_ATTACH_VOLUME
    await hold(cloud, volume, instance)
    # Sent again it is the same, although the volume is in use by now.
    assert (await cloud.member.instances.AttachVolume(attach)).name == first.name
    found = await cloud.member.instances.GetInstance(
        instances_pb2.GetInstanceRequest(name=instance)
    )
    (has,) = found.volumes
    assert (has.volume, has.device, has.delete_on_termination) == (volume.name, "/dev/vdb", True)
    used = await get(cloud.member, volume)
    assert (used.state, used.instance, used.host) == (pb.Volume.STATE_IN_USE, instance, "")
    assert (await get(cloud.connect(ADMIN), volume)).host == "host-1"
    detach = instances_pb2.DetachVolumeRequest(name=instance, volume=volume.name)
    await cloud.member.instances.DetachVolume(detach)
    commands = cloud.compute.instances.commands[1:]
    assert [(c.action, c.details) for c in commands] == [  # type: ignore[union-attr]
        (
            Action.ATTACH_VOLUME,
            AttachVolume(volume=VolumeId(volume.uid), delete_on_termination=True),
        ),
        (Action.DETACH_VOLUME, DetachVolume(volume=VolumeId(volume.uid))),
    ]


async def test_what_cannot_be_attached(cloud: Cloud) -> None:
    first, second = await boot(cloud), await boot(cloud)
    volume = await cloud.member.volumes.CreateVolume(making())
    await hold(cloud, volume, first)
    attach = instances_pb2.AttachVolumeRequest(name=second, volume=volume.name)
    await refused(cloud.member.instances.AttachVolume(attach), CONFLICT, "VOLUME_BUSY")
    other = pb.CreateVolumeRequest(parent="projects/other", volume=pb.Volume(size_gb=1))
    theirs = await cloud.connect(STRANGER).volumes.CreateVolume(other)
    for name in (theirs.name, theirs.name.replace("other", "demo")):
        attach = instances_pb2.AttachVolumeRequest(name=second, volume=name)
        # Not for admins either: it would leave its project.
        for client in (cloud.member, cloud.connect(ADMIN)):
            await refused(client.instances.AttachVolume(attach), INVALID, "VOLUME_NOT_FOUND")
    assert len(cloud.compute.instances.commands) == 2


async def test_another_projects_volumes_are_not_there(cloud: Cloud) -> None:
    volume = await cloud.member.volumes.CreateVolume(making())
    snapshot = await cloud.member.volumes.CreateVolumeSnapshot(snapping(volume))
    stranger: Any = cloud.connect(STRANGER).volumes
    for of in ("demo", "other"):
        name = volume.name.replace("demo", of)
        renamed = pb.Volume(name=name, display_name="mine")
        for call in (
            stranger.GetVolume(pb.GetVolumeRequest(name=name)),
            stranger.DeleteVolume(pb.DeleteVolumeRequest(name=name)),
            stranger.UpdateVolume(pb.UpdateVolumeRequest(volume=renamed)),
        ):
            await refused(call, MISSING, "VOLUME_NOT_FOUND")
        name = snapshot.name.replace("demo", of)
        for call in (
            stranger.GetVolumeSnapshot(pb.GetVolumeSnapshotRequest(name=name)),
            stranger.DeleteVolumeSnapshot(pb.DeleteVolumeSnapshotRequest(name=name)),
        ):
            await refused(call, MISSING, "VOLUME_SNAPSHOT_NOT_FOUND")
        copy = pb.Volume(size_gb=1, snapshot=name)
        call = stranger.CreateVolume(pb.CreateVolumeRequest(parent="projects/other", volume=copy))
        await refused(call, INVALID, "VOLUME_SNAPSHOT_NOT_FOUND")
        kept = pb.VolumeSnapshot(volume=volume.name.replace("demo", of))
        call = stranger.CreateVolumeSnapshot(
            pb.CreateVolumeSnapshotRequest(parent="projects/other", volume_snapshot=kept)
        )
        await refused(call, INVALID, "VOLUME_NOT_FOUND")
    for call in (
        stranger.ListVolumes(pb.ListVolumesRequest(parent="projects/demo")),
        stranger.ListVolumeSnapshots(pb.ListVolumeSnapshotsRequest(parent="projects/demo")),
        stranger.CreateVolume(making()),
    ):
        await refused(call, MISSING, "PROJECT_NOT_FOUND")
    await refused(
        stranger.ListVolumes(pb.ListVolumesRequest(parent="projects/-")), DENIED, "ROLE_MISSING"
    )
    everything = pb.ListVolumesRequest(parent="projects/-")
    assert len((await cloud.connect(ADMIN).volumes.ListVolumes(everything)).volumes) == 1
    private = making(image="images/private")
    private.parent = "projects/other"
    await refused(stranger.CreateVolume(private), INVALID, "IMAGE_NOT_FOUND")


async def test_a_reader_changes_nothing(cloud: Cloud) -> None:
    volume = await cloud.member.volumes.CreateVolume(making())
    snapshot = await cloud.member.volumes.CreateVolumeSnapshot(snapping(volume))
    instance = await boot(cloud)
    reader = cloud.connect(READER)
    assert await get(reader, volume) == volume
    renamed = pb.Volume(name=volume.name, display_name="mine")
    given: Any = {"name": instance, "volume": volume.name}
    for call in (
        reader.volumes.CreateVolume(making()),
        reader.volumes.UpdateVolume(pb.UpdateVolumeRequest(volume=renamed)),
        reader.volumes.DeleteVolume(pb.DeleteVolumeRequest(name=volume.name)),
        reader.volumes.CreateVolumeSnapshot(snapping(volume)),
        reader.volumes.DeleteVolumeSnapshot(pb.DeleteVolumeSnapshotRequest(name=snapshot.name)),
        reader.instances.AttachVolume(instances_pb2.AttachVolumeRequest(**given)),
        reader.instances.DetachVolume(instances_pb2.DetachVolumeRequest(**given)),
    ):
        await refused(call, DENIED, "ROLE_MISSING")


@pytest.mark.parametrize("what", ["volumes", "snapshots"])
async def test_as_many_as_a_project_may_have(cloud: Cloud, what: str) -> None:
    stub = cloud.member.volumes
    volume = await stub.CreateVolume(making())
    owner = cloud.compute.volumes.ledger
    held = owner._volumes if what == "volumes" else owner._snapshots
    if what == "snapshots":
        await stub.CreateVolumeSnapshot(snapping(volume))
    (one,) = held.values()
    for number in range(VOLUME_LIMIT - 1):
        held[str(number)] = one  # type: ignore[index, assignment]
    call = stub.CreateVolume(making()) if what == "volumes" else None
    problem = await refused(
        call or stub.CreateVolumeSnapshot(snapping(volume)),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "VOLUME_QUOTA_EXCEEDED",
    )
    failure = problem.details["QuotaFailure"]
    assert isinstance(failure, QuotaFailure)
    assert failure.violations[0].subject == "projects/demo"
