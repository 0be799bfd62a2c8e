"""Every way a request can fail, as a kind and two messages.

Owns the taxonomy and nothing of any transport: gRPC codes and HTTP statuses live in
``gateway/errors.py``. An error crosses process borders by pickle, so all arguments are positional
and reach ``Exception.__init__`` (Ray turns anything else into ``UnserializableException``).

    ComputeError
    ├── Invalid            a field of the request is wrong
    ├── NotFound           no such thing, or not the caller's
    ├── AlreadyExists      a name or a request id is taken
    ├── Conflict           the state forbids it
    ├── Stale              somebody else changed it first (generation, etag)
    ├── Fenced             the writer was replaced; its epoch is old
    ├── NoValidHost        no host passes the filters
    ├── QuotaExceeded      the project's limit is reached
    ├── Exhausted          a pool or a device is full (addresses, disk)
    ├── Unauthenticated    no token, or a wrong one
    ├── Forbidden          the token may not do this
    ├── Unavailable        a part is away; the same call may work later
    ├── Expired            a deadline or a token of ours has passed
    ├── Cancelled          the caller or a delete interrupted it
    ├── TooLarge           a message or a field over its limit
    ├── HypervisorRefused  libvirt or QEMU said no
    └── Internal           a bug of ours
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What a caller can do about an error; the gateway maps each to its wire codes."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"
    STALE = "stale"
    FENCED = "fenced"
    NO_VALID_HOST = "no_valid_host"
    QUOTA = "quota"
    EXHAUSTED = "exhausted"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    TOO_LARGE = "too_large"
    HYPERVISOR = "hypervisor"
    INTERNAL = "internal"


class ComputeError(Exception):
    """Base of all errors a caller may see.

    Attributes:
        message: For the tenant: what, which id, what to do next. A sentence; part of the API.
        reason: For a program: UPPER_SNAKE, at most 63 characters (``google.rpc.ErrorInfo.reason``).
        detail: For the operator: goes to the log, never to the client.
        metadata: For a program: facts such as the id or the refusing filter per host.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        reason: str = "",
        detail: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message
        self.reason = reason or self.default_reason
        self.detail = detail
        self.metadata: Mapping[str, str] = dict(metadata or {})
        super().__init__(message, self.reason, detail, self.metadata)

    def __str__(self) -> str:
        return f"{self.message} ({self.detail})" if self.detail else self.message


class Invalid(ComputeError):
    """A field of the request is wrong. ``metadata`` maps each field to what is wrong with it."""

    kind = Kind.INVALID
    default_reason = "INVALID_ARGUMENT"


class NotFound(ComputeError):
    """The thing does not exist, or belongs to another project (never told apart)."""

    kind = Kind.NOT_FOUND
    default_reason = "NOT_FOUND"


class AlreadyExists(ComputeError):
    """A name, an id or a request id is taken by something else."""

    kind = Kind.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"


class Conflict(ComputeError):
    """The state of the thing forbids the action."""

    kind = Kind.CONFLICT
    default_reason = "INVALID_STATE"


class Stale(ComputeError):
    """The record has moved on since the caller read it."""

    kind = Kind.STALE
    default_reason = "STALE_GENERATION"


class Fenced(ComputeError):
    """The writer's epoch is old: Ray has already replaced this process. It must stop."""

    kind = Kind.FENCED
    default_reason = "STALE_EPOCH"


class NoValidHost(ComputeError):
    """No host passes. ``metadata`` maps each host to the filter that refused it and why."""

    kind = Kind.NO_VALID_HOST
    default_reason = "NO_VALID_HOST"


class QuotaExceeded(ComputeError):
    """The project's limit is reached."""

    kind = Kind.QUOTA
    default_reason = "QUOTA_EXCEEDED"


class Exhausted(ComputeError):
    """A pool or a device is full."""

    kind = Kind.EXHAUSTED
    default_reason = "RESOURCE_EXHAUSTED"


class Unauthenticated(ComputeError):
    """No bearer token, or one nobody knows."""

    kind = Kind.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


class Forbidden(ComputeError):
    """The token is known but may not do this."""

    kind = Kind.FORBIDDEN
    default_reason = "PERMISSION_DENIED"


class Unavailable(ComputeError):
    """A part is away for now.

    Nothing is known about the call's effect; converging calls may repeat.
    """

    kind = Kind.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class Expired(ComputeError):
    """A deadline has passed, or a token of ours is too old to be honoured."""

    kind = Kind.EXPIRED
    default_reason = "DEADLINE_EXCEEDED"


class Cancelled(ComputeError):
    """The caller cancelled it, or a delete interrupted it."""

    kind = Kind.CANCELLED
    default_reason = "CANCELLED"


class Abandoned(Cancelled):
    """Not a newer operation came, but the wish to end this one."""

    default_reason = "ABANDONED"


class TooLarge(ComputeError):
    """A message or a field is over its limit."""

    kind = Kind.TOO_LARGE
    default_reason = "TOO_LARGE"


class HypervisorRefused(ComputeError):
    """libvirt or QEMU refused. ``detail`` carries libvirt's own words."""

    kind = Kind.HYPERVISOR
    default_reason = "HYPERVISOR_REFUSED"


class Internal(ComputeError):
    """A bug of ours. The message says nothing of the inside; the detail does."""

    kind = Kind.INTERNAL
    default_reason = "INTERNAL"
