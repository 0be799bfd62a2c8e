"""Snapshots, from a client's request to what the cluster is asked for."""

import uuid
from typing import Any

import grpc
import pytest

from actors.model.commands import InstanceCommand
from actors.model.details import OfSnapshot
from actors.model.ids import InstanceId
from actors.model.instance import DiskSnapshot
from actors.model.operation import Action
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import DISK, NOW, Cloud, create, refused
from tests.gateway.test_rebuilds import metadata

META = pb.InstanceOperationMetadata


async def booted(cloud: Cloud, *snapshots: str) -> str:
    """The name of an instance that runs, and has these snapshots."""
    name = metadata(await cloud.member.instances.CreateInstance(create("vm"))).instance
    instances = cloud.compute.instances
    record = await instances.get(InstanceId(name.rpartition("/")[2]))
    kept = tuple(
        DiskSnapshot(name=one, layer=str(uuid.uuid4()), disk_gb=1, created=NOW) for one in snapshots
    )
    instances.put(record.evolve(snapshots=kept))
    return name


def asked(cloud: Cloud) -> tuple[Action, OfSnapshot]:
    """What the cluster was asked last."""
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, InstanceCommand)
    assert isinstance(command.details, OfSnapshot)
    return command.action, command.details


async def test_a_snapshot_is_taken(cloud: Cloud) -> None:
    name, request_id = await booted(cloud), str(uuid.uuid4())
    request = pb.TakeInstanceSnapshotRequest(name=name, snapshot="monday", request_id=request_id)
    first = metadata(await cloud.member.instances.TakeInstanceSnapshot(request))
    assert first.action == META.ACTION_TAKE_SNAPSHOT
    action, details = asked(cloud)
    assert (action, details.name) == (Action.TAKE_SNAPSHOT, "monday")
    assert str(uuid.UUID(details.layer)) == details.layer


async def test_an_instance_shows_its_snapshots(cloud: Cloud) -> None:
    name = await booted(cloud, "monday", "tuesday")
    found = await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=name))
    assert [one.display_name for one in found.snapshots] == ["monday", "tuesday"]
    assert found.snapshots[0].disk_gb == 1
    assert found.snapshots[0].create_time.ToDatetime() == NOW.replace(tzinfo=None)


async def test_a_snapshot_is_gone_back_to_and_deleted(cloud: Cloud) -> None:
    name = await booted(cloud, "monday")
    restore = pb.RestoreInstanceSnapshotRequest(name=name, snapshot="monday", grace_seconds=5)
    said = metadata(await cloud.member.instances.RestoreInstanceSnapshot(restore))
    assert said.action == META.ACTION_RESTORE_SNAPSHOT
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, InstanceCommand)
    assert (asked(cloud)[1].name, command.grace_seconds) == ("monday", 5)
    delete = pb.DeleteInstanceSnapshotRequest(name=name, snapshot="monday")
    said = metadata(await cloud.member.instances.DeleteInstanceSnapshot(delete))
    assert said.action == META.ACTION_DELETE_SNAPSHOT


@pytest.mark.parametrize("verb", ["Restore", "Delete"])
async def test_a_snapshot_that_is_not_there(cloud: Cloud, verb: str) -> None:
    name = await booted(cloud, "monday")
    method = f"{verb}InstanceSnapshot"
    request = getattr(pb, f"{method}Request")(name=name, snapshot="tuesday")
    call = getattr(cloud.member.instances, method)(request)
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "SNAPSHOT_NOT_FOUND")


async def test_a_name_is_taken_once(cloud: Cloud) -> None:
    request = pb.TakeInstanceSnapshotRequest(name=await booted(cloud, "monday"), snapshot="monday")
    call = cloud.member.instances.TakeInstanceSnapshot(request)
    await refused(call, grpc.StatusCode.ALREADY_EXISTS, "SNAPSHOT_EXISTS")


async def test_there_are_not_more_than_32(cloud: Cloud) -> None:
    name = await booted(cloud, *map(str, range(32)))
    request = pb.TakeInstanceSnapshotRequest(name=name, snapshot="monday")
    call = cloud.member.instances.TakeInstanceSnapshot(request)
    await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SNAPSHOTS")


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("RebuildInstance", {"image": f"images/{DISK}"}),
        ("ResizeInstance", {"flavor": "flavors/2"}),
        ("ShelveInstance", {}),
    ],
)
async def test_what_would_leave_snapshots_behind(
    cloud: Cloud, method: str, fields: dict[str, Any]
) -> None:
    request = getattr(pb, f"{method}Request")(name=await booted(cloud, "monday"), **fields)
    call = getattr(cloud.member.instances, method)(request)
    problem = await refused(call, grpc.StatusCode.FAILED_PRECONDITION, "HAS_SNAPSHOTS")
    assert "Delete them first." in problem.message
