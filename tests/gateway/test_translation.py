"""Records on the wire: every field, every word of every enumeration."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from actors.lifecycle.status import status_of
from actors.model.errors import Invalid, Kind
from actors.model.host import HostState
from actors.model.ids import (
    ImageId,
    InstanceId,
    OperationId,
    ProjectId,
    RequestId,
    UserId,
    VolumeId,
)
from actors.model.image import DiskFormat, ImageStatus
from actors.model.instance import (
    AttachedVolume,
    DiskSnapshot,
    Fault,
    InstanceRecord,
    Lock,
    PowerState,
    Rescue,
    Status,
    TaskState,
    VmState,
)
from actors.model.operation import (
    Action,
    OperationRecord,
    OperationState,
    StepEntry,
    StepState,
)
from gateway.app.guest_data import NewGuestData
from gateway.rpc.names import etag, generation_of, instance_of
from gateway.rpc.translate import hosts, images, instances, operations
from gateway.rpc.translate.catalog import flavor_message
from gateway.rpc.translate.hosts import host_message
from gateway.rpc.translate.images import image_message
from gateway.rpc.translate.instances import instance_message, new_instance
from gateway.rpc.translate.instants import timestamp
from gateway.rpc.translate.operations import operation_message, progress
from protos.novaray.v1 import hosts_pb2, images_pb2
from protos.novaray.v1 import instances_pb2 as pb
from tests.contract.records import flavor, nic, source
from tests.gateway.cloud import HOST, NOW, create, image

ID = InstanceId("7c9e6679-7425-40de-944b-e07fc1f90ae7")
PROJECT = ProjectId("demo")
FAULT = Fault(
    kind="no_valid_host",
    reason="NO_VALID_HOST",
    message="No host has room.",
    hosts={"host-1": "RamFilter"},
    created=NOW,
)
RECORD = InstanceRecord(
    id=ID,
    project=PROJECT,
    user=UserId("alice"),
    name="web",
    request_id=RequestId("r"),
    generation=7,
    vm_state=VmState.ERROR,
    task_state=TaskState.DELETING,
    power_state=PowerState.CRASHED,
    flavor=flavor(),
    source=source(),
    host="host-1",
    availability_zone="zone-1",
    key_name="laptop",
    metadata={"k": "v"},
    description="the first",
    hostname="web-1",
    tags=("blue",),
    lock=Lock(user=UserId("root"), by_admin=True, reason="audit"),
    rescue=Rescue(source=source()),
    volumes=(AttachedVolume(volume=VolumeId("v"), target="vdb", size_gb=1),),
    snapshots=(DiskSnapshot(name="monday", layer="", disk_gb=1, created=NOW),),
    config_drive=True,
    nics=(nic(),),
    fault=FAULT,
    operation=OperationId(f"{ID}.2"),
    sequence=2,
    created=NOW,
    updated=NOW + timedelta(seconds=1),
    launched=NOW + timedelta(seconds=2),
    terminated=NOW + timedelta(seconds=3),
)
OPERATION = OperationRecord(
    id=OperationId(f"{ID}.2"),
    instance=ID,
    sequence=2,
    project=PROJECT,
    user=UserId("alice"),
    action=Action.CREATE,
    request_id=RequestId("r"),
    attempt=2,
    step_count=6,
    steps=(
        StepEntry(name="claim", attempt=1, state=StepState.UNDONE, started=NOW, finished=NOW),
        StepEntry(name="claim", attempt=2, state=StepState.SUCCEEDED, started=NOW, finished=NOW),
        StepEntry(name="ports", attempt=2, state=StepState.SUCCEEDED, started=NOW, finished=NOW),
        StepEntry(name="image", attempt=2, state=StepState.STARTED, started=NOW, error="slow"),
    ),
    host="host-1",
    waiting_for="host host-1",
    created=NOW,
    updated=NOW,
)


def test_an_instance_has_every_field() -> None:
    message = instance_message(RECORD, admin=True)
    assert {field.name for field, _ in message.ListFields()} == set(
        pb.Instance.DESCRIPTOR.fields_by_name
    )
    shown = MessageToDict(message, preserving_proto_field_name=True)
    del shown["flavor"]
    assert shown == {
        "name": f"projects/demo/instances/{ID}",
        "uid": ID,
        "display_name": "web",
        "state": "STATE_ERROR",
        "vm_state": "VM_STATE_ERROR",
        "task_state": "TASK_STATE_DELETING",
        "power_state": "POWER_STATE_CRASHED",
        "image": f"images/{RECORD.source.image}",
        "image_display_name": "blank",
        "user": "alice",
        "host": "host-1",
        # Nova: sha224 of project id and host name.
        "host_hash": "baa5cf9b80e688c38c4ac09ef1307c77838c451b0fe3289ad8def692",
        "availability_zone": "zone-1",
        "key_name": "laptop",
        "metadata": {"k": "v"},
        "description": "the first",
        "hostname": "web-1",
        "tags": ["blue"],
        "locked": True,
        "locked_reason": "audit",
        "memory_mb": str(RECORD.flavor.memory_mb),
        "vcpus": 1,
        "snapshots": [
            {"display_name": "monday", "disk_gb": 1, "create_time": "2026-01-05T00:00:00Z"}
        ],
        "rescue_image": f"images/{RECORD.source.image}",
        "volumes": [{"volume": "projects/demo/volumes/v", "device": "/dev/vdb", "size_gb": "1"}],
        "config_drive": True,
        "addresses": [
            {
                "network": "flat",
                "address": str(nic().address),
                "mac": nic().mac,
                "port": nic().port,
                "network_uid": nic().network.id,
            }
        ],
        "fault": {
            "reason": "NO_VALID_HOST",
            "message": "No host has room.",
            "hosts": {"host-1": "RamFilter"},
            "create_time": "2026-01-05T00:00:00Z",
        },
        "operation": f"operations/{ID}.2",
        "create_time": "2026-01-05T00:00:00Z",
        "update_time": "2026-01-05T00:00:01Z",
        "launch_time": "2026-01-05T00:00:02Z",
        "terminate_time": "2026-01-05T00:00:03Z",
        "etag": 'W/"7"',
    }


def test_a_tenant_sees_no_host() -> None:
    message = instance_message(RECORD, admin=False)
    assert (message.host, dict(message.fault.hosts)) == ("", {})
    assert message.host_hash
    assert message.fault.message == "No host has room."
    operation = operation_message(OPERATION, admin=False)
    metadata = pb.InstanceOperationMetadata()
    operation.metadata.Unpack(metadata)
    assert metadata.host == ""


def test_flavors_that_are_shared_are_the_same() -> None:
    made: instances.Flavors = {}
    alone = instance_message(RECORD, admin=True)
    for _ in range(2):
        assert instance_message(RECORD, admin=True, flavors=made) == alone
    assert len(made) == 1
    assert alone.flavor == flavor_message(RECORD.flavor)


@pytest.mark.parametrize(
    ("words", "table", "enum", "prefix"),
    [
        (Status, instances._STATE, pb.Instance.State, "STATE"),
        (VmState, instances._VM_STATE, pb.Instance.VmState, "VM_STATE"),
        (TaskState, instances._TASK_STATE, pb.Instance.TaskState, "TASK_STATE"),
        (PowerState, instances._POWER_STATE, pb.Instance.PowerState, "POWER_STATE"),
        (Action, operations._ACTION, pb.InstanceOperationMetadata.Action, "ACTION"),
        (OperationState, operations._STATE, pb.InstanceOperationMetadata.State, "STATE"),
        (StepState, operations._STEP_STATE, pb.OperationStep.State, "STATE"),
        (HostState, hosts._STATE, hosts_pb2.Host.State, "STATE"),
        (ImageStatus, images._STATE, images_pb2.Image.State, "STATE"),
        (DiskFormat, images._DISK_FORMAT, images_pb2.Image.DiskFormat, "DISK_FORMAT"),
    ],
)
def test_each_word_has_its_own_on_the_wire(
    words: type[StrEnum], table: dict[Any, Any], enum: Any, prefix: str
) -> None:
    descriptor = enum.DESCRIPTOR
    assert set(words) == set(table) - {None}
    for word in words:
        name = f"{prefix}_{word.name}"
        assert table[word] == descriptor.values_by_name[name].number
    assert len(descriptor.values) == len(words) + 1


def test_the_status_is_the_derived_one() -> None:
    for vm_state in VmState:
        record = RECORD.evolve(vm_state=vm_state)
        word = pb.Instance.State.Name(instance_message(record, admin=False).state)
        assert word == f"STATE_{status_of(record)}"


def test_an_operation_under_way() -> None:
    message = operation_message(OPERATION, admin=True)
    metadata = pb.InstanceOperationMetadata()
    assert message.metadata.Unpack(metadata)
    assert (message.name, message.done) == (f"operations/{ID}.2", False)
    assert message.WhichOneof("result") is None
    shown = MessageToDict(metadata, preserving_proto_field_name=True)
    steps = shown.pop("steps")
    assert shown == {
        "instance": f"projects/demo/instances/{ID}",
        "action": "ACTION_CREATE",
        "state": "STATE_RUNNING",
        "step": "image",
        "progress_percent": 33,
        "attempt": 2,
        "waiting_for": "host host-1",
        "request_id": "r",
        "host": "host-1",
        "create_time": "2026-01-05T00:00:00Z",
        "update_time": "2026-01-05T00:00:00Z",
        "user": "alice",
    }
    assert [step["state"] for step in steps] == [
        "STATE_UNDONE",
        "STATE_SUCCEEDED",
        "STATE_SUCCEEDED",
        "STATE_STARTED",
    ]
    assert steps[3]["error"] == "slow"


@pytest.mark.parametrize(
    ("changes", "percent"),
    [
        ({"steps": ()}, 0),
        ({"attempt": 1}, 0),
        ({"state": OperationState.SUCCEEDED}, 100),
        ({"step_count": 2}, 99),
    ],
)
def test_progress(changes: dict[str, Any], percent: int) -> None:
    assert progress(OPERATION.evolve(**changes)) == percent


@pytest.mark.parametrize("kind", [*Kind, "of a newer release"])
def test_every_kind_of_fault_has_a_code(kind: str) -> None:
    failed = OPERATION.evolve(
        state=OperationState.FAILED, fault=FAULT.evolve(kind=kind), finished=NOW
    )
    message = operation_message(failed, admin=False)
    assert message.done
    assert message.error.code not in (0, 2)
    assert message.error.message == "No host has room."


def test_an_operation_that_failed_without_a_fault_says_so() -> None:
    for state in (OperationState.FAILED, OperationState.CANCELLED):
        message = operation_message(OPERATION.evolve(state=state), admin=False)
        assert message.error.code
        assert message.error.message.endswith(".")


def test_an_image() -> None:
    message = image_message(
        image("disk", kernel_id=ImageId("k"), ramdisk_id=ImageId("r"), properties={"os_type": "x"})
    )
    assert (message.kernel, message.ramdisk) == ("images/k", "images/r")
    assert message.virtual_size_bytes == 64 * 1024**2
    assert dict(message.properties) == {"os_type": "x"}
    assert (message.project, message.etag) == ("projects/demo", 'W/"1"')
    assert message.uploaded_size_bytes == message.size_bytes == 1000


def test_a_host() -> None:
    message = host_message(HOST)
    assert message.name == "hosts/host-1"
    assert (message.capacity.vcpus, message.claimed.vcpus) == (16, 1)
    assert message.instances == 1


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2100, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    ],
)
def test_instants_come_through(instant: datetime) -> None:
    message = timestamp(instant)
    assert message is not None
    assert message.ToDatetime(UTC) == instant


def test_a_create_request() -> None:
    new = new_instance(
        create(
            instance=pb.Instance(
                display_name="web",
                key_name="laptop",
                metadata={"k": "v"},
                hostname="db",
                config_drive=True,
            ),
            user_data=b"#!",
            files={"/f": b"x"},
            admin_password="s3same",
            availability_zone="z",
            host="h",
        ),
        "r",
    )
    assert (new.project, new.name, new.flavor, new.image) == ("demo", "web", "1", "cirros")
    assert (dict(new.metadata), new.availability_zone, new.host) == ({"k": "v"}, "z", "h")
    assert new.request_id == "r"
    assert (new.hostname, new.config_drive) == ("db", True)
    assert new.guest == NewGuestData("laptop", b"#!", {"/f": b"x"}, "s3same")


def test_names_and_etags_come_back() -> None:
    assert instance_of(instances.instance_name(PROJECT, ID)) == (PROJECT, ID)
    assert generation_of(etag(7)) == 7
    assert generation_of("") is None


@pytest.mark.parametrize("text", ["7", '"7"', 'W/"x"', 'W/"7"x', 'W/"' + "9" * 40 + '"'])
def test_a_wrong_etag(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        generation_of(text)
    assert caught.value.reason == "ETAG_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID,
        f"instances/{ID}",
        f"projects/demo/instances/{ID.upper()}",
        f"projects/-/instances/{ID}",
        f"projects/../instances/{ID}",
        f"projects/demo/instances/{ID}\n",
        f"projects/demo/instances/{ID}/x",
    ],
)
def test_a_wrong_name(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        instance_of(text)
    assert caught.value.reason == "RESOURCE_NAME_INVALID"
    assert list(caught.value.metadata) == ["name"]
