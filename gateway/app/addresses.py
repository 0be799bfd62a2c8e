"""Addresses and ranges in requests: text that a caller wrote, read and refused by field."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TypeVar

from actors.model.errors import Invalid
from actors.model.subnet import address_of

Value = TypeVar("Value")


def read(field: str, text: str, reader: Callable[[str], Value]) -> Value:
    """What a field's text says.

    Raises:
        Invalid: It is empty, or says nothing of the kind.
    """
    if not text:
        raise field_invalid(field, "is required")
    try:
        return reader(text)
    except ValueError as error:
        raise field_invalid(field, str(error)) from None


def address_if_any(field: str, text: str) -> IPv4Address | None:
    """The address in a field; None where it is empty.

    Raises:
        Invalid: It is no address.
    """
    return read(field, text, address_of) if text else None


def field_invalid(field: str, what: str) -> Invalid:
    """One field of the request is wrong."""
    return Invalid(
        f"The request is not valid: {field}: {what}.", "FIELD_INVALID", "", {field: what}
    )
