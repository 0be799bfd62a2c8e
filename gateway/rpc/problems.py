"""Errors on the wire: every one a ``google.rpc.Status`` with ``ErrorInfo`` (AIP-193).

The further details follow from the kind of error. Of one kind of detail there is at most one, and
all together stay small: they travel in HTTP/2 headers, of which clients take 8 KiB. (Inside an
operation they are part of the body, and may be long.)
"""

from collections.abc import Mapping
from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    ResourceInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from pydantic import ValidationError

from actors.model.errors import ComputeError, Invalid, Kind
from gateway.errors import Wire, wire_of

DOMAIN: Final = "novaray"
#: When a caller may come again after UNAVAILABLE, seconds.
RETRY_SECONDS: Final = 1

# In bytes. The message travels twice, once of it with three characters for each byte that is not
# ASCII; details travel as base64.
_MAX_MESSAGE: Final = 512
_MAX_VALUE: Final = 256
_MAX_METADATA: Final = 2048
_MAX_FIELDS: Final = 1024
#: Metadata inside an answer's body, where there is room.
BODY_METADATA: Final = 256 * 1024

_IMAGE_FIELDS: Final = {
    "name": "image.display_name",
    "min_disk_gb": "image.min_disk_gb",
    "min_memory_mb": "image.min_memory_mb",
    "properties": "image.properties",
}
_INSTANCE_FIELDS: Final = {
    "name": "instance.display_name",
    "metadata": "instance.metadata",
    "description": "instance.description",
    "hostname": "instance.hostname",
    "tags": "instance.tags",
}
_FLAVOR_FIELDS: Final = {
    "id": "flavor_id",
    "name": "flavor.display_name",
    "memory_mb": "flavor.memory_mb",
    "vcpus": "flavor.vcpus",
    "disk_gb": "flavor.disk_gb",
    "ephemeral_gb": "flavor.ephemeral_gb",
    "swap_mb": "flavor.swap_mb",
    "rxtx_factor": "flavor.rxtx_factor",
    "description": "flavor.description",
    "extra_specs": "flavor.extra_specs",
}
_VOLUME_FIELDS: Final = {
    "name": "volume.display_name",
    "description": "volume.description",
    "metadata": "volume.metadata",
    "size_gb": "volume.size_gb",
}
#: Records that a request becomes, and which field of the request each of their fields was.
_WIRE_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "CreateInstance": {
        **_INSTANCE_FIELDS,
        "key_name": "instance.key_name",
        "project": "parent",
    },
    "UpdateInstance": _INSTANCE_FIELDS,
    "LockInstance": {},
    "GuestData": {},
    "CloneInstance": {"name": "display_name"},
    "OfSnapshot": {"name": "snapshot"},
    "ChangeSize": {},
    "Rebuilt": {"name": "display_name"},
    "CreateImage": _IMAGE_FIELDS,
    "ImageChanges": _IMAGE_FIELDS,
    "Snapshot": {"name": "image_display_name"},
    "Backup": {"kind": "backup_type"},
    "CreateFlavor": _FLAVOR_FIELDS,
    "ChangeFlavor": {"description": "flavor.description"},
    "ImportKeypair": {"name": "keypair_id", "public_key": "keypair.public_key", "user": "parent"},
    "CreateVolume": {**_VOLUME_FIELDS, "project": "parent"},
    "VolumeChanges": _VOLUME_FIELDS,
    "CreateVolumeSnapshot": {
        "name": "volume_snapshot.display_name",
        "description": "volume_snapshot.description",
    },
    "CreateNetwork": {
        "label": "network.display_name",
        "project": "parent",
        "dns": "network.dns_servers",
        "pools": "network.subnets[0].allocation_pools",
        "mtu": "network.mtu",
    },
    "InstanceCommand": {"generation": "etag", "project": "name", "instance": "name"},
}

_RESOURCES: Final = {
    "instance": ("novaray/Instance", "instances"),
    "operation": ("google.longrunning.Operation", "operations"),
    "flavor": ("novaray/Flavor", "flavors"),
    "image": ("novaray/Image", "images"),
    "volume": ("novaray/Volume", "volumes"),
    "snapshot": ("novaray/VolumeSnapshot", "volumeSnapshots"),
    "keypair": ("novaray/Keypair", "keypairs"),
    "network": ("novaray/Network", "networks"),
    "host": ("novaray/Host", "hosts"),
    "user": ("novaray/User", "users"),
    "project": ("novaray/Project", "projects"),
}


def status_of(error: ComputeError, *, admin: bool = False) -> Status:
    """The error as a client may see it. Which host said what is for admins."""
    metadata = error.metadata
    if error.kind is Kind.NO_VALID_HOST and not admin:
        metadata = {}
    return make_status(
        wire_of(error),
        error.reason,
        _cut(error.message, _MAX_MESSAGE),
        _within(metadata, _MAX_METADATA),
        *_details(error, metadata),
    )


def body_status(wire: Wire, reason: str, message: str, metadata: Mapping[str, str]) -> Status:
    """The status inside an operation's body."""
    return make_status(wire, reason, message, _within(metadata, BODY_METADATA))


def make_status(
    wire: Wire, reason: str, message: str, metadata: Mapping[str, str], *details: Message
) -> Status:
    """A status with its ErrorInfo in front of other details."""
    info = ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    code: tuple[int, str] = wire.code.value
    status = Status(code=code[0], message=message)
    for detail in (info, *details):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def unsupported(method: str, message: str) -> Status:
    """A method that this server does not serve."""
    return make_status(
        Wire(StatusCode.UNIMPLEMENTED, 501), "METHOD_NOT_SERVED", message, {"method": method}
    )


def invalid_request(error: ValidationError) -> Invalid | None:
    """What is wrong with the request's fields, under their names on the wire.

    None where no request was being read: then the failure is ours.
    """
    fields = _WIRE_FIELDS.get(error.title)
    if fields is None:
        return None
    problems = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        problems[fields.get(name, name)] = problem["msg"].removeprefix("Value error, ")
    said = "; ".join(f"{field}: {text}" for field, text in problems.items())
    return Invalid(f"The request is not valid: {said}.", "FIELD_INVALID", "", problems)


def _details(error: ComputeError, metadata: Mapping[str, str]) -> list[Message]:
    match error.kind:
        case Kind.INVALID:
            return [_bad_request(metadata)] if metadata else []
        case Kind.UNAVAILABLE | Kind.FENCED:
            return [RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))]
        case Kind.CONFLICT | Kind.STALE:
            violation = PreconditionFailure.Violation(
                type="STATE" if error.kind is Kind.CONFLICT else "GENERATION",
                subject=_subject(metadata),
                description=_cut(error.message, _MAX_VALUE),
            )
            return [PreconditionFailure(violations=[violation])]
        case Kind.QUOTA:
            quota = QuotaFailure.Violation(
                subject=_subject(metadata), description=_cut(error.message, _MAX_VALUE)
            )
            return [QuotaFailure(violations=[quota])]
        case Kind.NOT_FOUND | Kind.ALREADY_EXISTS:
            return _resource(metadata, error.message)
        case _:
            return []


def _bad_request(metadata: Mapping[str, str]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=field, description=problem)
            for field, problem in _within(metadata, _MAX_FIELDS).items()
        ]
    )


def _resource(metadata: Mapping[str, str], message: str) -> list[Message]:
    for key, (kind, collection) in _RESOURCES.items():
        if key in metadata:
            return [
                ResourceInfo(
                    resource_type=kind,
                    resource_name=f"{collection}/{_cut(metadata[key], _MAX_VALUE)}",
                    description=_cut(message, _MAX_VALUE),
                )
            ]
    return []


def _subject(metadata: Mapping[str, str]) -> str:
    for key in (
        "instance", "image", "flavor", "snapshot", "volume", "network", "project", "user",
    ):  # fmt: skip
        if key in metadata:
            return f"{_RESOURCES[key][1]}/{_cut(metadata[key], _MAX_VALUE)}"
    return ""


def _within(metadata: Mapping[str, str], room: int) -> dict[str, str]:
    """As much as fits; a cloud may have a thousand hosts that all refuse."""
    kept: dict[str, str] = {}
    for key, value in metadata.items():
        shown = _cut(value, _MAX_VALUE)
        room -= len(key.encode()) + len(shown.encode()) + 8
        if room < 0:
            kept["truncated"] = f"{len(metadata) - len(kept)} more"
            break
        kept[key] = shown
    return kept


def _cut(text: str, limit: int) -> str:
    """At most so many bytes of a text, and no half character."""
    if len(text) * 4 <= limit:
        return text
    return text.encode()[:limit].decode("utf-8", "ignore")
