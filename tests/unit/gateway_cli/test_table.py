"""Tables: prettytable's look, and nothing in a cell that can harm a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.table import printable, render, render_properties, width


def test_the_look() -> None:
    assert render(("ID", "Name"), [(1, "m1.tiny"), (42, None)]).splitlines() == [
        "+----+---------+",
        "| ID | Name    |",
        "+----+---------+",
        "| 1  | m1.tiny |",
        "| 42 | -       |",
        "+----+---------+",
    ]


def test_a_table_without_rows_has_its_head() -> None:
    assert render(("ID", "Name"), []).splitlines() == [
        "+----+------+",
        "| ID | Name |",
        "+----+------+",
        "+----+------+",
    ]


def test_properties_and_cells_of_several_lines() -> None:
    assert render_properties([("fault", "no host\nh1: full"), ("progress", 0)]).splitlines() == [
        "+----------+----------+",
        "| Property | Value    |",
        "+----------+----------+",
        "| fault    | no host  |",
        "|          | h1: full |",
        "| progress | 0        |",
        "+----------+----------+",
    ]


@pytest.mark.parametrize(
    ("text", "columns"), [("web", 3), ("服务器", 6), ("e\u0301", 1), ("a\u200bb", 2), ("", 0)]
)
def test_width_in_columns_of_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4))
def test_all_lines_are_of_one_width(rows: list[tuple[str, str]]) -> None:
    lines = render(("A", "B"), rows).split("\n")
    assert len({width(line) for line in lines}) == 1
    assert all(line.isprintable() for line in lines)


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\x1b[2Jb\u202e") == "a\\x1b[2Jb\\u202e"
