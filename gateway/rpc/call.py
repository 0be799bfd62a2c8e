"""What the border knows of the call in hand. Set there once, read by servicers and by the log."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc

from actors.model.identity import Principal

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class Call:
    """One call."""

    #: Echoed in the trailing metadata, and in the log.
    request_id: str
    #: A new UUID for an operation whose caller named none: the call's own where we made that.
    operation_request_id: str
    #: Who calls; None for the few methods that need no bearer token.
    principal: Principal | None = None


CALL: ContextVar[Call] = ContextVar("novaray_call")


def caller() -> Principal:
    """Who makes the call in hand."""
    principal = CALL.get().principal
    assert principal is not None, "this method is served without a token"
    return principal


def caller_if_any() -> Principal | None:
    """Who makes the call in hand; None for a method whose token may lie in its request."""
    return CALL.get().principal


def seconds_left(context: Context) -> float | None:
    """Until the caller's deadline; None where there is none, which gRPC's types do not know."""
    left: float | None = context.time_remaining()
    return left


def request_id_or_own(given: str) -> str:
    """The request id of the operation: what the caller gave, else the call's own."""
    return given or CALL.get().operation_request_id
