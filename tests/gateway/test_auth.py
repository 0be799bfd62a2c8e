"""Who may do what."""

import asyncio
from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import (
    CancelOperationRequest,
    GetOperationRequest,
    ListOperationsRequest,
    WaitOperationRequest,
)

from actors.model.identity import Role
from protos.novaray.v1 import hosts_pb2, images_pb2
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import ADMIN, PRIVATE, READER, STRANGER, Cloud, create, refused
from tests.gateway.rpcs import OPEN, RPCS

NEW_IMAGE = images_pb2.Image(
    display_name="x", disk_format=images_pb2.Image.DISK_FORMAT_RAW, public=True
)
PROTECTED = images_pb2.Image(name=f"images/{PRIVATE}", protected=True)
UPLOAD = images_pb2.UploadImageRequest(
    start=images_pb2.UploadImageRequest.Start(name=f"images/{PRIVATE}", size_bytes=1)
)
SOMEBODYS = "projects/demo/instances/00000000-0000-4000-8000-000000000000"
GUARDED = sorted(set(RPCS) - OPEN)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "TOKEN_MISSING"),
        ("Bearer wrong", "TOKEN_UNKNOWN"),
        ("Basic dXNlcg==", "TOKEN_MALFORMED"),
        ("Bearer ", "TOKEN_MALFORMED"),
    ],
)
async def test_every_method_needs_a_token(
    cloud: Cloud, name: str, authorization: str | None, reason: str
) -> None:
    rpc = RPCS[name]
    metadata = () if authorization is None else (("authorization", authorization),)
    await refused(
        rpc.call(cloud.connect(None).channel, rpc.request(), metadata),
        grpc.StatusCode.UNAUTHENTICATED,
        reason,
    )
    assert set(cloud.compute.calls) <= {"principal"}


def renamed(instance: str) -> pb.Instance:
    return pb.Instance(name=instance, display_name="other")


async def boot(cloud: Cloud) -> tuple[str, str]:
    """Names of an instance of the project and of the operation that made it."""
    cloud.compute.settle = False
    operation = await cloud.member.instances.CreateInstance(create())
    metadata = pb.InstanceOperationMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.instance, operation.name


async def test_a_reader_reads_and_no_more(cloud: Cloud) -> None:
    instance, operation = await boot(cloud)
    reader = cloud.connect(READER)
    await reader.instances.GetInstance(pb.GetInstanceRequest(name=instance))
    await reader.operations.GetOperation(GetOperationRequest(name=operation))
    calls: list[Any] = [
        reader.instances.CreateInstance(create()),
        reader.instances.DeleteInstance(pb.DeleteInstanceRequest(name=instance)),
        reader.instances.StartInstance(pb.StartInstanceRequest(name=instance)),
        reader.instances.StopInstance(pb.StopInstanceRequest(name=instance)),
        reader.instances.RestoreInstance(pb.RestoreInstanceRequest(name=instance)),
        reader.instances.UpdateInstance(pb.UpdateInstanceRequest(instance=renamed(instance))),
        reader.instances.TakeInstanceSnapshot(
            pb.TakeInstanceSnapshotRequest(name=instance, snapshot="x")
        ),
        reader.instances.CloneInstance(pb.CloneInstanceRequest(name=instance)),
        reader.instances.LockInstance(pb.LockInstanceRequest(name=instance)),
        reader.instances.UnlockInstance(pb.UnlockInstanceRequest(name=instance)),
        reader.operations.CancelOperation(CancelOperationRequest(name=operation)),
        reader.images.CreateImage(images_pb2.CreateImageRequest(image=NEW_IMAGE)),
        reader.images.UploadImage(iter([UPLOAD])),
        reader.images.UpdateImage(images_pb2.UpdateImageRequest(image=PROTECTED)),
        reader.images.DeleteImage(images_pb2.DeleteImageRequest(name=f"images/{PRIVATE}")),
    ]
    for call in calls:
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert len(cloud.compute.instances.commands) == 1
    assert not cloud.compute.calls["cancel"]


async def test_another_project_is_not_there(cloud: Cloud) -> None:
    instance, operation = await boot(cloud)
    stranger = cloud.connect(STRANGER)
    guessed = instance.replace("projects/demo", "projects/other")
    missing = instance[:-4] + "0000"
    said = set()
    for name in (instance, guessed, missing):
        calls: list[tuple[Any, str]] = [
            (stranger.instances.GetInstance(pb.GetInstanceRequest(name=name)), name),
            (stranger.instances.DeleteInstance(pb.DeleteInstanceRequest(name=name)), name),
            (
                stranger.instances.UpdateInstance(pb.UpdateInstanceRequest(instance=renamed(name))),
                name,
            ),
            (stranger.instances.CloneInstance(pb.CloneInstanceRequest(name=name)), name),
            (stranger.instances.LockInstance(pb.LockInstanceRequest(name=name)), name),
            (stranger.instances.GetConsoleOutput(pb.GetConsoleOutputRequest(name=name)), name),
        ]
        for call, asked in calls:
            problem = await refused(call, grpc.StatusCode.NOT_FOUND, "INSTANCE_NOT_FOUND")
            said.add(problem.message.replace(asked.rpartition("/")[2], "…"))
    assert said == {"Instance … could not be found."}
    others: list[tuple[Any, str]] = [
        (stranger.operations.GetOperation(GetOperationRequest(name=operation)), "OPERATION"),
        (stranger.operations.WaitOperation(WaitOperationRequest(name=operation)), "OPERATION"),
        (stranger.operations.CancelOperation(CancelOperationRequest(name=operation)), "OPERATION"),
        (
            stranger.operations.ListOperations(ListOperationsRequest(name="projects/demo")),
            "PROJECT",
        ),
        (
            stranger.instances.ListInstances(pb.ListInstancesRequest(parent="projects/demo")),
            "PROJECT",
        ),
        (stranger.instances.CreateInstance(create()), "PROJECT"),
        (
            stranger.instances.WatchInstances(
                pb.WatchInstancesRequest(parent="projects/demo")
            ).read(),
            "PROJECT",
        ),
    ]
    for call, what in others:
        await refused(call, grpc.StatusCode.NOT_FOUND, f"{what}_NOT_FOUND")
    assert len(cloud.compute.instances.commands) == 1


async def test_what_only_admins_may(cloud: Cloud) -> None:
    member = cloud.member
    calls: list[Any] = [
        member.hosts.ListHosts(hosts_pb2.ListHostsRequest()),
        member.hosts.GetHost(hosts_pb2.GetHostRequest(name="hosts/host-1")),
        member.instances.CreateInstance(create(host="host-1")),
        member.instances.ResetInstanceState(
            pb.ResetInstanceStateRequest(name=SOMEBODYS, state=pb.Instance.STATE_ERROR)
        ),
        member.instances.ListInstances(pb.ListInstancesRequest(parent="projects/-")),
        member.instances.ListInstances(
            pb.ListInstancesRequest(parent="projects/demo", filter="host = h")
        ),
        member.operations.ListOperations(ListOperationsRequest(name="projects/-")),
        member.instances.WatchInstances(pb.WatchInstancesRequest(parent="projects/-")).read(),
        member.images.CreateImage(images_pb2.CreateImageRequest(image=NEW_IMAGE)),
        member.images.UpdateImage(
            images_pb2.UpdateImageRequest(
                image=images_pb2.Image(name=f"images/{PRIVATE}", public=True)
            )
        ),
    ]
    for call in calls:
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    admin = cloud.connect(ADMIN)
    assert (await admin.hosts.ListHosts(hosts_pb2.ListHostsRequest())).hosts[0].state == (
        hosts_pb2.Host.STATE_UP
    )
    await admin.instances.ListInstances(pb.ListInstancesRequest(parent="projects/-"))


async def test_a_private_image_is_its_projects(cloud: Cloud) -> None:
    request = images_pb2.GetImageRequest(name=f"images/{PRIVATE}")
    assert (await cloud.member.images.GetImage(request)).display_name == PRIVATE
    stranger = cloud.connect(STRANGER)
    calls: list[Any] = [
        stranger.images.GetImage(request),
        stranger.images.UploadImage(iter([UPLOAD])),
        stranger.images.DownloadImage(
            images_pb2.DownloadImageRequest(name=f"images/{PRIVATE}")
        ).read(),
        stranger.images.UpdateImage(images_pb2.UpdateImageRequest(image=PROTECTED)),
        stranger.images.DeleteImage(images_pb2.DeleteImageRequest(name=f"images/{PRIVATE}")),
    ]
    for call in calls:
        await refused(call, grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND")
    listed = await stranger.images.ListImages(images_pb2.ListImagesRequest())
    assert PRIVATE not in {image.display_name for image in listed.images}


async def test_a_burst_looks_a_token_up_once(cloud: Cloud) -> None:
    # However long the burst takes this machine.
    cloud.server.application.auth._principals._now = lambda: 0.0
    request = pb.ListInstancesRequest(parent="projects/demo")
    await asyncio.gather(*(cloud.member.instances.ListInstances(request) for _ in range(20)))
    assert cloud.compute.calls["principal"] == 1


async def test_a_new_token_works_at_once(cloud: Cloud) -> None:
    request = pb.ListInstancesRequest(parent="projects/demo")
    client = cloud.connect("t-new")
    await refused(
        client.instances.ListInstances(request), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN"
    )
    cloud.compute.identity.add("t-new", "new", "demo", Role.MEMBER)
    await client.instances.ListInstances(request)
