"""The parts of ``gateway/app`` that need no server: filters, tokens, caches, pages."""

import asyncio
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model.errors import Invalid, Unavailable
from gateway.app.cache import Fresh, Remembered
from gateway.app.filters import parse_filter
from gateway.app.pages import Pager, PageRequest, page_of
from gateway.app.tokens import Signer

FIELDS = ("display_name", "state", "host")
SECRET = b"0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("  ", {}),
        ('display_name = "web 1"', {"display_name": "web 1"}),
        (r'display_name="a\"b\\c"', {"display_name": r'a"b\c'}),
        ("state=ACTIVE AND host=h-1.example", {"state": "ACTIVE", "host": "h-1.example"}),
        ('display_name = ""', {"display_name": ""}),
        ('display_name = "AND = AND"', {"display_name": "AND = AND"}),
    ],
)
def test_filters_that_can_be_read(text: str, expected: dict[str, str]) -> None:
    assert parse_filter(text, FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("name = x", 1, "expected one of display_name, host, state"),
        ("state ACTIVE", 7, "expected ="),
        ("state =", 8, "expected a value"),
        ("state = = x", 9, "expected a value"),
        ("state = A OR host = b", 11, "expected AND"),
        ("state = A AND", 14, "expected one of"),
        ("state = A AND state = B", 15, "state stands here twice"),
        ('display_name = "open', 16, "this character cannot stand here"),
        ("state = A; drop", 10, "this character cannot stand here"),
        ('"state" = A', 1, "expected one of"),
    ],
)
def test_filters_that_cannot_be_read(text: str, position: int, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter(text, FIELDS)
    assert caught.value.reason == "FILTER_INVALID"
    assert problem in caught.value.message
    assert f"(at position {position})" in caught.value.metadata["filter"]


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(Invalid):
        assert set(parse_filter(text, FIELDS)) <= set(FIELDS)


# What tokens carry is short: ids, instants, checksums.
CONTENT = st.lists(
    st.text(max_size=10) | st.integers() | st.booleans() | st.none(), max_size=4
).map(tuple)


@given(CONTENT, CONTENT)
def test_a_token_says_what_was_signed(content: tuple[str, ...], purpose: tuple[str, ...]) -> None:
    signer = Signer(SECRET)
    token = signer.sign(content, purpose)
    assert signer.read(token, purpose) == content
    for reader, wanted in ((signer, (*purpose, "x")), (Signer(SECRET * 2), purpose)):
        with pytest.raises(ValueError, match="signature"):
            reader.read(token, wanted)


@given(st.text(max_size=80))
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Signer(SECRET).read(text, ("page",))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(b"short")


@given(st.sets(st.integers(0, 60)), st.integers(1, 7))
def test_pages_of_a_short_list_are_the_list(numbers: set[int], size: int) -> None:
    pager = Pager(Signer(SECRET), "numbers")
    seen: list[int] = []
    token = ""
    while True:
        page = page_of(numbers, lambda n: (n,), pager, PageRequest(size, token))
        seen += page.items
        if not page.more:
            break
        token = page.token_after(page.items[-1])
    assert seen == sorted(numbers)


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (1000, 1000), (5000, 1000)])
def test_page_sizes(asked: int, given: int) -> None:
    assert PageRequest(asked).limit == given


class Source:
    """Counts its loads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.loads = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> int:
        self.loads += 1
        await self.gate.wait()
        if self.fails:
            raise Unavailable("Away.")
        return self.loads

    async def load_key(self, key: str) -> str | None:
        await self.load()
        return None if key == "nobody" else f"{key} {self.loads}"


async def test_one_load_serves_all_who_come_meanwhile() -> None:
    source = Source()
    fresh = Fresh(source.load, 1.0, lambda: source.now)
    source.gate.clear()
    calls = [asyncio.create_task(fresh.get()) for _ in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    source.gate.set()
    assert await asyncio.gather(*calls[1:]) == [1] * 9
    source.now = 1.0
    assert await fresh.get() == 1
    source.now = 1.5
    assert await fresh.get() == 2
    assert await fresh.get(0.0) == 2


async def test_a_failure_is_not_kept() -> None:
    source = Source()
    fresh = Fresh(source.load, 1.0, lambda: source.now)
    source.fails = True
    with pytest.raises(Unavailable):
        await fresh.get()
    source.fails = False
    assert await fresh.get() == 2


async def test_what_was_changed_is_loaded_again_also_while_it_was_on_its_way() -> None:
    source = Source()
    fresh = Fresh(source.load, 1.0, lambda: source.now)
    assert await fresh.get() == 1
    fresh.forget()
    assert await fresh.get() == 2
    source.gate.clear()
    fresh.forget()
    begun_before = asyncio.create_task(fresh.get())
    while source.loads < 3:  # noqa: ASYNC110 - it is under way after a few turns of the loop
        await asyncio.sleep(0)
    fresh.forget()
    after = asyncio.create_task(fresh.get())
    while source.loads < 4:  # noqa: ASYNC110
        await asyncio.sleep(0)
    source.gate.set()
    await asyncio.gather(begun_before, after)
    assert await fresh.get() == 4
    assert source.loads == 4


async def test_what_is_remembered_is_young_and_bounded() -> None:
    source = Source()
    held = Remembered(source.load_key, 5.0, 2, lambda: source.now)
    assert await held.get("a") == "a 1"
    assert await held.get("a") == "a 1"
    assert await held.get("b") == "b 2"
    assert await held.get("c") == "c 3"
    assert held.peek("a") is None
    source.now = 5.1
    assert held.peek("b") is None
    assert await held.get("c") == "c 4"


async def test_an_unknown_key_is_asked_for_each_time() -> None:
    source = Source()
    held = Remembered(source.load_key, 5.0, 2, lambda: source.now)
    for _ in range(2):
        assert await held.get("nobody") is None
    assert source.loads == 2
