"""Who is calling."""

from enum import StrEnum

from pydantic import Field

from actors.model.base import Instant, Record, StoredRecord
from actors.model.ids import ProjectId, UserId


class Role(StrEnum):
    """What a token may do. Each role may do all that the ones before it may."""

    READER = "reader"
    MEMBER = "member"
    ADMIN = "admin"


class Principal(Record):
    """The caller of one request."""

    user: UserId
    project: ProjectId
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether this caller's role covers the one needed."""
        order = tuple(Role)
        return order.index(self.role) >= order.index(needed)


class TokenRecord(StoredRecord):
    """A bearer token, of which only the SHA-256 is kept."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    user: UserId
    project: ProjectId
    role: Role
    created: Instant
    generation: int = 1
