"""The one table: kind of error → gRPC code and HTTP status.

Every front end takes its statuses from here, so the same failure looks the same whichever way a
client came in. AIP-193 (errors) and AIP-194 (what clients repeat by themselves) decide the codes.
"""

from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

from actors.model.errors import ComputeError, Kind


@dataclass(frozen=True, slots=True)
class Wire:
    """How a kind of error travels."""

    code: StatusCode
    http: int


WIRE: Final[dict[Kind, Wire]] = {
    Kind.INVALID: Wire(StatusCode.INVALID_ARGUMENT, 400),
    Kind.NOT_FOUND: Wire(StatusCode.NOT_FOUND, 404),
    Kind.ALREADY_EXISTS: Wire(StatusCode.ALREADY_EXISTS, 409),
    Kind.CONFLICT: Wire(StatusCode.FAILED_PRECONDITION, 409),
    # AIP-154: an etag that no longer fits. The caller must read again before it repeats.
    Kind.STALE: Wire(StatusCode.ABORTED, 412),
    # Ray has replaced the actor that was asked; its successor will answer.
    Kind.FENCED: Wire(StatusCode.UNAVAILABLE, 503),
    Kind.NO_VALID_HOST: Wire(StatusCode.RESOURCE_EXHAUSTED, 409),
    Kind.QUOTA: Wire(StatusCode.RESOURCE_EXHAUSTED, 403),
    Kind.EXHAUSTED: Wire(StatusCode.RESOURCE_EXHAUSTED, 507),
    Kind.UNAUTHENTICATED: Wire(StatusCode.UNAUTHENTICATED, 401),
    Kind.FORBIDDEN: Wire(StatusCode.PERMISSION_DENIED, 403),
    Kind.UNAVAILABLE: Wire(StatusCode.UNAVAILABLE, 503),
    Kind.EXPIRED: Wire(StatusCode.DEADLINE_EXCEEDED, 504),
    Kind.CANCELLED: Wire(StatusCode.CANCELLED, 499),
    # What gRPC itself answers to a message over its limit.
    Kind.TOO_LARGE: Wire(StatusCode.RESOURCE_EXHAUSTED, 413),
    Kind.HYPERVISOR: Wire(StatusCode.INTERNAL, 500),
    Kind.INTERNAL: Wire(StatusCode.INTERNAL, 500),
}

#: Reasons whose kind would mislead: no deadline has passed here, the position is out of range.
BY_REASON: Final[dict[str, Wire]] = {
    "RESUME_TOKEN_EXPIRED": Wire(StatusCode.OUT_OF_RANGE, 410),
}


def wire_of(error: ComputeError) -> Wire:
    """The codes of an error."""
    return BY_REASON.get(error.reason) or WIRE[error.kind]
