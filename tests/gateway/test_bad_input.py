"""Requests that are wrong: the code, the reason, the field, a sentence; and nothing is made."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure

from protos.novaray.v1 import instances_pb2 as pb
from protos.novaray.v1.flavors_pb2 import Flavor
from protos.novaray.v1.images_pb2 import Image, UploadImageRequest
from protos.novaray.v1.keypairs_pb2 import Keypair
from protos.novaray.v1.networks_pb2 import AddressRange, Network, Subnet
from protos.novaray.v1.volumes_pb2 import Volume, VolumeSnapshot
from tests.gateway.cloud import (
    ADMIN,
    MEMBER,
    QUEUED,
    RAMDISK,
    Cloud,
    Problem,
    create,
    refused,
)
from tests.gateway.rpcs import OPEN, RPCS

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOWHERE = "projects/demo/instances/00000000-0000-4000-8000-000000000000"
NO_VOLUME = "projects/demo/volumes/00000000-0000-4000-8000-000000000000"
NO_SNAPSHOT = "projects/demo/volumeSnapshots/00000000-0000-4000-8000-000000000000"
NO_OPERATION = "operations/00000000-0000-4000-8000-000000000000.1"

NO_NETWORK = "networks/00000000-0000-4000-8000-000000000000"

Fields = dict[str, Any]


def network(cidr: str = "10.1.0.0/24", **fields: Any) -> Network:
    own = {name: fields.pop(name) for name in Network.DESCRIPTOR.fields_by_name if name in fields}
    return Network(**{"display_name": "n", "subnets": [Subnet(cidr=cidr, **fields)], **own})


def pools(*ends: str) -> list[AddressRange]:
    return [
        AddressRange(first=f"10.1.0.{first}", last=f"10.1.0.{last}")
        for first, last in (end.split("-") for end in ends)
    ]


def named(name: str) -> Fields:
    return {"instance": pb.Instance(display_name=name)}


CREATE: list[tuple[Fields, str, str]] = [
    ({"flavor": "flavors/none"}, "FLAVOR_NOT_FOUND", "flavor"),
    ({"image": "images/none"}, "IMAGE_NOT_FOUND", "image"),
    ({"image": "images/private", "parent": "projects/other"}, "IMAGE_NOT_FOUND", "image"),
    ({"image": f"images/{QUEUED}"}, "IMAGE_NOT_ACTIVE", "image"),
    ({"image": f"images/{RAMDISK}"}, "IMAGE_NOT_BOOTABLE", "image"),
    ({"image": "images/lonely-kernel"}, "IMAGE_NOT_BOOTABLE", "image"),
    ({"image": "images/shared-kernel"}, "IMAGE_NOT_BOOTABLE", "image"),
    ({"image": "images/broken"}, "IMAGE_INCOMPLETE", "image"),
    ({"image": "images/confused"}, "IMAGE_INCOMPLETE", "image"),
    ({"image": "images/strange"}, "IMAGE_PROPERTY_INVALID", "image"),
    ({"image": "images/endless"}, "IMAGE_PROPERTY_INVALID", "image"),
    ({"image": "images/large"}, "FLAVOR_TOO_SMALL", "flavor"),
    ({"image": "images/thirsty"}, "FLAVOR_TOO_SMALL", "flavor"),
    ({"image": "images/wide"}, "FLAVOR_TOO_SMALL", "flavor"),
    ({"flavor": ""}, "RESOURCE_NAME_INVALID", "flavor"),
    ({"flavor": "images/1"}, "RESOURCE_NAME_INVALID", "flavor"),
    ({"image": "cirros"}, "RESOURCE_NAME_INVALID", "image"),
    ({"parent": ""}, "RESOURCE_NAME_INVALID", "parent"),
    ({"parent": "projects/-"}, "RESOURCE_NAME_INVALID", "parent"),
    ({"parent": "projects/a/b"}, "RESOURCE_NAME_INVALID", "parent"),
    (named(""), "FIELD_INVALID", "instance.display_name"),
    (named("   "), "FIELD_INVALID", "instance.display_name"),
    (named("x" * 256), "FIELD_INVALID", "instance.display_name"),
    (named("a\nb"), "FIELD_INVALID", "instance.display_name"),
    (named("bell\a"), "FIELD_INVALID", "instance.display_name"),
    (
        {"instance": pb.Instance(display_name="x", metadata={str(n): "" for n in range(129)})},
        "FIELD_INVALID",
        "instance.metadata",
    ),
    (
        {"instance": pb.Instance(display_name="x", metadata={"k": "v" * 256})},
        "FIELD_INVALID",
        "instance.metadata",
    ),
    (
        {"instance": pb.Instance(display_name="x", metadata={"k\n": "v"})},
        "FIELD_INVALID",
        "instance.metadata",
    ),
    ({"request_id": "again"}, "REQUEST_ID_INVALID", "request_id"),
    ({"image": ""}, "RESOURCE_NAME_INVALID", "image"),
    ({"boot_volume": NO_VOLUME}, "FIELD_INVALID", "image"),
    ({"image": "", "boot_volume": "data"}, "RESOURCE_NAME_INVALID", "boot_volume"),
    ({"image": "", "boot_volume": NO_VOLUME}, "VOLUME_NOT_FOUND", "boot_volume"),
]


def image(**fields: Any) -> Image:
    """An image that can be made but for what a test changes."""
    return Image(**{"display_name": "x", "disk_format": Image.DISK_FORMAT_QCOW2, **fields})


def start(name: str = f"images/{QUEUED}", **fields: Any) -> UploadImageRequest.Start:
    """The first message of an upload of 10 bytes."""
    return UploadImageRequest.Start(**{"name": name, "size_bytes": 10, **fields})


def volume(**fields: Any) -> Volume:
    """A volume that can be made but for what a test changes."""
    return Volume(**{"size_gb": 1, **fields})


def renamed(**fields: Any) -> Volume:
    """A change of a volume that is not there, but for what a test changes."""
    return Volume(**{"name": NO_VOLUME, **fields})


def snapshot(**fields: Any) -> VolumeSnapshot:
    """A snapshot that is to be made."""
    return VolumeSnapshot(**fields)


#: Method, fields of the request, code, reason. The issue's list, and at least one for every method.
OTHERS: list[tuple[str, Fields, grpc.StatusCode, str]] = [
    ("InstanceService.GetInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("InstanceService.GetInstance", {"name": "vm"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("InstanceService.GetInstance", {"name": NOWHERE + "/"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("InstanceService.GetInstance", {"name": "x" * 5000}, INVALID, "RESOURCE_NAME_INVALID"),
    ("InstanceService.GetInstance", {"name": "é☃"}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "InstanceService.ChangeInstanceSize",
        {"name": NOWHERE, "memory_mb": 256},
        MISSING,
        "INSTANCE_NOT_FOUND",
    ),
    *(
        (
            "InstanceService.ChangeInstanceSize",
            {"name": NOWHERE, field: n},
            INVALID,
            "FIELD_INVALID",
        )
        for field, n in (("memory_mb", 0), ("memory_mb", 1 << 31), ("vcpus", 0), ("vcpus", -1))
    ),
    ("InstanceService.ListInstances", {"page_size": -1}, INVALID, "PAGE_SIZE_INVALID"),
    ("InstanceService.ListInstances", {"page_token": "stale"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("InstanceService.ListInstances", {"page_token": "é"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("InstanceService.ListInstances", {"page_token": "A" * 5000}, INVALID, "PAGE_TOKEN_INVALID"),
    ("InstanceService.ListInstances", {"filter": "colour = red"}, INVALID, "FILTER_INVALID"),
    ("InstanceService.ListInstances", {"filter": "state = RED"}, INVALID, "FILTER_INVALID"),
    ("InstanceService.ListInstances", {"filter": "x" * 9999}, INVALID, "FILTER_INVALID"),
    ("InstanceService.DeleteInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("InstanceService.StartInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    (
        "InstanceService.StartInstance",
        {"name": NOWHERE, "etag": '"3"'},
        INVALID,
        "ETAG_INVALID",
    ),
    ("InstanceService.StopInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    (
        "InstanceService.StopInstance",
        {"name": NOWHERE, "grace_seconds": 3601.0},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "InstanceService.StopInstance",
        {"name": NOWHERE, "grace_seconds": float("nan")},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "InstanceService.StopInstance",
        {"name": NOWHERE, "request_id": "x"},
        INVALID,
        "REQUEST_ID_INVALID",
    ),
    *(
        (f"InstanceService.{verb}Instance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND")
        for verb in (
            "Reboot",
            "Pause",
            "Unpause",
            "Suspend",
            "Resume",
            "Shelve",
            "Offload",
            "Unshelve",
        )
    ),
    *(
        (f"InstanceService.{verb}Instance", fields, code, reason)
        for verb, fields, code, reason in (
            ("Rebuild", {"name": NOWHERE, "image": "images/cirros"}, MISSING, "INSTANCE_NOT_FOUND"),
            ("Rebuild", {"name": NOWHERE}, INVALID, "RESOURCE_NAME_INVALID"),
            ("Clone", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
            ("Clone", {"name": "vm"}, INVALID, "RESOURCE_NAME_INVALID"),
            ("Clone", {"name": NOWHERE, "request_id": "x"}, INVALID, "REQUEST_ID_INVALID"),
            ("Rescue", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
            ("Rescue", {"name": NOWHERE, "image": "x"}, INVALID, "RESOURCE_NAME_INVALID"),
            ("Unrescue", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
            ("Resize", {"name": NOWHERE, "flavor": "flavors/2"}, MISSING, "INSTANCE_NOT_FOUND"),
            ("Resize", {"name": NOWHERE}, INVALID, "RESOURCE_NAME_INVALID"),
            ("Unrescue", {"name": NOWHERE, "grace_seconds": 1e9}, INVALID, "FIELD_INVALID"),
        )
    ),
    *(
        (f"InstanceService.{verb}InstanceSnapshot", {"name": NOWHERE, **fields}, code, reason)
        for verb in ("Take", "Restore", "Delete")
        for fields, code, reason in (
            ({"snapshot": "x"}, MISSING, "INSTANCE_NOT_FOUND"),
            ({"snapshot": ""}, INVALID, "FIELD_INVALID"),
            ({"snapshot": "a\nb"}, INVALID, "FIELD_INVALID"),
            ({"snapshot": "x" * 256}, INVALID, "FIELD_INVALID"),
        )
    ),
    *(
        (f"InstanceService.{verb}InstanceResize", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND")
        for verb in ("Confirm", "Revert")
    ),
    (
        "InstanceService.CreateInstanceImage",
        {"name": NOWHERE, "image_display_name": "kept"},
        MISSING,
        "INSTANCE_NOT_FOUND",
    ),
    ("InstanceService.CreateInstanceImage", {"name": NOWHERE}, INVALID, "FIELD_INVALID"),
    (
        "InstanceService.CreateInstanceImage",
        {"name": NOWHERE, "image_display_name": "kept", "properties": {"k": "v" * 20_000}},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "InstanceService.BackupInstance",
        {"name": NOWHERE, "image_display_name": "kept", "backup_type": "daily", "rotation": 0},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "InstanceService.BackupInstance",
        {"name": NOWHERE, "image_display_name": "kept", "backup_type": "", "rotation": 1},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "InstanceService.RebootInstance",
        {"name": NOWHERE, "grace_seconds": -1.0},
        INVALID,
        "FIELD_INVALID",
    ),
    ("InstanceService.RestoreInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("InstanceService.LockInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    (
        "InstanceService.LockInstance",
        {"name": NOWHERE, "reason": "x" * 256},
        INVALID,
        "FIELD_INVALID",
    ),
    ("InstanceService.UnlockInstance", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("InstanceService.UnlockInstance", {"name": "vm"}, INVALID, "RESOURCE_NAME_INVALID"),
    *(
        ("InstanceService.ResetInstanceState", {"name": NOWHERE, "state": state}, *answer)
        for state, answer in (
            (pb.Instance.STATE_ERROR, (MISSING, "INSTANCE_NOT_FOUND")),
            (pb.Instance.STATE_UNSPECIFIED, (INVALID, "FIELD_INVALID")),
            (pb.Instance.STATE_DELETED, (INVALID, "FIELD_INVALID")),
            (999, (INVALID, "FIELD_INVALID")),
        )
    ),
    *(
        ("InstanceService.UpdateInstance", {"instance": pb.Instance(**fields)}, *answer)
        for fields, answer in (
            ({"name": NOWHERE, "display_name": "x"}, (MISSING, "INSTANCE_NOT_FOUND")),
            ({"name": "vm"}, (INVALID, "RESOURCE_NAME_INVALID")),
            ({"name": NOWHERE, "etag": "3"}, (INVALID, "ETAG_INVALID")),
            ({"name": NOWHERE, "display_name": "a\nb"}, (INVALID, "FIELD_INVALID")),
            ({"name": NOWHERE, "description": "x" * 256}, (INVALID, "FIELD_INVALID")),
            ({"name": NOWHERE, "hostname": "a_b"}, (INVALID, "FIELD_INVALID")),
            ({"name": NOWHERE, "metadata": {"": "v"}}, (INVALID, "FIELD_INVALID")),
            ({"name": NOWHERE, "tags": ["a,b"]}, (INVALID, "FIELD_INVALID")),
        )
    ),
    *(
        (
            "InstanceService.UpdateInstance",
            {"instance": pb.Instance(name=NOWHERE), "update_mask": FieldMask(paths=[path])},
            INVALID,
            reason,
        )
        for path, reason in (
            ("state", "UPDATE_MASK_INVALID"),
            ("metadata.k", "UPDATE_MASK_INVALID"),
            ("display_name", "FIELD_INVALID"),
            ("hostname", "FIELD_INVALID"),
        )
    ),
    ("InstanceService.ListInstances", {"filter": "locked = maybe"}, INVALID, "FILTER_INVALID"),
    ("InstanceService.GetConsoleOutput", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    (
        "InstanceService.GetConsoleOutput",
        {"name": NOWHERE, "max_bytes": -1},
        INVALID,
        "CONSOLE_RANGE_INVALID",
    ),
    ("InstanceService.WatchInstances", {"parent": "demo"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("InstanceService.WatchInstances", {"resume_token": "x"}, INVALID, "RESUME_TOKEN_INVALID"),
    ("ConsoleService.AttachConsole", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("ConsoleService.AttachConsole", {}, INVALID, "RESOURCE_NAME_INVALID"),
    ("ConsoleService.AttachConsole", {"name": NOWHERE, "kind": 7}, INVALID, "FIELD_INVALID"),
    ("ConsoleService.CreateConsoleToken", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    (
        "ConsoleService.CreateConsoleToken",
        {"name": NOWHERE, "kind": 7},
        INVALID,
        "FIELD_INVALID",
    ),
    ("ConsoleService.CaptureScreenshot", {"name": NOWHERE}, MISSING, "INSTANCE_NOT_FOUND"),
    ("ConsoleService.CaptureScreenshot", {"name": "vm"}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "DiagnosticsService.GetInstanceDiagnostics",
        {"name": NOWHERE},
        MISSING,
        "INSTANCE_NOT_FOUND",
    ),
    ("FlavorService.GetFlavor", {"name": "flavors/none"}, MISSING, "FLAVOR_NOT_FOUND"),
    ("FlavorService.ListFlavors", {"page_size": -1}, INVALID, "PAGE_SIZE_INVALID"),
    ("FlavorService.ListFlavors", {"page_token": "x"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("FlavorService.CreateFlavor", {"flavor": Flavor(display_name="x")}, INVALID, "FIELD_INVALID"),
    (
        "FlavorService.CreateFlavor",
        {"flavor": Flavor(display_name="m1.tiny", memory_mb=1, vcpus=1)},
        grpc.StatusCode.ALREADY_EXISTS,
        "FLAVOR_EXISTS",
    ),
    (
        "FlavorService.UpdateFlavor",
        {"flavor": Flavor(name="flavors/1"), "update_mask": FieldMask(paths=["vcpus"])},
        INVALID,
        "FIELD_IMMUTABLE",
    ),
    ("FlavorService.UpdateFlavor", {"flavor": Flavor(name="x")}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "FlavorService.ChangeFlavorExtraSpecs",
        {"name": "flavors/1", "set": {"hw:watchdog_action": "bark"}},
        INVALID,
        "EXTRA_SPEC_INVALID",
    ),
    ("FlavorService.DeleteFlavor", {"name": "flavors/none"}, MISSING, "FLAVOR_NOT_FOUND"),
    ("FlavorService.ListFlavorAccess", {"name": "flavors/none"}, MISSING, "FLAVOR_NOT_FOUND"),
    (
        "FlavorService.AddFlavorAccess",
        {"name": "flavors/1", "project": "demo"},
        INVALID,
        "RESOURCE_NAME_INVALID",
    ),
    (
        "FlavorService.RemoveFlavorAccess",
        {"name": "flavors/none", "project": "projects/demo"},
        MISSING,
        "FLAVOR_NOT_FOUND",
    ),
    ("ImageService.GetImage", {"name": "images/none"}, MISSING, "IMAGE_NOT_FOUND"),
    ("ImageService.ListImages", {"page_size": -7}, INVALID, "PAGE_SIZE_INVALID"),
    ("ImageService.ListImages", {"filter": "visibility = shared"}, INVALID, "FILTER_INVALID"),
    ("ImageService.ListImages", {"filter": "state = RED"}, INVALID, "FILTER_INVALID"),
    ("ImageService.CreateImage", {"image": Image(display_name="x")}, INVALID, "FIELD_INVALID"),
    *(
        ("ImageService.CreateImage", {"image": wrong}, INVALID, reason)
        for wrong, reason in (
            (image(display_name="a\nb"), "FIELD_INVALID"),
            (image(display_name="x" * 256), "FIELD_INVALID"),
            (image(min_disk_gb=-1), "FIELD_INVALID"),
            (image(min_memory_mb=1 << 40), "FIELD_INVALID"),
            (image(properties={str(n): "" for n in range(129)}), "FIELD_INVALID"),
            (image(properties={"k": "v" * 20_000}), "FIELD_INVALID"),
            (image(properties={"k\n": "v"}), "FIELD_INVALID"),
            (image(properties={"": "v"}), "FIELD_INVALID"),
            (image(properties={"k": "\a"}), "FIELD_INVALID"),
            (image(kernel="uec-kernel"), "RESOURCE_NAME_INVALID"),
            (image(kernel="images/none"), "IMAGE_NOT_FOUND"),
            (image(kernel="images/cirros"), "FIELD_INVALID"),
            (image(ramdisk="images/uec-kernel"), "FIELD_INVALID"),
        )
    ),
    (
        "ImageService.CreateImage",
        {"image": image(), "request_id": "x"},
        INVALID,
        "REQUEST_ID_INVALID",
    ),
    ("ImageService.UploadImage", {"data": b"1"}, INVALID, "FIELD_INVALID"),
    ("ImageService.UploadImage", {"start": start("images/none")}, MISSING, "IMAGE_NOT_FOUND"),
    ("ImageService.UploadImage", {"start": start("none")}, INVALID, "RESOURCE_NAME_INVALID"),
    ("ImageService.UploadImage", {"start": start(size_bytes=0)}, INVALID, "FIELD_INVALID"),
    ("ImageService.UploadImage", {"start": start(offset=-1)}, INVALID, "FIELD_INVALID"),
    ("ImageService.UploadImage", {"start": start(offset=11)}, INVALID, "FIELD_INVALID"),
    ("ImageService.UploadImage", {"start": start(sha256="x" * 64)}, INVALID, "FIELD_INVALID"),
    ("ImageService.DownloadImage", {"name": "images/none"}, MISSING, "IMAGE_NOT_FOUND"),
    (
        "ImageService.DownloadImage",
        {"name": "images/cirros", "offset": -1},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "ImageService.DownloadImage",
        {"name": "images/cirros", "offset": 1001},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "ImageService.DownloadImage",
        {"name": f"images/{QUEUED}"},
        grpc.StatusCode.FAILED_PRECONDITION,
        "IMAGE_HAS_NO_BYTES",
    ),
    ("ImageService.UpdateImage", {}, INVALID, "RESOURCE_NAME_INVALID"),
    ("ImageService.UpdateImage", {"image": Image(name="images/x")}, MISSING, "IMAGE_NOT_FOUND"),
    (
        "ImageService.UpdateImage",
        {"image": Image(name="images/cirros"), "update_mask": FieldMask(paths=["sha256"])},
        INVALID,
        "UPDATE_MASK_INVALID",
    ),
    (
        "ImageService.UpdateImage",
        {"image": Image(name="images/cirros"), "update_mask": FieldMask(paths=["display_name"])},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "ImageService.UpdateImage",
        {"image": Image(name="images/cirros", etag="7", protected=True)},
        INVALID,
        "ETAG_INVALID",
    ),
    (
        "ImageService.UpdateImage",
        {"image": Image(name="images/cirros", etag='W/"7"', protected=True)},
        grpc.StatusCode.ABORTED,
        "STALE_GENERATION",
    ),
    ("ImageService.DeleteImage", {"name": "images/none"}, MISSING, "IMAGE_NOT_FOUND"),
    ("ImageService.DeleteImage", {"name": "none"}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "KeypairService.CreateKeypair",
        {"parent": "users/me", "keypair_id": "a/b"},
        INVALID,
        "FIELD_INVALID",
    ),
    (
        "KeypairService.CreateKeypair",
        {"parent": "users/me", "keypair_id": "a", "keypair": Keypair(public_key="ssh-rsa x")},
        INVALID,
        "PUBLIC_KEY_INVALID",
    ),
    ("KeypairService.GetKeypair", {"name": "users/me/keypairs/none"}, MISSING, "KEYPAIR_NOT_FOUND"),
    ("KeypairService.GetKeypair", {"name": "keypairs/x"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("KeypairService.ListKeypairs", {"parent": "users/"}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "KeypairService.ListKeypairs",
        {"parent": "users/me", "page_token": "x"},
        INVALID,
        "PAGE_TOKEN_INVALID",
    ),
    (
        "KeypairService.DeleteKeypair",
        {"name": "users/me/keypairs/none"},
        MISSING,
        "KEYPAIR_NOT_FOUND",
    ),
    ("HostService.GetHost", {"name": "hosts/none"}, MISSING, "HOST_NOT_FOUND"),
    ("HostService.ListHosts", {"page_token": "x"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("Operations.GetOperation", {"name": NO_OPERATION}, MISSING, "OPERATION_NOT_FOUND"),
    ("Operations.GetOperation", {"name": "operations/x"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("Operations.ListOperations", {"name": "x"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("Operations.ListOperations", {"filter": "done = maybe"}, INVALID, "FILTER_INVALID"),
    ("Operations.WaitOperation", {"name": NO_OPERATION}, MISSING, "OPERATION_NOT_FOUND"),
    (
        "Operations.WaitOperation",
        {"name": NO_OPERATION, "timeout": Duration(seconds=-1)},
        INVALID,
        "TIMEOUT_INVALID",
    ),
    ("Operations.CancelOperation", {"name": NO_OPERATION}, MISSING, "OPERATION_NOT_FOUND"),
    *(
        (f"InstanceService.{verb}Volume", fields, code, reason)
        for verb in ("Attach", "Detach")
        for fields, code, reason in (
            ({"name": NOWHERE, "volume": NO_VOLUME}, MISSING, "INSTANCE_NOT_FOUND"),
            ({"name": NOWHERE}, INVALID, "RESOURCE_NAME_INVALID"),
            ({"name": NOWHERE, "volume": NO_SNAPSHOT}, INVALID, "RESOURCE_NAME_INVALID"),
            ({"name": "vm", "volume": NO_VOLUME}, INVALID, "RESOURCE_NAME_INVALID"),
            ({"name": NOWHERE, "volume": NO_VOLUME, "etag": "3"}, INVALID, "ETAG_INVALID"),
        )
    ),
    *(
        ("VolumeService.CreateVolume", {"volume": volume(**fields)}, *answer)
        for fields, answer in (
            ({"size_gb": 0}, (INVALID, "FIELD_INVALID")),
            ({"size_gb": -1}, (INVALID, "FIELD_INVALID")),
            ({"size_gb": 16_385}, (INVALID, "FIELD_INVALID")),
            ({"size_gb": 2**62}, (INVALID, "FIELD_INVALID")),
            ({"display_name": "a\nb"}, (INVALID, "FIELD_INVALID")),
            ({"display_name": "x" * 256}, (INVALID, "FIELD_INVALID")),
            ({"description": "x" * 256}, (INVALID, "FIELD_INVALID")),
            ({"metadata": {"k\n": "v"}}, (INVALID, "FIELD_INVALID")),
            ({"image": "images/none"}, (INVALID, "IMAGE_NOT_FOUND")),
            ({"image": f"images/{QUEUED}"}, (INVALID, "IMAGE_NOT_ACTIVE")),
            ({"image": "images/large"}, (INVALID, "VOLUME_TOO_SMALL")),
            ({"image": "images/wide"}, (INVALID, "VOLUME_TOO_SMALL")),
            ({"image": "cirros"}, (INVALID, "RESOURCE_NAME_INVALID")),
            ({"snapshot": NO_SNAPSHOT}, (INVALID, "VOLUME_SNAPSHOT_NOT_FOUND")),
            (
                {"snapshot": NO_SNAPSHOT.replace("demo", "other")},
                (INVALID, "VOLUME_SNAPSHOT_NOT_FOUND"),
            ),
            ({"snapshot": "../../etc"}, (INVALID, "RESOURCE_NAME_INVALID")),
            ({"snapshot": NO_SNAPSHOT, "image": "images/cirros"}, (INVALID, "FIELD_INVALID")),
        )
    ),
    ("VolumeService.CreateVolume", {"request_id": "x"}, INVALID, "REQUEST_ID_INVALID"),
    ("VolumeService.GetVolume", {"name": NO_VOLUME}, MISSING, "VOLUME_NOT_FOUND"),
    ("VolumeService.GetVolume", {"name": NO_VOLUME + "/.."}, INVALID, "RESOURCE_NAME_INVALID"),
    ("VolumeService.ListVolumes", {"page_size": -1}, INVALID, "PAGE_SIZE_INVALID"),
    ("VolumeService.ListVolumes", {"page_token": "stale"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("VolumeService.ListVolumes", {"filter": "state = RED"}, INVALID, "FILTER_INVALID"),
    ("VolumeService.ListVolumes", {"filter": "size = 1"}, INVALID, "FILTER_INVALID"),
    *(
        ("VolumeService.UpdateVolume", {"volume": renamed(**fields)}, *answer)
        for fields, answer in (
            ({"display_name": "x"}, (MISSING, "VOLUME_NOT_FOUND")),
            ({"name": "data"}, (INVALID, "RESOURCE_NAME_INVALID")),
            ({"etag": "3"}, (INVALID, "ETAG_INVALID")),
            ({"display_name": " "}, (INVALID, "FIELD_INVALID")),
            ({"size_gb": 16_385}, (INVALID, "FIELD_INVALID")),
        )
    ),
    (
        "VolumeService.UpdateVolume",
        {"volume": Volume(name=NO_VOLUME), "update_mask": FieldMask(paths=["image"])},
        INVALID,
        "UPDATE_MASK_INVALID",
    ),
    ("VolumeService.DeleteVolume", {"name": NO_VOLUME}, MISSING, "VOLUME_NOT_FOUND"),
    *(
        ("VolumeService.CreateVolumeSnapshot", {"volume_snapshot": snapshot(**fields)}, *why)
        for fields, why in (
            ({"volume": NO_VOLUME}, (INVALID, "VOLUME_NOT_FOUND")),
            ({"volume": NO_VOLUME.replace("demo", "other")}, (INVALID, "VOLUME_NOT_FOUND")),
            ({}, (INVALID, "RESOURCE_NAME_INVALID")),
            ({"volume": NO_VOLUME, "display_name": "a\nb"}, (INVALID, "FIELD_INVALID")),
        )
    ),
    *(
        (f"VolumeService.{verb}VolumeSnapshot", {"name": name}, *answer)
        for verb in ("Get", "Delete")
        for name, answer in (
            (NO_SNAPSHOT, (MISSING, "VOLUME_SNAPSHOT_NOT_FOUND")),
            (NO_VOLUME, (INVALID, "RESOURCE_NAME_INVALID")),
        )
    ),
    ("VolumeService.ListVolumeSnapshots", {"filter": "x"}, INVALID, "FILTER_INVALID"),
    ("VolumeService.ListVolumeSnapshots", {"page_token": "x"}, INVALID, "PAGE_TOKEN_INVALID"),
    *(
        ("NetworkService.CreateNetwork", {"network": asked}, INVALID, "FIELD_INVALID")
        for asked in (
            Network(display_name="n"),
            network(subnets=[Subnet(cidr="10.1.0.0/24"), Subnet(cidr="10.2.0.0/24")]),
            network(""),
            network("10.1.0.0"),
            network("10.1.0.1/24"),
            network("10.1.0.0/30"),
            network("10.0.0.0/7"),
            network("10.1.0.0/33"),
            network("10.1.0.0/255.255.255.0"),
            network("10.1.0.0/-1"),
            network("fd00::/64"),
            network("127.0.0.0/8"),
            network("169.254.0.0/16"),
            network("224.0.0.0/24"),
            network("0.0.0.0/0"),
            network("1" * 100_000),
            network("10.1.0.0/24; rm -rf /"),
            network(gateway="10.2.0.1"),
            network(gateway="10.1.0.255"),
            network(gateway="fd00::1"),
            network(gateway="router"),
            network(dhcp_server="10.1.0.0"),
            network(dhcp_server="10.1.0.1"),
            network(allocation_pools=pools("9-8")),
            network(allocation_pools=pools("3-300")),
            network(allocation_pools=pools("0-9")),
            network(allocation_pools=pools("5-9", "9-12")),
            network(allocation_pools=[AddressRange(first="10.2.0.3", last="10.2.0.9")]),
            network(allocation_pools=[AddressRange(first="10.1.0.3")]),
            network(allocation_pools=pools(*(f"{n}-{n}" for n in range(3, 20)))),
            network(dns_servers=["dns.example.org"]),
            network(dns_servers=["9.9.9.9", ""]),
            network(dns_servers=["127.0.0.53"]),
            network(dns_servers=[f"9.9.9.{n}" for n in range(6)]),
            network(mtu=100),
            network(mtu=-1),
            network(mtu=1451),
            network(kind=99),
            network(display_name=""),
            network(display_name="a\nb"),
            network(display_name="x" * 256),
        )
    ),
    ("NetworkService.CreateNetwork", {"request_id": "x"}, INVALID, "REQUEST_ID_INVALID"),
    ("NetworkService.GetNetwork", {"name": NO_NETWORK}, MISSING, "NETWORK_NOT_FOUND"),
    ("NetworkService.GetNetwork", {"name": "networks/private"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("NetworkService.ListNetworks", {"parent": "x"}, INVALID, "RESOURCE_NAME_INVALID"),
    ("NetworkService.ListNetworks", {"page_size": -1}, INVALID, "PAGE_SIZE_INVALID"),
    ("NetworkService.ListNetworks", {"page_token": "x"}, INVALID, "PAGE_TOKEN_INVALID"),
    ("NetworkService.ListNetworks", {"filter": "cidr = x"}, INVALID, "FILTER_INVALID"),
    ("NetworkService.DeleteNetwork", {"name": NO_NETWORK}, MISSING, "NETWORK_NOT_FOUND"),
    ("NetworkService.DeleteNetwork", {"name": ""}, INVALID, "RESOURCE_NAME_INVALID"),
    (
        "Operations.DeleteOperation",
        {"name": NO_OPERATION},
        grpc.StatusCode.UNIMPLEMENTED,
        "METHOD_NOT_SERVED",
    ),
]


def names_field(problem: Problem, field: str) -> None:
    bad = problem.details["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert [violation.field for violation in bad.field_violations] == [field]
    assert bad.field_violations[0].description
    assert list(problem.info.metadata) == [field]


@pytest.mark.parametrize(("fields", "reason", "field"), CREATE)
async def test_a_create_that_is_wrong_makes_nothing(
    cloud: Cloud, fields: Fields, reason: str, field: str
) -> None:
    token = "t-stranger" if fields.get("parent") == "projects/other" else MEMBER
    call = cloud.connect(token).instances.CreateInstance(create(**fields))
    names_field(await refused(call, INVALID, reason), field)
    assert not cloud.compute.instances.records
    assert not cloud.compute.calls["create"]


@pytest.mark.parametrize(
    ("name", "fields", "code", "reason"), OTHERS, ids=lambda value: str(value)[:40]
)
async def test_a_request_that_is_wrong(
    cloud: Cloud, name: str, fields: Fields, code: grpc.StatusCode, reason: str
) -> None:
    rpc = RPCS[name]
    if "parent" in rpc.descriptor.input_type.fields_by_name:
        fields = {"parent": "projects/demo", **fields}
    request = rpc.request(**fields)
    metadata = (("authorization", f"Bearer {ADMIN}"),)
    problem = await refused(rpc.call(cloud.connect(None).channel, request, metadata), code, reason)
    if code is INVALID:
        assert isinstance(problem.details["BadRequest"], BadRequest)
    if code is MISSING:
        assert "ResourceInfo" in problem.details
    assert not cloud.compute.instances.commands


@pytest.mark.parametrize("name", sorted(RPCS))
async def test_bytes_that_are_no_message(cloud: Cloud, name: str) -> None:
    metadata = (("authorization", f"Bearer {ADMIN}"),)
    call = RPCS[name].call(cloud.connect(None).channel, b"\xff\xff\xff", metadata)
    await refused(call, INVALID, "MESSAGE_MALFORMED")


async def test_a_page_token_of_another_query(cloud: Cloud) -> None:
    for name in "abc":
        await cloud.member.instances.CreateInstance(create(name))
    listed = await cloud.member.instances.ListInstances(
        pb.ListInstancesRequest(parent="projects/demo", page_size=1)
    )
    token = listed.next_page_token
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    for request in (
        pb.ListInstancesRequest(parent="projects/demo", page_token=token, filter="state = ACTIVE"),
        pb.ListInstancesRequest(parent="projects/demo", page_token=changed),
    ):
        call = cloud.member.instances.ListInstances(request)
        names_field(await refused(call, INVALID, "PAGE_TOKEN_INVALID"), "page_token")


async def test_an_old_etag(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create())
    (record,) = cloud.compute.instances.records.values()
    name = f"projects/demo/instances/{record.id}"
    problem = await refused(
        cloud.member.instances.StopInstance(pb.StopInstanceRequest(name=name, etag='W/"1"')),
        grpc.StatusCode.ABORTED,
        "STALE_GENERATION",
    )
    failure = problem.details["PreconditionFailure"]
    assert isinstance(failure, PreconditionFailure)
    assert failure.violations[0].type == "GENERATION"


async def test_what_the_state_forbids(cloud: Cloud) -> None:
    await cloud.member.instances.CreateInstance(create())
    (record,) = cloud.compute.instances.records.values()
    name = f"projects/demo/instances/{record.id}"
    problem = await refused(
        cloud.member.instances.StartInstance(pb.StartInstanceRequest(name=name)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVALID_STATE",
    )
    failure = problem.details["PreconditionFailure"]
    assert isinstance(failure, PreconditionFailure)
    assert failure.violations[0].subject == f"instances/{record.id}"
    assert dict(problem.info.metadata)["vm_state"] == "active"


async def test_a_message_over_the_limit(cloud: Cloud) -> None:
    for mebibytes in (5, 15):
        request = create(instance=pb.Instance(display_name="x" * (mebibytes * 1024**2)))
        problem = await refused(
            cloud.member.instances.CreateInstance(request),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "MESSAGE_TOO_LARGE",
        )
        assert problem.info.metadata["limit"] == str(4 * 1024**2)
    assert not cloud.compute.instances.records


async def test_a_message_far_over_the_limit_is_not_even_read(cloud: Cloud) -> None:
    request = create(instance=pb.Instance(display_name="x" * (17 * 1024**2)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cloud.member.instances.CreateInstance(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in (caught.value.details() or "")


def test_every_method_has_an_error_test_and_an_auth_test() -> None:
    """Methods without one are listed in ``uncovered.txt``. The list may only shrink."""
    from_tables = {name for name, *_ in OTHERS} | {"InstanceService.CreateInstance"}
    uncovered = {f"error {name}" for name in set(RPCS) - from_tables}
    uncovered |= {f"auth {name}" for name in OPEN}
    listed = _listed()
    assert uncovered == listed


def _listed() -> set[str]:
    lines = (Path(__file__).parent / "uncovered.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}
