"""Another size while the guest runs, from a client's request to what the cluster is asked for."""

from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest

from actors.model.details import ChangeSize
from actors.model.flavor import Size
from actors.model.ids import InstanceId
from actors.model.instance import InstanceRecord, TaskState, VmState
from actors.model.operation import Action
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import READER, Cloud, refused
from tests.gateway.test_rebuilds import metadata
from tests.gateway.test_resizes import asked, booted

META = pb.InstanceOperationMetadata
INVALID, CONFLICT = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
MAXIMA = {"novaray:max_memory_mb": "1024", "novaray:max_vcpus": "4"}


async def growing(cloud: Cloud) -> tuple[str, InstanceRecord]:
    """An instance that may grow: its name and its record."""
    name = await booted(cloud)
    instances = cloud.compute.instances
    record = await instances.get(InstanceId(name.rpartition("/")[2]))
    record = record.evolve(flavor=record.flavor.evolve(extra_specs=MAXIMA))
    instances.put(record)
    return name, record


async def test_a_change_carries_what_is_to_change(cloud: Cloud) -> None:
    name, record = await growing(cloud)
    own = record.flavor.memory_mb
    request = pb.ChangeInstanceSizeRequest(name=name, memory_mb=own + 128)
    said = metadata(await cloud.member.instances.ChangeInstanceSize(request))
    assert said.action == META.ACTION_CHANGE_SIZE
    command = asked(cloud)
    assert (command.action, command.details) == (
        Action.CHANGE_SIZE,
        ChangeSize(memory_mb=own + 128),
    )


async def test_an_instance_shows_what_its_guest_has(cloud: Cloud) -> None:
    name, record = await growing(cloud)
    shown = await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=name))
    assert (shown.memory_mb, shown.vcpus) == (record.flavor.memory_mb, record.flavor.vcpus)
    cloud.compute.instances.put(record.evolve(size=Size(vcpus=3, memory_mb=1024)))
    shown = await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=name))
    assert (shown.memory_mb, shown.vcpus) == (1024, 3)
    assert shown.flavor.memory_mb == record.flavor.memory_mb


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "memory_mb"),
        ({"memory_mb": 1 << 20}, "memory_mb"),
        ({"memory_mb": 1}, "memory_mb"),
        ({"memory_mb": 513}, "memory_mb"),
        ({"vcpus": 5}, "vcpus"),
    ],
)
async def test_what_is_out_of_range_changes_nothing(
    cloud: Cloud, fields: dict[str, Any], field: str
) -> None:
    name, _ = await growing(cloud)
    before = len(cloud.compute.instances.commands)
    request = pb.ChangeInstanceSizeRequest(name=name, **fields)
    problem = await refused(
        cloud.member.instances.ChangeInstanceSize(request), INVALID, "SIZE_INVALID"
    )
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [each.field for each in bad.field_violations] == [field]
    assert len(cloud.compute.instances.commands) == before


async def test_a_flavor_without_a_maximum(cloud: Cloud) -> None:
    name = await booted(cloud)
    either: tuple[dict[str, Any], ...] = ({"memory_mb": 1024}, {"vcpus": 2})
    for fields in either:
        request = pb.ChangeInstanceSizeRequest(name=name, **fields)
        problem = await refused(
            cloud.member.instances.ChangeInstanceSize(request), CONFLICT, "SIZE_FIXED"
        )
        assert "novaray:max_" in problem.message


async def test_only_what_runs_and_is_left_alone_changes(cloud: Cloud) -> None:
    name, record = await growing(cloud)
    request = pb.ChangeInstanceSizeRequest(name=name, memory_mb=640)
    call = cloud.member.instances.ChangeInstanceSize
    for state in set(VmState) - {VmState.DELETED, VmState.ACTIVE}:
        cloud.compute.instances.put(record.evolve(vm_state=state, task_state=None))
        problem = await refused(call(request), CONFLICT, "INVALID_STATE")
        assert state.value in problem.message
        assert problem.info.metadata["action"] == "changeSize"
    cloud.compute.instances.put(record.evolve(task_state=TaskState.CHANGING_SIZE))
    problem = await refused(call(request), CONFLICT, "INSTANCE_BUSY")
    assert "changing size" in problem.message


async def test_a_reader_changes_nothing(cloud: Cloud) -> None:
    name, _ = await growing(cloud)
    request = pb.ChangeInstanceSizeRequest(name=name, memory_mb=640)
    stub = cloud.connect(READER).instances
    denied = grpc.StatusCode.PERMISSION_DENIED
    await refused(stub.ChangeInstanceSize(request), denied, "ROLE_MISSING")
