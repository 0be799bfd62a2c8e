"""Instances, as a client of the project sees them."""

import asyncio
import uuid

import grpc
import pytest
from google.longrunning.operations_pb2 import GetOperationRequest

from actors.model.ids import FlavorId
from protos.novaray.v1 import instances_pb2 as pb
from tests.gateway.cloud import ADMIN, KERNEL, RAMDISK, READER, UEC, Cloud, create, refused

META = pb.InstanceOperationMetadata


async def booted(cloud: Cloud, name: str = "vm") -> pb.Instance:
    """An instance that runs."""
    operation = await cloud.member.instances.CreateInstance(create(name))
    metadata = META()
    operation.metadata.Unpack(metadata)
    return await cloud.member.instances.GetInstance(pb.GetInstanceRequest(name=metadata.instance))


async def test_create_answers_with_an_operation_and_the_instance_is_there(cloud: Cloud) -> None:
    cloud.compute.settle = False
    operation = await cloud.member.instances.CreateInstance(
        create("web", instance=pb.Instance(display_name="web", metadata={"k": "v"}))
    )
    metadata = META()
    assert operation.metadata.Unpack(metadata)
    assert not operation.done
    assert (metadata.action, metadata.state) == (META.ACTION_CREATE, META.STATE_RUNNING)
    instance = await cloud.member.instances.GetInstance(
        pb.GetInstanceRequest(name=metadata.instance)
    )
    assert instance.state == pb.Instance.STATE_BUILD
    assert instance.operation == operation.name
    assert dict(instance.metadata) == {"k": "v"}
    assert instance.flavor.display_name == "m1.tiny"
    assert instance.etag == 'W/"1"'


async def test_an_operation_that_succeeded_has_the_instance(cloud: Cloud) -> None:
    accepted = await cloud.member.instances.CreateInstance(create("web"))
    operation = await cloud.member.operations.GetOperation(GetOperationRequest(name=accepted.name))
    instance = pb.Instance()
    assert operation.done
    assert operation.response.Unpack(instance)
    assert (instance.display_name, instance.state) == ("web", pb.Instance.STATE_ACTIVE)


async def test_stop_start_delete(cloud: Cloud) -> None:
    name = (await booted(cloud)).name
    stub = cloud.member.instances
    await stub.StopInstance(pb.StopInstanceRequest(name=name, grace_seconds=5))
    stopped = await stub.GetInstance(pb.GetInstanceRequest(name=name))
    assert stopped.state == pb.Instance.STATE_SHUTOFF
    await stub.StartInstance(pb.StartInstanceRequest(name=name, etag=stopped.etag))
    await stub.DeleteInstance(pb.DeleteInstanceRequest(name=name))
    await refused(
        stub.GetInstance(pb.GetInstanceRequest(name=name)),
        grpc.StatusCode.NOT_FOUND,
        "INSTANCE_NOT_FOUND",
    )
    stop = cloud.compute.instances.commands[1]
    assert getattr(stop, "grace_seconds", None) == 5


async def test_the_boot_source_has_kernel_and_ramdisk(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create(image=f"images/{UEC}"))
    (command,) = cloud.compute.instances.commands
    source = getattr(command, "source", None)
    assert source is not None
    assert (source.kernel.image, source.ramdisk.image) == (KERNEL, RAMDISK)
    # The kernel stands for the one disk that boots with it, but is what was asked for.
    await cloud.member.instances.CreateInstance(create(image=f"images/{KERNEL}"))
    asked = getattr(cloud.compute.instances.commands[-1], "source", None)
    assert asked == source.evolve(image=KERNEL, image_name=KERNEL)
    assert source.command_line == "console=ttyS0"


async def test_the_boot_source_has_the_time_its_guest_takes_to_shut_down(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create(image="images/slow"))
    (command,) = cloud.compute.instances.commands
    source = getattr(command, "source", None)
    assert source is not None
    assert source.shutdown_timeout == 90


async def test_the_boot_source_has_the_images_firmware(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create(image="images/efi"))
    (command,) = cloud.compute.instances.commands
    source = getattr(command, "source", None)
    assert source is not None
    assert source.firmware == "uefi"


async def test_the_same_request_id_makes_one_instance(cloud: Cloud) -> None:
    request = create(request_id=str(uuid.uuid4()))
    first = await cloud.member.instances.CreateInstance(request)
    second = await cloud.member.instances.CreateInstance(request)
    assert first.name == second.name
    assert len(cloud.compute.instances.records) == 1


async def test_the_same_request_id_stops_once(cloud: Cloud) -> None:
    name = (await booted(cloud)).name
    request = pb.StopInstanceRequest(name=name, request_id=str(uuid.uuid4()))
    first = await cloud.member.instances.StopInstance(request)
    assert (await cloud.member.instances.StopInstance(request)).name == first.name
    await refused(
        cloud.member.instances.StartInstance(
            pb.StartInstanceRequest(name=name, request_id=request.request_id)
        ),
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_TAKEN",
    )


async def test_a_burst_of_creates_reads_the_catalog_once(cloud: Cloud) -> None:
    catalog = cloud.server.application.catalog
    for held in (catalog._flavors, catalog._images):
        held._now = lambda: 0.0  # however long the burst takes this machine
    await asyncio.gather(
        *(cloud.member.instances.CreateInstance(create(str(number))) for number in range(30))
    )
    assert (cloud.compute.calls["flavors"], cloud.compute.calls["images"]) == (1, 1)


async def test_a_flavor_that_was_just_made_is_found(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create())
    new = cloud.compute.catalog.all_flavors[0].evolve(id=FlavorId("new"))
    cloud.compute.catalog.all_flavors.append(new)
    await asyncio.sleep(0.06)
    await cloud.member.instances.CreateInstance(create(flavor="flavors/new"))


async def test_pages_follow_each_other_without_a_gap(cloud: Cloud) -> None:
    for number in range(5):
        await cloud.member.instances.CreateInstance(create(f"vm-{number}"))
    names, token = [], ""
    for size in (2, 0, 2, 2):
        if size == 0:
            # Something new at the front moves no page.
            await cloud.member.instances.CreateInstance(create("late"))
            continue
        page = await cloud.member.instances.ListInstances(
            pb.ListInstancesRequest(parent="projects/demo", page_size=size, page_token=token)
        )
        names += [instance.display_name for instance in page.instances]
        token = page.next_page_token
    assert names == ["vm-4", "vm-3", "vm-2", "vm-1", "vm-0"]
    assert token == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["b", "a"]),
        ('display_name = "a"', ["a"]),
        ("state = ACTIVE AND display_name=b", ["b"]),
        ("state = ERROR", []),
    ],
)
async def test_filters(cloud: Cloud, text: str, expected: list[str]) -> None:
    for name in "ab":
        await cloud.member.instances.CreateInstance(create(name))
    page = await cloud.member.instances.ListInstances(
        pb.ListInstancesRequest(parent="projects/demo", filter=text)
    )
    assert [instance.display_name for instance in page.instances] == expected


async def test_console_output(cloud: Cloud) -> None:
    instance = await booted(cloud)
    (key,) = cloud.compute.instances.records
    cloud.compute.instances.consoles[key] = b"hello login: "
    piece = await cloud.connect(READER).instances.GetConsoleOutput(
        pb.GetConsoleOutputRequest(name=instance.name, offset=-7, max_bytes=5)
    )
    assert (piece.data, piece.next_offset) == (b"login", 11)


async def test_only_admins_see_hosts_and_other_projects(cloud: Cloud) -> None:
    admin = cloud.connect(ADMIN)
    await admin.instances.CreateInstance(create(host="host-1"))
    seen = []
    for client, parent in ((admin, "projects/-"), (cloud.member, "projects/demo")):
        page = await client.instances.ListInstances(pb.ListInstancesRequest(parent=parent))
        seen += [(instance.host, bool(instance.host_hash)) for instance in page.instances]
    assert seen == [("host-1", True), ("", True)]
