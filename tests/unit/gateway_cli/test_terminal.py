"""A guest's bytes on a terminal: colours pass, nothing else that steers it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.commands.console import last_lines
from gateway.cli.terminal import ConsoleText, plain


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"login: ", "login: "),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        (b"\x1b[2J\x1b[1;1Hcleared", "cleared"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        (b"\x1bP+q544e\x1b\\after", "after"),
        (b"bell\x07 del\x7f", "bell del"),
        (b"\xc2\x9b2Jc1", "2Jc1"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_passes(data: bytes, shown: str) -> None:
    assert ConsoleText().take(data, last=True) == shown


@given(st.binary(max_size=60), st.integers(0, 60))
def test_pieces_are_as_good_as_the_whole(data: bytes, cut: int) -> None:
    text = ConsoleText()
    in_pieces = text.take(data[:cut]) + text.take(data[cut:], last=True)
    assert _visible(in_pieces) == _visible(ConsoleText().take(data, last=True))


@given(st.lists(st.sampled_from([b"\x1b", b"[", b"]", b"2", b"J", b"m", b"\x07", b"a", b"\n"])))
def test_only_colours_are_left(parts: list[bytes]) -> None:
    text = ConsoleText()
    shown = "".join([*(text.take(part) for part in parts), text.take(b"", last=True)])
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;:]*m", "", shown)


def test_plain_has_no_sequence_at_all() -> None:
    assert plain(b"\x1b[31mred\x1b[0m\r\n\x1b[2J") == "red\n"


def test_last_lines() -> None:
    assert last_lines(b"a\nb\nlogin: ", 2) == b"b\nlogin: "
    assert last_lines(b"a\n", 5) == b"a\n"
    assert last_lines(b"a\n", 0) == b""


def _visible(text: str) -> str:
    # A \r before a cut is not joined with the \n behind it; on a terminal that looks the same.
    return text.replace("\r\n", "\n").replace("\r", "")
