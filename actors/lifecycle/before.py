"""What an operation has to remember of the instance it changes, for the way back."""

from actors.lifecycle.snapshots import find
from actors.model.details import (
    AttachVolume,
    ChangeSize,
    DetachVolume,
    Details,
    OfSnapshot,
    Rebuild,
    Rebuilt,
    RescueBoot,
    Snapshot,
    Unrescue,
)
from actors.model.errors import Conflict
from actors.model.instance import ROOT_TARGET, AttachedVolume, InstanceRecord, PowerState


def remembered(record: InstanceRecord, details: Details | None) -> Details | None:
    """The details of an operation that is accepted, with what the instance is now."""
    ran = record.power_state is PowerState.RUNNING
    match details:
        case Rebuild():
            before = Rebuilt(
                source=record.source,
                name=record.name,
                metadata=record.metadata,
                key_name=record.key_name or "",
            )
            return details.evolve(before=before, ran=ran)
        case RescueBoot():
            return details.evolve(ran=ran)
        case OfSnapshot():
            found = find(record, details.name)
            return details.evolve(ran=ran, layer=found.layer if found else details.layer)
        case ChangeSize():
            return details.evolve(before=record.size_now)
        case Snapshot() if record.boots_from_volume:
            return None  # a shelve: its disk stays as it is, where it is
        case Unrescue():
            return details.evolve(rescue=record.rescue, ran=ran)
        case AttachVolume():
            _check_not_attached(record, details)
            return details
        case DetachVolume():
            return details.evolve(attached=_attached(record, details))
        case _:
            return details


def _check_not_attached(record: InstanceRecord, details: AttachVolume) -> None:
    # Its owner would refuse it as well, but could not say that it is this instance's own.
    if any(one.volume == details.volume for one in record.volumes):
        raise Conflict(
            f"Volume {details.volume} is attached to instance {record.id} already.",
            "VOLUME_ALREADY_ATTACHED",
        )


def _attached(record: InstanceRecord, details: DetachVolume) -> AttachedVolume:
    for attached in record.volumes:
        if attached.volume == details.volume:
            if attached.target == ROOT_TARGET:
                raise Conflict(
                    f"Instance {record.id} boots from volume {details.volume}; it cannot be "
                    "detached. Delete the instance instead.",
                    "VOLUME_IS_ROOT",
                )
            return attached
    raise Conflict(
        f"Volume {details.volume} is not attached to instance {record.id}.", "VOLUME_NOT_ATTACHED"
    )
