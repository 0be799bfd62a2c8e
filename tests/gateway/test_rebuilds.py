"""Rebuild and rescue, from a client's request to what the cluster is asked for."""

import base64
import uuid
from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from google.rpc.error_details_pb2 import BadRequest

from actors.model.commands import InstanceCommand
from actors.model.details import Rebuild, RescueBoot, Unrescue
from actors.model.operation import Action
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import DISK, MEMBER, READER, UEC, Cloud, Problem, create, refused

META = pb.InstanceOperationMetadata
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def metadata(operation: Operation) -> META:
    found = META()
    assert operation.metadata.Unpack(found)
    return found


async def booted(cloud: Cloud, **fields: Any) -> str:
    """The name of an instance that runs."""
    return metadata(await cloud.member.instances.CreateInstance(create("vm", **fields))).instance


def asked(cloud: Cloud) -> InstanceCommand:
    """What the cluster was asked last."""
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, InstanceCommand)
    return command


async def test_a_rebuild_changes_what_it_says(cloud: Cloud) -> None:
    name = await booted(cloud)
    operation = await cloud.member.instances.RebuildInstance(
        pb.RebuildInstanceRequest(
            name=name,
            image=f"images/{UEC}",
            display_name="anew",
            metadata={"role": "web"},
            key_name="",
            user_data=b"#!/bin/sh\n",
            files={"/etc/motd": b"hello"},
            admin_password="s3same",
            grace_seconds=5,
        )
    )
    said, command = metadata(operation), asked(cloud)
    assert (said.action, said.admin_password) == (META.ACTION_REBUILD, "s3same")
    assert (command.action, command.grace_seconds) == (Action.REBUILD, 5)
    details, data = command.details, command.guest_data
    assert isinstance(details, Rebuild)
    assert details.to.source.image == UEC
    assert details.to.source.kernel is not None
    assert (details.to.name, details.to.metadata) == ("anew", {"role": "web"})
    assert details.to.key_name == ""
    assert data is not None
    assert base64.b64decode(data.user_data) == b"#!/bin/sh\n"
    assert (list(data.files), data.admin_password) == (["/etc/motd"], "s3same")
    assert command.guest_data_keeps == frozenset()


async def test_a_rebuild_keeps_what_it_does_not_say(cloud: Cloud) -> None:
    name = await booted(cloud)
    request = pb.RebuildInstanceRequest(
        name=name, image=f"images/{DISK}", request_id=str(uuid.uuid4())
    )
    first = metadata(await cloud.member.instances.RebuildInstance(request))
    again = metadata(await cloud.member.instances.RebuildInstance(request))
    details = asked(cloud).details
    assert isinstance(details, Rebuild)
    assert (details.to.name, details.to.metadata, details.to.key_name) == (None, None, None)
    assert asked(cloud).guest_data_keeps == {"public_key", "user_data", "files"}
    assert len(first.admin_password) == 12
    assert again.admin_password == first.admin_password, "a retry is told what the guest has"
    got = await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=name))
    assert got.state == pb.Instance.STATE_ACTIVE


async def test_a_rescue_boots_the_image_that_is_named_or_its_own(cloud: Cloud) -> None:
    name = await booted(cloud)
    operation = await cloud.member.instances.RescueInstance(
        pb.RescueInstanceRequest(name=name, image=f"images/{UEC}")
    )
    details, data = asked(cloud).details, asked(cloud).guest_data
    assert isinstance(details, RescueBoot)
    assert details.source.image == UEC
    assert data is not None
    assert metadata(operation).admin_password == data.admin_password != ""
    assert asked(cloud).guest_data_keeps == {"public_key", "user_data", "files"}
    again: Problem = await refused(
        cloud.member.instances.RescueInstance(pb.RescueInstanceRequest(name=name)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVALID_STATE",
    )
    assert "Cannot rescue instance" in again.message
    assert "its state is rescued" in again.message
    await cloud.member.instances.UnrescueInstance(pb.UnrescueInstanceRequest(name=name))
    assert isinstance(asked(cloud).details, Unrescue)
    await cloud.member.instances.RescueInstance(pb.RescueInstanceRequest(name=name))
    details = asked(cloud).details
    assert isinstance(details, RescueBoot)
    assert details.source.image == DISK


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"image": "images/none"}, "IMAGE_NOT_FOUND", "image"),
        ({"image": "images/queued"}, "IMAGE_NOT_ACTIVE", "image"),
        ({"image": "images/large"}, "FLAVOR_TOO_SMALL", "flavor"),
        ({"image": "images/thirsty"}, "FLAVOR_TOO_SMALL", "flavor"),
        ({"display_name": " x"}, "FIELD_INVALID", "display_name"),
        ({"metadata": {"k": "v" * 256}}, "FIELD_INVALID", "metadata"),
        ({"key_name": "none"}, "KEYPAIR_NOT_FOUND", "key_name"),
        ({"user_data": b"x" * 65_535}, "USER_DATA_TOO_LARGE", "user_data"),
        ({"files": {"etc/motd": b""}}, "FIELD_INVALID", "files"),
        ({"request_id": "again"}, "REQUEST_ID_INVALID", "request_id"),
    ],
)
async def test_a_rebuild_that_cannot_be_changes_nothing(
    cloud: Cloud, fields: dict[str, Any], reason: str, field: str
) -> None:
    name = await booted(cloud)
    before = len(cloud.compute.instances.commands)
    request = pb.RebuildInstanceRequest(**{"name": name, "image": f"images/{DISK}", **fields})
    problem = await refused(cloud.member.instances.RebuildInstance(request), INVALID, reason)
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [each.field for each in bad.field_violations] == [field]
    assert len(cloud.compute.instances.commands) == before


@pytest.mark.parametrize(
    ("image", "reason"),
    [("images/none", "IMAGE_NOT_FOUND"), ("images/thirsty", "FLAVOR_TOO_SMALL")],
)
async def test_a_rescue_needs_an_image_that_boots(cloud: Cloud, image: str, reason: str) -> None:
    request = pb.RescueInstanceRequest(name=await booted(cloud), image=image)
    await refused(cloud.member.instances.RescueInstance(request), INVALID, reason)


async def test_a_rescue_image_may_be_larger_than_the_disk(cloud: Cloud) -> None:
    request = pb.RescueInstanceRequest(name=await booted(cloud), image="images/large")
    await cloud.member.instances.RescueInstance(request)
    assert asked(cloud).action is Action.RESCUE


async def test_readers_do_neither(cloud: Cloud) -> None:
    name = await booted(cloud)
    stub = cloud.connect(READER).instances
    for call in (
        stub.RebuildInstance(pb.RebuildInstanceRequest(name=name, image=f"images/{DISK}")),
        stub.RescueInstance(pb.RescueInstanceRequest(name=name)),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")


async def test_with_an_etag_only_what_was_seen_is_changed(cloud: Cloud) -> None:
    name = await booted(cloud)
    stub = cloud.connect(MEMBER).instances
    seen = await stub.GetInstance(pb.GetInstanceRequest(name=name))
    await stub.StopInstance(pb.StopInstanceRequest(name=name))
    request = pb.RebuildInstanceRequest(name=name, image=f"images/{DISK}", etag=seen.etag)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.RebuildInstance(request)
    assert caught.value.code() is grpc.StatusCode.ABORTED
