"""Resource names (AIP-122) and etags (AIP-154): text on the wire, ids inside."""

import re
from typing import Final

from actors.model.errors import Invalid
from actors.model.ids import (
    FlavorId,
    ImageId,
    InstanceId,
    NetworkId,
    OperationId,
    ProjectId,
    SnapshotId,
    UserId,
    VolumeId,
)
from gateway.app.auth import ALL_PROJECTS

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SEGMENT: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,253}"

_PROJECT: Final = re.compile(rf"projects/({_SEGMENT}|-)")
_INSTANCE: Final = re.compile(rf"projects/({_SEGMENT})/instances/({_UUID})")
_VOLUME: Final = re.compile(rf"projects/({_SEGMENT})/volumes/({_UUID})")
_SNAPSHOT: Final = re.compile(rf"projects/({_SEGMENT})/volumeSnapshots/({_UUID})")
_NETWORK: Final = re.compile(rf"networks/({_UUID})")
_OPERATION: Final = re.compile(rf"operations/({_UUID}\.[1-9][0-9]{{0,17}})")
_OF_CATALOG: Final = re.compile(r"(flavors|images)/([A-Za-z0-9_.:-]{1,255})")
_HOST: Final = re.compile(rf"hosts/({_SEGMENT})")
#: Users' names are the operator's choice; those of key pairs have no slash.
_USER: Final = re.compile(r"users/([^\x00-\x1f\x7f]{1,255})")
_KEYPAIR: Final = re.compile(r"users/([^\x00-\x1f\x7f]{1,255})/keypairs/([A-Za-z0-9@._\- ]{1,255})")
_ETAG: Final = re.compile(r'W/"([0-9]{1,18})"')

#: How much of a wrong text an answer repeats.
_SHOWN: Final = 60


def project_of(text: str, field: str = "parent") -> ProjectId:
    """The project of ``projects/{project}``.

    Raises:
        Invalid: Another text, or all projects (``-``).
    """
    project = any_project_of(text, field)
    if project == ALL_PROJECTS:
        raise _malformed(field, text, "projects/{project}, of one project")
    return project


def any_project_of(text: str, field: str = "parent") -> ProjectId:
    """The project of ``projects/{project}``; ``-`` for all of them.

    Raises:
        Invalid: Another text.
    """
    match = _PROJECT.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "projects/{project}")
    return ProjectId(match[1])


def instance_of(text: str, field: str = "name") -> tuple[ProjectId, InstanceId]:
    """Project and id of ``projects/{project}/instances/{uuid}``.

    Raises:
        Invalid: Another text.
    """
    match = _INSTANCE.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "projects/{project}/instances/{uuid}")
    return ProjectId(match[1]), InstanceId(match[2])


def volume_of(text: str, field: str = "name") -> tuple[ProjectId, VolumeId]:
    """Project and id of ``projects/{project}/volumes/{uuid}``.

    Raises:
        Invalid: Another text.
    """
    match = _VOLUME.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "projects/{project}/volumes/{uuid}")
    return ProjectId(match[1]), VolumeId(match[2])


def snapshot_of(text: str, field: str = "name") -> tuple[ProjectId, SnapshotId]:
    """Project and id of ``projects/{project}/volumeSnapshots/{uuid}``.

    Raises:
        Invalid: Another text.
    """
    match = _SNAPSHOT.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "projects/{project}/volumeSnapshots/{uuid}")
    return ProjectId(match[1]), SnapshotId(match[2])


def network_of(text: str, field: str = "name") -> NetworkId:
    """The id of ``networks/{uuid}``.

    Raises:
        Invalid: Another text.
    """
    match = _NETWORK.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "networks/{uuid}")
    return NetworkId(match[1])


def operation_of(text: str, field: str = "name") -> OperationId:
    """The id of ``operations/{id}``.

    Raises:
        Invalid: Another text.
    """
    match = _OPERATION.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "operations/{instance uuid}.{number}")
    return OperationId(match[1])


def flavor_of(text: str, field: str = "name") -> FlavorId:
    """The id of ``flavors/{id}``.

    Raises:
        Invalid: Another text.
    """
    return FlavorId(_of_catalog("flavors", text, field))


def image_of(text: str, field: str = "name") -> ImageId:
    """The id of ``images/{id}``.

    Raises:
        Invalid: Another text.
    """
    return ImageId(_of_catalog("images", text, field))


def user_of(text: str, field: str = "parent") -> UserId:
    """The user of ``users/{user}``; ``me`` is the caller.

    Raises:
        Invalid: Another text.
    """
    match = _USER.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "users/{user}")
    return UserId(match[1])


def keypair_of(text: str, field: str = "name") -> tuple[UserId, str]:
    """User and name of ``users/{user}/keypairs/{keypair}``.

    Raises:
        Invalid: Another text.
    """
    match = _KEYPAIR.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "users/{user}/keypairs/{keypair}")
    return UserId(match[1]), match[2]


def host_of(text: str, field: str = "name") -> str:
    """The name or UUID of ``hosts/{host}``.

    Raises:
        Invalid: Another text.
    """
    match = _HOST.fullmatch(text)
    if match is None:
        raise _malformed(field, text, "hosts/{host name or UUID}")
    return match[1]


def etag(generation: int) -> str:
    """A weak etag: two answers with the same one mean the same, byte for byte or not."""
    return f'W/"{generation}"'


def generation_of(text: str, field: str = "etag") -> int | None:
    """The generation of an etag; None for no etag.

    Raises:
        Invalid: Not an etag of ours.
    """
    if not text:
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise Invalid(
            "The etag is not one of this server. Send the etag of the instance as you last read "
            "it, or none.",
            "ETAG_INVALID",
            "",
            {field: 'must look like W/"7"'},
        )
    return int(match[1])


def _of_catalog(collection: str, text: str, field: str) -> str:
    match = _OF_CATALOG.fullmatch(text)
    if match is None or match[1] != collection:
        raise _malformed(field, text, f"{collection}/{{id}}")
    return match[2]


def _malformed(field: str, text: str, form: str) -> Invalid:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    said = f"{shown!r} is not a name of the form {form}" if text else f"is required: {form}"
    return Invalid(
        f"The field {field} {said}." if not text else f"The field {field} is wrong: {said}.",
        "RESOURCE_NAME_INVALID",
        "",
        {field: said},
    )
