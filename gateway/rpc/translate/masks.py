"""Field masks (AIP-134, AIP-161): which fields of a message an update is about."""

from collections.abc import Collection, Iterable

from google.protobuf.message import Message

from actors.model.errors import Invalid


def masked(message: Message, mask: Iterable[str], fields: Collection[str]) -> list[str]:
    """The fields to change: those of the mask, ``*`` for all; without one, those that are set.

    Raises:
        Invalid: The mask names what cannot be changed.
    """
    paths = list(mask)
    if not paths:
        return [field.name for field, _ in message.ListFields() if field.name in fields]
    if paths == ["*"]:
        return list(fields)
    for path in paths:
        if path not in fields:
            said = f"{path[:40]!r} cannot be changed; these can: {', '.join(fields)}"
            raise Invalid(
                f"The field update_mask is wrong: {said}.",
                "UPDATE_MASK_INVALID",
                "",
                {"update_mask": said},
            )
    return paths
