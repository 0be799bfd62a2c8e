"""Key pairs, as a client sees them."""

import uuid
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, QuotaFailure

from actors.model.identity import Role
from actors.model.keypair import KEYPAIR_LIMIT
from protos.novaray.v1 import instances_pb2
from protos.novaray.v1 import keypairs_pb2 as pb
from tests.gateway.cloud import ADMIN, READER, STRANGER, Client, Cloud, create, refused

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@laptop"
FINGERPRINT = "0f:a2:0a:d7:38:3e:65:45:08:6b:63:84:1c:ff:dc:ba"
OTHER = KEY.replace("BUWFx", "BUWFy")
EXISTS, MISSING = grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND


def importing(
    name: str = "laptop", key: str = KEY, parent: str = "users/me", **fields: Any
) -> pb.CreateKeypairRequest:
    return pb.CreateKeypairRequest(
        parent=parent, keypair_id=name, keypair=pb.Keypair(public_key=key), **fields
    )


async def names(client: Client, parent: str = "users/me") -> list[str]:
    listed = await client.keypairs.ListKeypairs(pb.ListKeypairsRequest(parent=parent))
    return [keypair.name for keypair in listed.keypairs]


async def test_import_show_list_delete(cloud: Cloud) -> None:
    stub = cloud.member.keypairs
    made = await stub.CreateKeypair(importing("my key@home", f"  {KEY}\n"))
    assert made.name == "users/member/keypairs/my key@home"
    assert (made.display_name, made.type) == ("my key@home", pb.Keypair.TYPE_SSH)
    assert (made.public_key, made.fingerprint) == (KEY, FINGERPRINT)
    assert made.create_time.seconds
    for name in (made.name, "users/me/keypairs/my key@home"):
        assert await stub.GetKeypair(pb.GetKeypairRequest(name=name)) == made
    assert await names(cloud.member) == [made.name]
    await stub.DeleteKeypair(pb.DeleteKeypairRequest(name=made.name))
    assert await names(cloud.member) == []
    await refused(
        stub.DeleteKeypair(pb.DeleteKeypairRequest(name=made.name)), MISSING, "KEYPAIR_NOT_FOUND"
    )


async def test_a_list_comes_in_pages_by_name(cloud: Cloud) -> None:
    stub = cloud.member.keypairs
    for name in ("c", "a", "b"):
        await stub.CreateKeypair(importing(name))
    first = await stub.ListKeypairs(pb.ListKeypairsRequest(parent="users/me", page_size=2))
    rest = await stub.ListKeypairs(
        pb.ListKeypairsRequest(parent="users/me", page_token=first.next_page_token)
    )
    assert [k.display_name for k in (*first.keypairs, *rest.keypairs)] == ["a", "b", "c"]
    assert not rest.next_page_token


async def test_a_name_is_used_once_and_a_request_done_once(cloud: Cloud) -> None:
    stub = cloud.member.keypairs
    request = importing(request_id=str(uuid.uuid4()))
    made = await stub.CreateKeypair(request)
    assert await stub.CreateKeypair(request) == made
    # Nova: 409, also for the same key.
    await refused(stub.CreateKeypair(importing()), EXISTS, "KEYPAIR_EXISTS")
    await refused(
        stub.CreateKeypair(importing(key=OTHER, request_id=request.request_id)),
        EXISTS,
        "KEYPAIR_EXISTS",
    )


async def test_as_many_as_one_may_have(cloud: Cloud) -> None:
    for number in range(KEYPAIR_LIMIT):
        await cloud.member.keypairs.CreateKeypair(importing(str(number)))
    problem = await refused(
        cloud.member.keypairs.CreateKeypair(importing("one more")),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "KEYPAIR_QUOTA_EXCEEDED",
    )
    failure = problem.details["QuotaFailure"]
    assert isinstance(failure, QuotaFailure)
    assert failure.violations[0].subject == "users/member"


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (importing(name="a/b"), "FIELD_INVALID", "keypair_id"),
        (importing(name=""), "FIELD_INVALID", "keypair_id"),
        (importing(key="ssh-rsa AAAA"), "PUBLIC_KEY_INVALID", "keypair.public_key"),
        (
            importing(key="-----BEGIN RSA PRIVATE KEY-----"),
            "PUBLIC_KEY_INVALID",
            "keypair.public_key",
        ),
        (importing(parent="projects/demo"), "RESOURCE_NAME_INVALID", "parent"),
        (importing(request_id="7"), "REQUEST_ID_INVALID", "request_id"),
    ],
)
async def test_what_is_wrong_is_named(
    cloud: Cloud, request_: pb.CreateKeypairRequest, reason: str, field: str
) -> None:
    problem = await refused(
        cloud.member.keypairs.CreateKeypair(request_), grpc.StatusCode.INVALID_ARGUMENT, reason
    )
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [violation.field for violation in bad.field_violations] == [field]
    assert not cloud.compute.keypairs.held


async def test_another_users_keys_are_not_there(cloud: Cloud) -> None:
    mine = (await cloud.member.keypairs.CreateKeypair(importing())).name
    stranger = cloud.connect(STRANGER).keypairs
    for name in (mine, mine.replace("laptop", "guessed")):
        get, delete = pb.GetKeypairRequest(name=name), pb.DeleteKeypairRequest(name=name)
        await refused(stranger.GetKeypair(get), MISSING, "KEYPAIR_NOT_FOUND")
        await refused(stranger.DeleteKeypair(delete), MISSING, "KEYPAIR_NOT_FOUND")
    theirs = pb.ListKeypairsRequest(parent="users/member")
    await refused(stranger.ListKeypairs(theirs), MISSING, "USER_NOT_FOUND")
    request = importing(parent="users/member")
    await refused(stranger.CreateKeypair(request), MISSING, "USER_NOT_FOUND")
    # The same user of the same name in another project: keys are users', not projects'.
    cloud.compute.identity.add("t-elsewhere", "member", "other", Role.MEMBER)
    assert await names(cloud.connect("t-elsewhere")) == [mine]
    admin = cloud.connect(ADMIN)
    assert await names(admin, "users/member") == [mine]
    await admin.keypairs.DeleteKeypair(pb.DeleteKeypairRequest(name=mine))
    assert not cloud.compute.keypairs.held


async def test_a_reader_does_not_import_or_delete(cloud: Cloud) -> None:
    reader = cloud.connect(READER)
    assert await names(reader) == []
    name = "users/me/keypairs/laptop"
    for call in (
        reader.keypairs.CreateKeypair(importing()),
        reader.keypairs.DeleteKeypair(pb.DeleteKeypairRequest(name=name)),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")


async def test_an_instance_gets_a_copy_of_its_owners_key(cloud: Cloud) -> None:
    await cloud.member.keypairs.CreateKeypair(importing())
    request = create(instance=instances_pb2.Instance(display_name="vm", key_name="laptop"))
    await cloud.member.instances.CreateInstance(request)
    (command,) = cloud.compute.instances.commands
    assert command.guest_data is not None
    assert command.guest_data.public_key == KEY


async def test_a_key_that_is_not_there_makes_no_instance(cloud: Cloud) -> None:
    await cloud.member.keypairs.CreateKeypair(importing())
    stranger = cloud.connect(STRANGER)
    request = create(
        parent="projects/other",
        instance=instances_pb2.Instance(display_name="vm", key_name="laptop"),
    )
    problem = await refused(
        stranger.instances.CreateInstance(request),
        grpc.StatusCode.INVALID_ARGUMENT,
        "KEYPAIR_NOT_FOUND",
    )
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["instance.key_name"]
    assert not cloud.compute.calls["create"]
