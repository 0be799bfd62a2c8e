"""gRPC statuses as failures: ``google.rpc.Status`` and its details (AIP-193) in sentences.

A status that carries no ``ErrorInfo`` was not made by our server: it comes from the connection, or
from something that is no gateway of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.cli.failures import Exit, Failure

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status

_CODES: Final = {code.value[0]: code.name for code in grpc.StatusCode}

#: What to do next, by the server's reason, else by the code.
_HINTS: Final = {
    "UNAUTHENTICATED": "Check the token in the credentials file; nova-manage up writes a new one.",
    "PERMISSION_DENIED": "Ask an administrator, or use a token with another role.",
    "NO_VALID_HOST": 'See "nova host-list" for what is free, or take a smaller flavor.',
    "DEADLINE_EXCEEDED": "Raise the limit with --timeout SECONDS. What was asked may still happen.",
    "UNIMPLEMENTED": 'The server may be older than this command: see "nova version".',
    "KEYPAIR_NOT_FOUND": 'See "nova keypair-list".',
    "RESOURCE_NAME_INVALID": 'Lists have the IDs: see "nova list" and "nova operation list".',
    "ABORTED": "Somebody changed it meanwhile: look at it again, then repeat.",
    "QUOTA_EXCEEDED": "Delete what you no longer need, or ask an administrator for more.",
    "INTERNAL": "This is a fault of the server: give its operator the request ID above.",
}
#: How a server leaves a state in which it cannot be done what was asked.
_WAYS_OUT: Final = {
    "error": "nova reboot --hard SERVER, nova rebuild SERVER IMAGE, or nova delete SERVER",
    "paused": "nova unpause SERVER",
    "rescued": "nova unrescue SERVER",
    "resized": "nova resize confirm SERVER, or nova resize revert SERVER",
    "shelved": "nova unshelve SERVER",
    "shelved_offloaded": "nova unshelve SERVER",
    "soft-delete": "nova restore SERVER",
    "stopped": "nova start SERVER",
    "suspended": "nova resume SERVER",
}
#: What itself leads out of a state: another way out would be another's.
_LEAVES: Final = {
    "unpause", "resume", "unrescue", "confirmResize", "revertResize", "restore", "unshelve",
    "shelveOffload",
}  # fmt: skip
#: What is no host among the facts of NO_VALID_HOST.
_NO_HOSTS: Final = {"more_hosts", "instance", "operation", "truncated"}
_IS_IT_UP: Final = "Is the gateway up? Whoever runs it can start it with: nova-manage up."
_WRONG_CA: Final = (
    "Use the CA of this gateway: 'ca' in the credentials file, NOVARAY_CA or --ca. "
    "The address must be one that the certificate names."
)
_REFUSED_CERTIFICATE: Final = re.compile(
    r"handshake failed|verification check failed|verify_failed", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a status says, taken apart."""

    code: str
    message: str
    #: The server's reason; "" where no server of ours spoke.
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    #: Wrong fields and what is wrong with each.
    fields: tuple[tuple[str, str], ...] = ()
    retry_seconds: float | None = None


def told_by(status: Status) -> Told:
    """Take a ``google.rpc.Status`` apart. Details of unknown types are passed over."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_seconds: float | None = None
    for detail in status.details:
        # Unpack says itself whether the type fits.
        if detail.Unpack(info) or detail.Unpack(bad):
            continue
        if detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    return Told(
        code=_CODES.get(status.code, f"CODE_{status.code}"),
        message=status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple((v.field, v.description) for v in bad.field_violations),
        retry_seconds=retry_seconds,
    )


def told_by_call(error: grpc.RpcError) -> Told:
    """What a failed call says."""
    try:
        # A failed call is raised as the call that it was.
        status = rpc_status.from_call(cast("grpc.Call", error))
    except ValueError:
        # Code and details contradict each other: no server of ours does that.
        status = None
    if status is not None:
        return told_by(status)
    return Told(code=error.code().name, message=error.details() or "")


def failure_of_call(error: grpc.RpcError, endpoint: str) -> Failure:
    """The failure a person sees for a failed call."""
    told = told_by_call(error)
    if told.code == "UNAVAILABLE" and not told.reason:
        return _no_connection(told, endpoint)
    return failure_of(told)


def failure_of(told: Told) -> Failure:
    """The failure for what our server said."""
    exit_code = Exit.NO_CONNECTION if told.code == "UNAUTHENTICATED" else Exit.FAILED
    reason = told.reason or told.code
    return Failure(
        _sentence(told, reason),
        reason,
        exit_code=exit_code,
        code=told.code,
        hint=_hint(told, reason),
        details=_details(told, reason),
        data={
            "metadata": dict(sorted(told.metadata.items())),
            "fields": {name: problem for name, problem in told.fields if name},
            "retry_seconds": told.retry_seconds,
        },
    )


def _hint(told: Told, reason: str) -> str:
    state = told.metadata.get("vm_state", "")
    leaves = told.metadata.get("action", "") in _LEAVES
    if reason == "INVALID_STATE" and state in _WAYS_OUT and not leaves:
        return f"The way out of this state: {_WAYS_OUT[state]}."
    return _HINTS.get(reason) or _HINTS.get(told.code, "")


def _details(told: Told, reason: str) -> list[str]:
    # Of a single wrong field the sentence may have it all.
    fields = [(name, problem) for name, problem in told.fields if problem not in told.message]
    lines = [f"{name}: {problem}" if name else problem for name, problem in fields]
    if reason == "NO_VALID_HOST":
        # Here the facts are the hosts and why each refused. Elsewhere the sentence has them.
        more = told.metadata.get("more_hosts")
        lines += [f"{h}: {w}" for h, w in sorted(told.metadata.items()) if h not in _NO_HOSTS]
        lines += [f"and {more} more hosts"] if more else []
    return lines


def _sentence(told: Told, reason: str) -> str:
    if told.message:
        return told.message
    return f"The server answered {reason} and said nothing more."


def _no_connection(told: Told, endpoint: str) -> Failure:
    if _REFUSED_CERTIFICATE.search(told.message):
        # Not our CA's certificate, not this address's certificate, or no TLS at all.
        return Failure(
            f"{endpoint} does not prove to be your gateway: its certificate is refused.",
            "CERTIFICATE_REFUSED",
            exit_code=Exit.NO_CONNECTION,
            code=told.code,
            hint=_WRONG_CA,
            data={"endpoint": endpoint, "cause": told.message},
        )
    # gRPC says how it came to this, layer by layer; the last part is what a person can use.
    cause = told.message.rpartition(": ")[2].rstrip(".")
    return Failure(
        f"No connection to the gateway at {endpoint}{f' ({cause})' if cause else ''}.",
        "NO_CONNECTION",
        exit_code=Exit.NO_CONNECTION,
        code=told.code,
        hint=_IS_IT_UP,
        data={"endpoint": endpoint, "cause": told.message},
    )
