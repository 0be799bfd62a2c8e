"""Errors on the wire."""

import inspect
import re
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure

import actors.model.errors
from actors.model.errors import ComputeError, Kind, QuotaExceeded
from gateway.errors import BY_REASON, WIRE, wire_of
from gateway.rpc.problems import status_of

ERRORS = [
    error
    for _, error in inspect.getmembers(actors.model.errors, inspect.isclass)
    if issubclass(error, ComputeError)
]


def test_every_kind_has_its_codes() -> None:
    assert set(WIRE) == set(Kind)
    never = {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN}
    for wire in (*WIRE.values(), *BY_REASON.values()):
        assert wire.code not in never
        assert 400 <= wire.http < 600


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_one_error_info(error: type[ComputeError]) -> None:
    made = error("A sentence.", "", "for the operator", {"instance": "i"})
    status = status_of(made, admin=True)
    kinds = [detail.type_url for detail in status.details]
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.default_reason, "novaray")
    assert len(set(kinds)) == len(kinds)
    assert status.code == wire_of(made).code.value[0]
    assert "operator" not in str(status)


def test_the_quota_says_whose() -> None:
    status = status_of(QuotaExceeded("The limit is reached.", "", "", {"project": "demo"}))
    quota = QuotaFailure()
    assert status.details[1].Unpack(quota)
    assert quota.violations[0].subject == "projects/demo"


@pytest.mark.parametrize("error", ERRORS)
def test_a_status_fits_into_headers(error: type[ComputeError]) -> None:
    metadata = {f"key-{number}": "é" * 1000 for number in range(1000)}
    made = error("☃" * 100_000, "X" * 63, "", {"instance": "☃" * 9000, **metadata})
    status = status_of(made, admin=True)
    # Details as base64; the message once more by itself, with % for each byte. Clients take 8 KiB.
    assert status.ByteSize() * 4 / 3 + len(status.message.encode()) * 3 < 7800


def test_reasons_are_words_for_programs() -> None:
    """AIP-193: UPPER_SNAKE_CASE, at most 63 characters."""
    gateway = Path(__file__).parents[2] / "gateway"
    reasons = {
        reason
        for folder in ("app", "rpc")
        for path in (gateway / folder).rglob("*.py")
        for reason in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', path.read_text(encoding="utf-8"))
    }
    assert len(reasons) > 20
    assert all(len(reason) <= 63 for reason in reasons)
