"""What an operation has to remember of the instance it changes, for the way back."""

from actors.lifecycle.snapshots import find
from actors.model.details import Details, OfSnapshot, Rebuild, Rebuilt, RescueBoot, Unrescue
from actors.model.instance import InstanceRecord, PowerState


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
        case Unrescue():
            return details.evolve(rescue=record.rescue, ran=ran)
        case _:
            return details
