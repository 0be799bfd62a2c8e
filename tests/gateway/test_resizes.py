"""Resize, from a client's request to what the cluster is asked for."""

from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest

from actors.model.commands import InstanceCommand
from actors.model.details import Resize
from actors.model.ids import InstanceId
from actors.model.instance import VmState
from actors.model.operation import Action
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import READER, Cloud, create, refused
from tests.gateway.test_rebuilds import metadata
from tests.local.records import NOW

META = pb.InstanceOperationMetadata
INVALID = grpc.StatusCode.INVALID_ARGUMENT
SMALL = "flavors/2"


async def booted(cloud: Cloud, **fields: Any) -> str:
    """The name of an instance that runs."""
    return metadata(await cloud.member.instances.CreateInstance(create("vm", **fields))).instance


def asked(cloud: Cloud) -> InstanceCommand:
    """What the cluster was asked last."""
    command = cloud.compute.instances.commands[-1]
    assert isinstance(command, InstanceCommand)
    return command


async def test_a_resize_carries_the_flavor(cloud: Cloud) -> None:
    request = pb.ResizeInstanceRequest(name=await booted(cloud), flavor=SMALL)
    said = metadata(await cloud.member.instances.ResizeInstance(request))
    assert said.action == META.ACTION_RESIZE
    command = asked(cloud)
    assert command.action is Action.RESIZE
    assert isinstance(command.details, Resize)
    assert (command.details.flavor.id, command.details.flavor.name) == ("2", "m1.small")


async def test_it_is_confirmed_or_reverted(cloud: Cloud) -> None:
    name, stub = await booted(cloud), cloud.member.instances
    instances = cloud.compute.instances
    record = await instances.get(InstanceId(name.rpartition("/")[2]))
    instances.put(record.evolve(vm_state=VmState.RESIZED, task_state=None, launched=NOW))
    request = pb.ConfirmInstanceResizeRequest(name=name)
    said = metadata(await stub.ConfirmInstanceResize(request))
    assert said.action == META.ACTION_CONFIRM_RESIZE
    instances.put(record.evolve(vm_state=VmState.RESIZED, task_state=None, launched=NOW))
    said = metadata(await stub.RevertInstanceResize(pb.RevertInstanceResizeRequest(name=name)))
    assert said.action == META.ACTION_REVERT_RESIZE


@pytest.mark.parametrize(
    ("flavor", "reason", "field"),
    [
        ("flavors/1", "RESIZE_SAME_FLAVOR", "flavor"),
        ("flavors/42", "RESIZE_DISK_SHRINKS", "flavor"),
        ("flavors/none", "FLAVOR_NOT_FOUND", "flavor"),
        ("", "RESOURCE_NAME_INVALID", "flavor"),
        ("images/1", "RESOURCE_NAME_INVALID", "flavor"),
    ],
)
async def test_what_cannot_be_changes_nothing(
    cloud: Cloud, flavor: str, reason: str, field: str
) -> None:
    name = await booted(cloud)
    before = len(cloud.compute.instances.commands)
    request = pb.ResizeInstanceRequest(name=name, flavor=flavor)
    problem = await refused(cloud.member.instances.ResizeInstance(request), INVALID, reason)
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [each.field for each in bad.field_violations] == [field]
    assert len(cloud.compute.instances.commands) == before


async def test_a_reader_resizes_nothing(cloud: Cloud) -> None:
    request = pb.ResizeInstanceRequest(name=await booted(cloud), flavor=SMALL)
    stub = cloud.connect(READER).instances
    await refused(stub.ResizeInstance(request), grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
