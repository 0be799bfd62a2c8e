"""What can go wrong, as the command line tells it: one sentence, a reason, what to do next.

Owns the exit codes. Knows nothing of gRPC: ``gateway/cli/statuses.py`` makes failures of statuses.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

#: A JSON value.
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class Exit(IntEnum):
    """Exit codes. Part of the interface: scripts branch on them."""

    OK = 0
    #: The server refused, the operation failed, or the thing is unknown or ambiguous.
    FAILED = 1
    #: The command line cannot be read.
    USAGE = 2
    #: No credentials, credentials refused, or no connection.
    NO_CONNECTION = 3
    #: The reader of our output went away (128 + SIGPIPE, as a shell has it).
    BROKEN_PIPE = 141
    #: Ctrl-C (128 + SIGINT).
    INTERRUPTED = 130


class Failure(Exception):
    """Ends the command. Its text is for a person, its reason for a program.

    Attributes:
        message: A sentence: what, which one.
        reason: UPPER_SNAKE: the server's ``ErrorInfo.reason``, or one of ours.
        code: The gRPC code's name, or "" where no server was involved.
        hint: What to do next, or "".
        details: Further lines: a field and its problem, a host and why it refused.
        data: More for the JSON form.
    """

    def __init__(
        self,
        message: str,
        reason: str,
        *,
        exit_code: Exit = Exit.FAILED,
        code: str = "",
        hint: str = "",
        details: Sequence[str] = (),
        data: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.message: Final = message
        self.reason: Final = reason
        self.exit_code: Final = exit_code
        self.code: Final = code
        self.hint: Final = hint
        self.details: Final = tuple(details)
        self.data: Final = dict(data or {})

    @property
    def passing(self) -> bool:
        """Whether the same call may work in a while: the gateway is away, or a part behind it."""
        return self.code == "UNAVAILABLE" and self.reason != "CERTIFICATE_REFUSED"

    def with_hint(self, hint: str) -> "Failure":
        """The same, with something better to do next."""
        return Failure(
            self.message,
            self.reason,
            exit_code=self.exit_code,
            code=self.code,
            hint=hint,
            details=self.details,
            data=self.data,
        )

    @property
    def unsettled(self) -> bool:
        """Whether nobody here knows if the call had its effect."""
        return self.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")

    def as_json(self) -> dict[str, Json]:
        """The JSON form. Every key is always there."""
        return {
            "error": {
                "message": self.message,
                "reason": self.reason,
                "code": self.code,
                "hint": self.hint,
                "exit_code": int(self.exit_code),
                "data": self.data,
            }
        }

    def as_text(self, prefix: str = "ERROR") -> str:
        """Lines for a person."""
        lines = [f"{prefix} ({self.reason}): {self.message}"]
        lines += [f"  {line}" for detail in self.details for line in detail.splitlines()]
        if self.hint:
            lines.append(f"Hint: {self.hint}")
        return "\n".join(lines)
