"""What actions need to know beyond their names. Stored with the operation: a crash forgets nothing.

A new action with words of its own adds its class here, and to ``Details``.
"""

from typing import Annotated, Literal

from pydantic import Field

from actors.model.base import StoredRecord


class Reboot(StoredRecord):
    """Hard: the plug, not the button (Nova: ``{"reboot": {"type": "HARD"}}``)."""

    kind: Literal["reboot"] = "reboot"
    hard: bool = False


#: Told apart by ``kind``.
Details = Annotated[Reboot, Field(discriminator="kind")]
