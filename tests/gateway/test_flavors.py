"""Flavors, as administrators change them and as others see them."""

import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import BadRequest

from protos.novaray.v1 import flavors_pb2 as pb
from tests.gateway.cloud import ADMIN, STRANGER, Client, Cloud, create, refused

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
FORBIDDEN, FAILED = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION


def making(name: str = "big", flavor_id: str = "", **fields: Any) -> pb.CreateFlavorRequest:
    values = {"memory_mb": 512, "vcpus": 2, "disk_gb": 5, "public": True, **fields}
    return pb.CreateFlavorRequest(
        flavor_id=flavor_id,
        flavor=pb.Flavor(display_name=name, **values),
        request_id=str(uuid.uuid4()),
    )


async def seen(client: Client) -> set[str]:
    listed = await client.flavors.ListFlavors(pb.ListFlavorsRequest())
    return {flavor.display_name for flavor in listed.flavors}


async def test_create_list_show_delete(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN).flavors
    # Held by the gateway from here on.
    assert "big" not in await seen(cloud.member)
    made = await admin.CreateFlavor(
        making(
            flavor_id="big.1",
            ephemeral_gb=3,
            swap_mb=100,
            description="two\nlines",
            extra_specs={"hw:watchdog_action": "reset", "color": "red"},
        )
    )
    assert made == pb.Flavor(
        name="flavors/big.1",
        display_name="big",
        vcpus=2,
        memory_mb=512,
        disk_gb=5,
        ephemeral_gb=3,
        swap_mb=100,
        rxtx_factor=1.0,
        public=True,
        description="two\nlines",
        extra_specs={"hw:watchdog_action": "reset", "color": "red"},
    )
    assert await cloud.member.flavors.GetFlavor(pb.GetFlavorRequest(name=made.name)) == made
    assert "big" in await seen(cloud.member)
    await admin.DeleteFlavor(pb.DeleteFlavorRequest(name=made.name))
    assert "big" not in await seen(cloud.member)
    delete = pb.DeleteFlavorRequest(name=made.name)
    await refused(admin.DeleteFlavor(delete), MISSING, "FLAVOR_NOT_FOUND")


async def test_a_flavor_without_an_id_gets_a_uuid(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN).flavors
    request = making()
    made = await admin.CreateFlavor(request)
    assert uuid.UUID(made.name.removeprefix("flavors/")).version == 5
    # Its answer was lost, so it is sent again.
    assert await admin.CreateFlavor(request) == made
    exists = grpc.StatusCode.ALREADY_EXISTS
    await refused(admin.CreateFlavor(making()), exists, "FLAVOR_EXISTS")
    await refused(admin.CreateFlavor(making("other", "1")), exists, "FLAVOR_EXISTS")


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"memory_mb": 0}, "FIELD_INVALID", "flavor.memory_mb"),
        ({"vcpus": 0}, "FIELD_INVALID", "flavor.vcpus"),
        ({"disk_gb": -1}, "FIELD_INVALID", "flavor.disk_gb"),
        ({"memory_mb": 2**31}, "FIELD_INVALID", "flavor.memory_mb"),
        ({"swap_mb": 2**31}, "FIELD_INVALID", "flavor.swap_mb"),
        ({"rxtx_factor": -1.0}, "FIELD_INVALID", "flavor.rxtx_factor"),
        ({"rxtx_factor": float("nan")}, "FIELD_INVALID", "flavor.rxtx_factor"),
        ({"rxtx_factor": float("inf")}, "FIELD_INVALID", "flavor.rxtx_factor"),
        ({"name": ""}, "FIELD_INVALID", "flavor.display_name"),
        ({"name": "x" * 256}, "FIELD_INVALID", "flavor.display_name"),
        ({"flavor_id": "a/b"}, "FIELD_INVALID", "flavor_id"),
        ({"flavor_id": "x" * 256}, "FIELD_INVALID", "flavor_id"),
        ({"description": "\a"}, "FIELD_INVALID", "flavor.description"),
        ({"extra_specs": {"quota:cpu_shares": "1"}}, "EXTRA_SPEC_INVALID", "flavor.extra_specs"),
        ({"extra_specs": {"novaray:max_vcpus": "1"}}, "EXTRA_SPEC_INVALID", "flavor.extra_specs"),
    ],
)
async def test_what_is_wrong_is_named(
    cloud: Cloud, fields: dict[str, Any], reason: str, field: str
) -> None:
    call = cloud.connect(ADMIN).flavors.CreateFlavor(making(**fields))
    bad = (await refused(call, INVALID, reason)).details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [violation.field for violation in bad.field_violations] == [field]
    assert not cloud.compute.calls["create_flavor"]


async def test_the_description_changes_and_nothing_else(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN).flavors
    for mask in (FieldMask(), FieldMask(paths=["description"])):
        flavor = pb.Flavor(name="flavors/1", description=f"small {mask.paths}", vcpus=9)
        changed = await admin.UpdateFlavor(pb.UpdateFlavorRequest(flavor=flavor, update_mask=mask))
        assert (changed.description, changed.vcpus) == (flavor.description, 1)


async def test_extra_specs_are_set_and_unset(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN).flavors

    async def change(fields: dict[str, str], unset: tuple[str, ...] = ()) -> dict[str, str]:
        request = pb.ChangeFlavorExtraSpecsRequest(name="flavors/1", set=fields, unset=unset)
        return dict((await admin.ChangeFlavorExtraSpecs(request)).extra_specs)

    assert await change({"note": "a"}) == {"note": "a"}
    both = {"quota:disk_read_iops_sec": "100", "note": "b"}
    assert await change(both) == both
    assert await change({}, ("note", "never there")) == {"quota:disk_read_iops_sec": "100"}
    request = pb.ChangeFlavorExtraSpecsRequest(
        name="flavors/1", set={"quota:disk_total_iops_sec": "5"}
    )
    await refused(admin.ChangeFlavorExtraSpecs(request), INVALID, "EXTRA_SPEC_INVALID")
    # One call takes the one away and sets the other.
    total = dict(request.set)
    assert await change(total, ("quota:disk_read_iops_sec",)) == total


async def test_a_flavor_that_is_not_public_is_for_those_with_access(cloud: Cloud) -> None:
    admin, member, stranger = (cloud.connect(t) for t in (ADMIN, "t-member", STRANGER))
    made = await admin.flavors.CreateFlavor(making(flavor_id="own", public=False))
    assert "big" in await seen(admin)
    assert "big" not in await seen(member)
    get = pb.GetFlavorRequest(name=made.name)
    await refused(member.flavors.GetFlavor(get), MISSING, "FLAVOR_NOT_FOUND")
    booting = create(flavor=made.name)
    await refused(member.instances.CreateInstance(booting), INVALID, "FLAVOR_NOT_FOUND")

    add = pb.AddFlavorAccessRequest(name=made.name, project="projects/demo")
    for _ in range(2):
        assert list((await admin.flavors.AddFlavorAccess(add)).projects) == ["projects/demo"]
    listed = await admin.flavors.ListFlavorAccess(pb.ListFlavorAccessRequest(name=made.name))
    assert list(listed.projects) == ["projects/demo"]
    assert "big" in await seen(member)
    assert "big" not in await seen(stranger)
    await member.instances.CreateInstance(booting)
    (record,) = cloud.compute.instances.records.values()
    assert (record.flavor.projects, record.flavor.request_id) == ((), None)

    remove = pb.RemoveFlavorAccessRequest(name=made.name, project="projects/demo")
    for _ in range(2):
        assert not (await admin.flavors.RemoveFlavorAccess(remove)).projects
    await refused(member.flavors.GetFlavor(get), MISSING, "FLAVOR_NOT_FOUND")


async def test_a_public_flavor_has_no_access_list(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN).flavors
    name, project = "flavors/1", "projects/demo"
    for call in (
        admin.ListFlavorAccess(pb.ListFlavorAccessRequest(name=name)),
        admin.AddFlavorAccess(pb.AddFlavorAccessRequest(name=name, project=project)),
        admin.RemoveFlavorAccess(pb.RemoveFlavorAccessRequest(name=name, project=project)),
    ):
        await refused(call, FAILED, "FLAVOR_PUBLIC")


async def test_only_admins_change_flavors(cloud: Cloud) -> None:
    member = cloud.member.flavors
    name, project = "flavors/1", "projects/demo"
    calls: list[Any] = [
        member.CreateFlavor(making()),
        member.UpdateFlavor(pb.UpdateFlavorRequest(flavor=pb.Flavor(name=name))),
        member.ChangeFlavorExtraSpecs(
            pb.ChangeFlavorExtraSpecsRequest(name=name, set={"bad:\n": ""})
        ),
        member.DeleteFlavor(pb.DeleteFlavorRequest(name=name)),
        member.ListFlavorAccess(pb.ListFlavorAccessRequest(name=name)),
        member.AddFlavorAccess(pb.AddFlavorAccessRequest(name=name, project=project)),
        member.RemoveFlavorAccess(pb.RemoveFlavorAccessRequest(name=name, project=project)),
    ]
    for call in calls:
        await refused(call, FORBIDDEN, "ROLE_MISSING")
    assert len(cloud.compute.catalog.all_flavors) == 7
