"""What all records share: frozen, closed to unknown fields, JSON in and out."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


class Record(BaseModel):
    """A value that crosses actors or lies in the store. Change it with ``evolve``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def evolve(self, **changes: object) -> Self:
        """A copy with these fields replaced. Values are trusted: callers are our own core."""
        return self.model_copy(update=changes)


class StoredRecord(Record):
    """A record that lies in the store.

    What a newer release added is left out on reading, not refused.
    """

    model_config = ConfigDict(extra="ignore")


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


#: An instant, always in UTC.
Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
