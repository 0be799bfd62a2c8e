"""Clones, from a client's request to what the cluster is asked for."""

import uuid
from typing import Any

import grpc
import pytest
from google.longrunning.operations_pb2 import Operation
from google.rpc.error_details_pb2 import BadRequest

from actors.model.commands import CloneInstance
from actors.model.ids import InstanceId
from actors.model.instance import TaskState, VmState
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import Cloud, create, refused

META = pb.InstanceOperationMetadata
CONFLICT = grpc.StatusCode.FAILED_PRECONDITION


def metadata(operation: Operation) -> META:
    found = META()
    assert operation.metadata.Unpack(found)
    return found


async def booted(cloud: Cloud, **fields: Any) -> str:
    """The name of an instance that runs on host-1."""
    name = metadata(await cloud.member.instances.CreateInstance(create("vm", **fields))).instance
    instances = cloud.compute.instances
    instances.put(instances.records[id_of(name)].evolve(host="host-1"))
    return name


def id_of(name: str) -> InstanceId:
    return InstanceId(name.rpartition("/")[2])


def asked(cloud: Cloud) -> CloneInstance:
    """What the cluster was asked last."""
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, CloneInstance)
    return command


async def clone(cloud: Cloud, name: str, **fields: Any) -> META:
    request = pb.CloneInstanceRequest(name=name, **fields)
    return metadata(await cloud.member.instances.CloneInstance(request))


async def test_a_clone_is_made_of_what_its_origin_is(cloud: Cloud) -> None:
    name = await booted(cloud, instance=pb.Instance(display_name="vm", metadata={"role": "web"}))
    origin = cloud.compute.instances.records[id_of(name)]
    said, command = await clone(cloud, name, display_name="second"), asked(cloud)
    assert (said.action, id_of(said.instance)) == (META.ACTION_CREATE, command.instance)
    assert command.instance != origin.id
    assert (command.origin, command.host) == (origin.id, "host-1")
    assert (command.name, command.hostname) == ("second", "second")
    assert (command.flavor, command.source) == (origin.flavor, origin.source)
    assert command.metadata == {"role": "web"}
    assert command.guest_data_from == origin.guest_data
    assert command.guest_data is not None
    assert command.guest_data.admin_password == said.admin_password


async def test_each_clone_has_its_own_password_and_id(cloud: Cloud) -> None:
    name = await booted(cloud)
    first, second = await clone(cloud, name), await clone(cloud, name)
    assert first.instance != second.instance
    assert first.admin_password != second.admin_password


@pytest.mark.parametrize(("name", "expected"), [("vm", "vm-clone"), ("x" * 255, "x" * 249)])
async def test_a_clone_without_a_name(cloud: Cloud, name: str, expected: str) -> None:
    origin = await booted(cloud, instance=pb.Instance(display_name=name))
    await clone(cloud, origin)
    assert asked(cloud).name == expected.removesuffix("-clone") + "-clone"


async def test_the_same_request_makes_one_clone(cloud: Cloud) -> None:
    """Also when the origin could not be cloned any more."""
    name, request = await booted(cloud), str(uuid.uuid4())
    first = await clone(cloud, name, request_id=request)
    instances = cloud.compute.instances
    instances.put(instances.records[id_of(name)].evolve(vm_state=VmState.ERROR))
    again = await clone(cloud, name, request_id=request)
    assert (again.instance, again.admin_password) == (first.instance, first.admin_password)
    assert len(instances.records) == 2


@pytest.mark.parametrize("state", sorted(set(VmState) - {VmState.DELETED}))
async def test_what_can_be_cloned(cloud: Cloud, state: VmState) -> None:
    name = await booted(cloud)
    instances = cloud.compute.instances
    instances.put(instances.records[id_of(name)].evolve(vm_state=state))
    if state in {VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED}:
        assert (await clone(cloud, name)).instance
        return
    call = cloud.member.instances.CloneInstance(pb.CloneInstanceRequest(name=name))
    problem = await refused(call, CONFLICT, "INVALID_STATE")
    assert "cannot clone" in problem.message.lower()


async def test_what_is_being_changed_cannot_be_cloned(cloud: Cloud) -> None:
    name = await booted(cloud)
    instances = cloud.compute.instances
    instances.put(instances.records[id_of(name)].evolve(task_state=TaskState.REBUILDING))
    call = cloud.member.instances.CloneInstance(pb.CloneInstanceRequest(name=name))
    await refused(call, CONFLICT, "INSTANCE_BUSY")


async def test_an_origin_that_has_changed(cloud: Cloud) -> None:
    name = await booted(cloud)
    etag = (await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=name))).etag
    await cloud.member.instances.StopInstance(pb.StopInstanceRequest(name=name))
    call = cloud.member.instances.CloneInstance(pb.CloneInstanceRequest(name=name, etag=etag))
    await refused(call, grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


@pytest.mark.parametrize("name", ["a\nb", "x" * 256, "   "])
async def test_a_name_that_is_wrong(cloud: Cloud, name: str) -> None:
    origin = await booted(cloud)
    request = pb.CloneInstanceRequest(name=origin, display_name=name)
    problem = await refused(
        cloud.member.instances.CloneInstance(request),
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
    )
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [one.field for one in bad.field_violations] == ["display_name"]
