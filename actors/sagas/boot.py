"""Boot: from a record to a running guest (Nova: ``_do_build_and_run_instance``)."""

from collections.abc import Mapping

from actors.model.details import AttachVolume, Clone
from actors.model.errors import Conflict
from actors.model.operation import Action, OperationRecord
from actors.ports.host import HostStep
from actors.ports.network import PortRelease, PortRequest
from actors.ports.scheduler import ClaimRequest, Release
from actors.sagas.saga import OPERATION, Saga, Step, Work
from actors.sagas.volumes import (
    VOLUME_SECONDS,
    brings_volume,
    confirm_attached,
    mark_attached,
    release_reserved,
    reserve_volume,
    unmark_attached,
)


def clones(operation: OperationRecord) -> bool:
    """Whether the disk is made from another instance's."""
    return isinstance(operation.details, Clone)


def starts_anew(operation: OperationRecord) -> bool:
    """Whether the disk is made from the image."""
    return not clones(operation)


async def claim_host(work: Work) -> Mapping[str, object]:
    """Take a host's resources. The same attempt gets the same host again.

    Raises:
        Conflict: Somebody wants another host than the one that has its volumes.
    """
    operation, record = work.operation, work.record
    wanted, bound = operation.wanted_host, record.volume_host
    if wanted and bound and wanted != bound:
        raise Conflict(
            f"Instance {record.id} has a volume that lies on another host than {wanted}. Name no "
            "host.",
            "VOLUME_ELSEWHERE",
            f"on {bound}",
        )
    claim = await work.cluster.scheduler.claim(
        ClaimRequest(
            instance=record.id,
            sequence=operation.sequence,
            attempt=operation.attempt,
            resources=record.needs(
                root_is_volume=record.boots_from_volume or brings_volume(operation)
            ),
            availability_zone=record.availability_zone,
            host=wanted or bound or await _host_of_root(work),
            exclude=operation.refused,
        )
    )
    placed = {"host_id": claim.host_id, "host": claim.host}
    return {**placed, OPERATION: placed}


async def _host_of_root(work: Work) -> str | None:
    """The one host that has the volume to boot from; None for any."""
    details = work.operation.details
    if not isinstance(details, AttachVolume):
        return None
    volume = await work.cluster.volumes.volume(details.volume)
    return None if volume.shared else volume.host


async def release_claim(work: Work) -> Mapping[str, object]:
    """Give the host's resources back."""
    operation = work.operation
    await work.cluster.scheduler.release(
        Release(work.record.id, operation.sequence, failed=operation.host_id in operation.refused)
    )
    return {"host_id": None, "host": None}


async def ensure_ports(work: Work) -> Mapping[str, object]:
    """Give the instance its cards and addresses."""
    record, operation = work.record, work.operation
    nics = await work.cluster.networks.allocate(
        PortRequest(record.id, record.project, operation.sequence, operation.wanted_cards)
    )
    return {"nics": nics}


async def remove_ports(work: Work) -> Mapping[str, object]:
    """Give cards and addresses back."""
    await work.cluster.networks.release(PortRelease(work.record.id, work.operation.sequence))
    return {"nics": ()}


BOOT = Saga(
    Action.CREATE,
    (
        Step("claim", claim_host, undo=release_claim),
        # Every network reaches every host, so the cards do not wait for the host to be chosen.
        Step("ports", ensure_ports, undo=remove_ports, beside=True),
        # An instance that boots from a volume has no disk of its own.
        Step("volume", reserve_volume, undo=release_reserved, when=brings_volume),
        Step("root", mark_attached, undo=unmark_attached, when=brings_volume),
        # No undo: the cache is the host's, and the next instance wants the image too.
        Step("image", HostStep.ENSURE_IMAGE, deadline_seconds=600.0),
        Step("network", HostStep.ENSURE_NETWORK, undo=HostStep.REMOVE_NETWORK),
        # No undo: a volume's bytes are its own, and are there the next time.
        Step(
            "bytes",
            HostStep.ENSURE_VOLUMES,
            when=brings_volume,
            deadline_seconds=VOLUME_SECONDS,
        ),
        Step(
            "disk",
            HostStep.ENSURE_DISK,
            undo=HostStep.REMOVE_DISK,
            when=starts_anew,
            deadline_seconds=120.0,
        ),
        # Its undo leaves the other as it is: on a layer more, with what it had.
        Step(
            "disk",
            HostStep.ENSURE_CLONED_DISK,
            undo=HostStep.REMOVE_DISK,
            when=clones,
            deadline_seconds=120.0,
        ),
        Step("domain", HostStep.ENSURE_RUNNING, undo=HostStep.ENSURE_ABSENT, deadline_seconds=60.0),
        Step("confirm", confirm_attached, when=brings_volume),
    ),
    attempts=3,
)
