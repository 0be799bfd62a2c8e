"""What changes without an operation, and deletes that can be taken back, as clients see them."""

from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import GetOperationRequest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask

from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import ADMIN, Cloud, create, refused

META = pb.InstanceOperationMetadata


async def booted(cloud: Cloud, name: str = "vm", **fields: Any) -> pb.Instance:
    """An instance that runs."""
    wanted = pb.Instance(display_name=name, **fields)
    operation = await cloud.member.instances.CreateInstance(create(name, instance=wanted))
    metadata = META()
    operation.metadata.Unpack(metadata)
    return await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=metadata.instance))


async def update(cloud: Cloud, name: str, *mask: str, **fields: Any) -> pb.Instance:
    request = pb.UpdateInstanceRequest(
        instance=pb.Instance(name=name, **fields), update_mask=FieldMask(paths=mask)
    )
    return await cloud.member.instances.UpdateInstance(request)


async def names(cloud: Cloud, filter_text: str = "") -> list[str]:
    request = pb.ListInstancesRequest(parent="projects/demo", filter=filter_text)
    response = await cloud.member.instances.ListInstances(request)
    return sorted(instance.display_name for instance in response.instances)


async def test_a_create_takes_description_and_tags(cloud: Cloud) -> None:
    made = await booted(cloud, description="the first", tags=["web", "blue", "web"])
    assert (made.description, list(made.tags)) == ("the first", ["web", "blue"])


async def test_an_update_changes_what_its_mask_names(cloud: Cloud) -> None:
    made = await booted(cloud, metadata={"k": "v"})
    after = await update(
        cloud, made.name, "display_name", "hostname", display_name="web", hostname="w", tags=["t"]
    )
    assert (after.display_name, after.hostname, list(after.tags)) == ("web", "w", [])
    assert dict(after.metadata) == {"k": "v"}
    assert after.etag != made.etag
    assert await names(cloud) == ["web"]


async def test_an_update_without_a_mask_changes_what_is_not_empty(cloud: Cloud) -> None:
    made = await booted(cloud, metadata={"k": "v"}, description="d")
    after = await update(cloud, made.name, tags=["t"])
    assert (after.display_name, dict(after.metadata), list(after.tags)) == ("vm", {"k": "v"}, ["t"])
    emptied = await update(cloud, made.name, "metadata", "tags", "description")
    assert (dict(emptied.metadata), list(emptied.tags), emptied.description) == ({}, [], "")


async def test_the_star_is_all_of_them(cloud: Cloud) -> None:
    made = await booted(cloud, metadata={"k": "v"}, tags=["t"])
    after = await update(cloud, made.name, "*", display_name="web", hostname="w")
    assert (after.display_name, dict(after.metadata), list(after.tags)) == ("web", {}, [])


async def test_an_update_of_what_was_seen_only(cloud: Cloud) -> None:
    made = await booted(cloud)
    await update(cloud, made.name, "metadata", metadata={"a": "1"}, etag=made.etag)
    again = await update(cloud, made.name, "metadata", metadata={"a": "1"}, etag=made.etag)
    assert dict(again.metadata) == {"a": "1"}
    await refused(
        update(cloud, made.name, "metadata", metadata={"b": "2"}, etag=made.etag),
        grpc.StatusCode.ABORTED,
        "ETAG_MISMATCH",
    )


async def test_metadata_waits_for_a_state_that_takes_it(cloud: Cloud) -> None:
    cloud.compute.settle = False
    made = await booted(cloud)
    await update(cloud, made.name, "display_name", display_name="web")
    problem = await refused(
        update(cloud, made.name, "metadata", metadata={"k": "v"}),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVALID_STATE",
    )
    assert "building" in problem.message


async def test_a_lock_says_why(cloud: Cloud) -> None:
    name = (await booted(cloud)).name
    stub = cloud.member.instances
    locked = await stub.LockInstance(pb.LockInstanceRequest(name=name, reason="audit"))
    assert (locked.locked, locked.locked_reason) == (True, "audit")
    calls: list[Any] = [
        stub.DeleteInstance(pb.DeleteInstanceRequest(name=name)),
        stub.DeleteInstance(pb.DeleteInstanceRequest(name=name, force=True)),
        stub.StopInstance(pb.StopInstanceRequest(name=name)),
        update(cloud, name, "display_name", display_name="x"),
    ]
    for call in calls:
        problem = await refused(call, grpc.StatusCode.FAILED_PRECONDITION, "INSTANCE_LOCKED")
        assert "(audit)" in problem.message
    again = await stub.LockInstance(pb.LockInstanceRequest(name=name, reason="other"))
    assert (again.etag, again.locked_reason) == (locked.etag, "audit")
    free = await stub.UnlockInstance(pb.UnlockInstanceRequest(name=name))
    assert not free.locked
    await stub.StopInstance(pb.StopInstanceRequest(name=name))


async def test_an_admin_s_lock_is_an_admin_s(cloud: Cloud) -> None:
    name = (await booted(cloud)).name
    admin = cloud.connect(ADMIN).instances
    await admin.LockInstance(pb.LockInstanceRequest(name=name))
    problem = await refused(
        cloud.member.instances.UnlockInstance(pb.UnlockInstanceRequest(name=name)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INSTANCE_LOCKED",
    )
    assert "Only an admin can unlock it." in problem.message
    await admin.StopInstance(pb.StopInstanceRequest(name=name))
    await admin.UnlockInstance(pb.UnlockInstanceRequest(name=name))


async def test_admins_reset_states(cloud: Cloud) -> None:
    name = (await booted(cloud)).name
    admin = cloud.connect(ADMIN).instances
    for state in (pb.Instance.STATE_ERROR, pb.Instance.STATE_ACTIVE):
        after = await admin.ResetInstanceState(pb.ResetInstanceStateRequest(name=name, state=state))
        assert after.state == state


async def test_lists_by_tags_and_lock(cloud: Cloud) -> None:
    blue = await booted(cloud, "blue", tags=["web", "blue"])
    await booted(cloud, "green", tags=["web", "green"])
    await cloud.member.instances.LockInstance(pb.LockInstanceRequest(name=blue.name))
    assert await names(cloud, "tags = web") == ["blue", "green"]
    assert await names(cloud, 'tags = "web,blue"') == ["blue"]
    assert await names(cloud, "locked = true") == ["blue"]
    assert await names(cloud, "locked = false AND tags = web") == ["green"]


async def test_a_delete_can_be_taken_back_where_instances_are_kept(cloud: Cloud) -> None:
    cloud.compute.instances.keeps = True
    name = (await booted(cloud)).name
    stub = cloud.member.instances
    request = pb.DeleteInstanceRequest(name=name, request_id="a" * 32)
    deleted = await stub.DeleteInstance(request)
    metadata = META()
    deleted.metadata.Unpack(metadata)
    assert metadata.action == META.ACTION_SOFT_DELETE
    done = await cloud.member.operations.GetOperation(GetOperationRequest(name=deleted.name))
    assert done.response.Unpack(Empty())
    assert await names(cloud) == []
    assert await names(cloud, "state = SOFT_DELETED") == ["vm"]
    await stub.RestoreInstance(pb.RestoreInstanceRequest(name=name))
    assert await names(cloud) == ["vm"]
    assert (await stub.GetInstance(pb.GetInstanceRequest(name=name))).state == (
        pb.Instance.STATE_ACTIVE
    )


@pytest.mark.parametrize("force", [True, False])
async def test_a_delete_deletes(cloud: Cloud, force: bool) -> None:
    """By force, and where nothing is kept."""
    cloud.compute.instances.keeps = force
    name = (await booted(cloud)).name
    stub = cloud.member.instances
    deleted = await stub.DeleteInstance(pb.DeleteInstanceRequest(name=name, force=force))
    metadata = META()
    deleted.metadata.Unpack(metadata)
    assert metadata.action == META.ACTION_DELETE
    await refused(
        stub.RestoreInstance(pb.RestoreInstanceRequest(name=name)),
        grpc.StatusCode.NOT_FOUND,
        "INSTANCE_NOT_FOUND",
    )


async def test_what_was_not_deleted_is_not_restored(cloud: Cloud) -> None:
    made = await booted(cloud)
    stub = cloud.member.instances
    problem = await refused(
        stub.RestoreInstance(pb.RestoreInstanceRequest(name=made.name)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVALID_STATE",
    )
    assert "restore" in problem.message
    assert "active" in problem.message
    assert await stub.GetInstance(pb.GetInstanceRequest(name=made.name)) == made
