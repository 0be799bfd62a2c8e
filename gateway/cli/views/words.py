"""Enum numbers, times and resource names of the wire, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


Number = TypeVar("Number", bound=int, contravariant=True)


class EnumType(Protocol[Number]):
    """A protobuf enum, of which only the names matter here."""

    def Name(self, number: Number) -> str:
        """The name of a number; ValueError where it has none."""
        ...


def word(enum: EnumType[Number], number: Number, prefix: str) -> str:
    """An enum value without the prefix of its enum; "" for unspecified.

    A newer server may send a number this client has no name for: it is shown, not refused.
    """
    if number == 0:
        return ""
    try:
        return enum.Name(number).removeprefix(prefix)
    except ValueError:
        return f"UNKNOWN({number})"


def iso_seconds(time: Timestamp) -> str:
    """``2015-09-22T03:24:29Z``; "" for a time that is not set."""
    return f"{time.ToDatetime():%Y-%m-%dT%H:%M:%S}Z" if _is_set(time) else ""


def iso_micros(time: Timestamp) -> str:
    """``2015-09-22T03:24:34.000000``, as Nova writes launched_at; "" for a time not set."""
    return f"{time.ToDatetime():%Y-%m-%dT%H:%M:%S.%f}" if _is_set(time) else ""


def json_time(time: Timestamp) -> str | None:
    """RFC 3339 in UTC with microseconds; None for a time that is not set."""
    return f"{iso_micros(time)}Z" if _is_set(time) else None


def seconds_between(start: Timestamp, end: Timestamp) -> float | None:
    """How long it took; None where either is not set."""
    if not (_is_set(start) and _is_set(end)):
        return None
    return (end.ToDatetime() - start.ToDatetime()).total_seconds()


def last_part(name: str) -> str:
    """``flavors/1`` → ``1``."""
    return name.rpartition("/")[2]


def project_of(name: str) -> str:
    """The project in ``projects/{project}/…``; "" where there is none."""
    parts = name.split("/")
    return parts[1] if len(parts) > 1 and parts[0] == "projects" else ""


def _is_set(time: Timestamp) -> bool:
    return bool(time.seconds or time.nanos)
