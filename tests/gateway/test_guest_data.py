"""What a guest is told, from a client's request to what the cluster is asked for."""

import base64
import uuid

import grpc
import pytest
from google.longrunning.operations_pb2 import GetOperationRequest
from google.rpc.error_details_pb2 import BadRequest

from actors.model.guest_data import GuestData
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import Cloud, create, refused

META = pb.InstanceOperationMetadata


async def made(cloud: Cloud, request: pb.CreateInstanceRequest) -> tuple[META, pb.Instance]:
    """What the answer to a create says, and the instance."""
    operation = await cloud.member.instances.CreateInstance(request)
    metadata = META()
    operation.metadata.Unpack(metadata)
    get = pb.GetInstanceRequest(name=metadata.instance)
    return metadata, await cloud.member.instances.GetInstance(get)


def called(hostname: str) -> dict[str, object]:
    return {"instance": pb.Instance(display_name="w", hostname=hostname)}


def data_of(cloud: Cloud) -> GuestData:
    """What the cluster was asked to tell the guest."""
    command = cloud.compute.instances.commands[-1]
    data = command.guest_data
    assert data is not None
    return data


async def test_a_guest_is_told_what_its_request_says(cloud: Cloud) -> None:
    request = create(
        "web",
        instance=pb.Instance(display_name="web", hostname="db-1"),
        user_data=b"#!/bin/sh\n",
        files={"/etc/motd": b"hello"},
        admin_password="s3same:",
    )
    metadata, instance = await made(cloud, request)
    data = data_of(cloud)
    assert base64.b64decode(data.user_data) == b"#!/bin/sh\n"
    assert data.files == {"/etc/motd": base64.b64encode(b"hello").decode()}
    assert data.admin_password == metadata.admin_password == "s3same:"
    assert data.id == f"{instance.uid}.1"
    assert (instance.hostname, instance.config_drive) == ("db-1", True)


async def test_a_password_is_made_and_told_once(cloud: Cloud) -> None:
    request = create("web", request_id=str(uuid.uuid4()))
    first, _ = await made(cloud, request)
    again, instance = await made(cloud, request)
    other, _ = await made(cloud, create("web"))
    assert len(first.admin_password) == 12
    assert first.admin_password.isalnum()
    assert again.admin_password == first.admin_password, "a retry is told what the guest has"
    assert other.admin_password != first.admin_password
    get = await cloud.member.operations.GetOperation(GetOperationRequest(name=instance.operation))
    later = META()
    assert get.metadata.Unpack(later)
    assert later.admin_password == ""


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("My First_Instance", "my-first-instance"),
        ("web.example.org", "web-example-org"),
        ("-été-", "t"),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
async def test_a_guest_is_called_as_its_instance_is(cloud: Cloud, name: str, hostname: str) -> None:
    _, instance = await made(cloud, create(name))
    assert instance.hostname == hostname


async def test_a_name_of_which_nothing_is_left_gives_the_id(cloud: Cloud) -> None:
    _, instance = await made(cloud, create("日本"))
    assert instance.hostname == f"Server-{instance.uid}"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"user_data": b"x" * 49_150}, "USER_DATA_TOO_LARGE", "user_data"),
        ({"files": {f"/{n}": b"" for n in range(6)}}, "FIELD_INVALID", "files"),
        ({"files": {"/f": b"x" * (10 * 1024 + 1)}}, "FIELD_INVALID", "files"),
        ({"files": {"etc/motd": b""}}, "FIELD_INVALID", "files"),
        ({"files": {"/etc/../../x": b""}}, "FIELD_INVALID", "files"),
        ({"files": {"/etc/": b""}}, "FIELD_INVALID", "files"),
        ({"files": {"/a\nb": b""}}, "FIELD_INVALID", "files"),
        ({"files": {"/" + "x" * 255: b""}}, "FIELD_INVALID", "files"),
        ({"admin_password": "a\nroot:b"}, "FIELD_INVALID", "admin_password"),
        ({"admin_password": "x" * 256}, "FIELD_INVALID", "admin_password"),
        (called("a.b"), "HOSTNAME_INVALID", "instance.hostname"),
        (called("-a"), "HOSTNAME_INVALID", "instance.hostname"),
        (called("x" * 64), "HOSTNAME_INVALID", "instance.hostname"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_refused_by_its_field(
    cloud: Cloud, fields: dict[str, object], reason: str, field: str
) -> None:
    call = cloud.member.instances.CreateInstance(create("w", **fields))
    problem = await refused(call, grpc.StatusCode.INVALID_ARGUMENT, reason)
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [violation.field for violation in bad.field_violations] == [field]
    assert not cloud.compute.instances.commands


async def test_the_largest_user_data_is_taken(cloud: Cloud) -> None:
    await made(cloud, create("w", user_data=b"x" * 49_149))
    assert len(data_of(cloud).user_data) == 65_532
