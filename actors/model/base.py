"""What all records share: frozen, closed to unknown fields, JSON in and out."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict


def _revive(kind: type[BaseModel], body: str) -> BaseModel:
    return kind.model_validate_json(body)


class Record(BaseModel):
    """A value that crosses actors or lies in the store. Change it with ``evolve``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    def evolve(self, **changes: object) -> Self:
        """A copy with these fields replaced. Values are trusted: callers are our own core."""
        return self.model_copy(update=changes)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as JSON: half the time of pickling the fields, and the text the store keeps."""
        return _revive, (type(self), self.model_dump_json())


class StoredRecord(Record):
    """A record that lies in the store.

    What a newer release added is left out on reading, not refused.
    """

    model_config = ConfigDict(extra="ignore")


#: An instant. Ours are all in UTC; pydantic refuses one that does not say where it is.
Instant = AwareDatetime
