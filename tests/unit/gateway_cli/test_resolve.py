"""Names and ids: one thing, or a refusal that helps."""

import pytest

from gateway.cli import resolve
from gateway.cli.failures import Failure
from gateway.cli.resolve import FLAVOR, SERVER, Candidate, as_uuid, pick, similar

ONE = Candidate("840c18ac-0046-49dc-b809-7d83447c6b63", "web", "ACTIVE", "2015-09-22T03:24:29Z")
TWO = Candidate("123b9ecc-9081-40dc-b9e6-de2a1bd10fac", "web", "ERROR", "2015-09-22T03:25:00Z")
DB = Candidate("3ac597bc-20b7-4cf7-891f-bfa000000001", "db")
TINY = Candidate("1", "m1.tiny")


@pytest.mark.parametrize(
    "text", ["db", DB.id, DB.id.upper(), DB.id.replace("-", "")], ids=lambda text: text
)
def test_by_name_or_id(text: str) -> None:
    assert pick(SERVER, text, [ONE, TWO, DB]) is DB


def test_an_id_beats_a_name() -> None:
    named_like_it = Candidate("9", "1")
    assert pick(FLAVOR, "1", [named_like_it, TINY]) is TINY


def test_an_ambiguous_name_lists_the_candidates() -> None:
    with pytest.raises(Failure, match="2 servers are called 'web'") as caught:
        pick(SERVER, "web", [ONE, TWO, DB])
    assert caught.value.reason == "AMBIGUOUS_NAME"
    assert caught.value.as_text() == (
        "ERROR (AMBIGUOUS_NAME): 2 servers are called 'web'.\n"
        f"  {ONE.id}  ACTIVE, created 2015-09-22T03:24:29Z\n"
        f"  {TWO.id}  ERROR, created 2015-09-22T03:25:00Z\n"
        "Hint: Name one by its id."
    )
    assert caught.value.data["candidates"] == [ONE.as_json(), TWO.as_json()]


def test_an_unknown_name_has_a_hint() -> None:
    with pytest.raises(Failure) as caught:
        pick(FLAVOR, "m1.tyny", [TINY])
    assert caught.value.message == "No flavor with a name or ID of 'm1.tyny' exists."
    assert caught.value.hint == 'Did you mean m1.tiny? See "nova flavor-list".'
    assert caught.value.reason == "FLAVOR_NOT_FOUND"


def test_nothing_similar_names_the_list() -> None:
    assert resolve.unknown(SERVER, "zzz", ["web", "db"]).hint == 'See "nova list".'


def test_similar_names_know_no_case() -> None:
    assert similar("TEST", ["Test", "other"]) == ["Test"]


@pytest.mark.parametrize("text", ["", "web", "{840c18ac-0046-49dc-b809-7d83447c6b6}", "8" * 31])
def test_not_a_uuid(text: str) -> None:
    assert as_uuid(text) is None
