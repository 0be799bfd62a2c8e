"""Lists: newest first, page by page, without looking at what is not asked for."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.lifecycle.roster import Roster
from actors.model.ids import HostId, InstanceId, ProjectId
from actors.model.instance import InstanceRecord, Status, VmState
from actors.model.query import Cursor, InstanceQuery
from tests.local.records import NOW, instance


def made(number: int, **changes: object) -> InstanceRecord:
    born = {"created": NOW + timedelta(seconds=number // 3)}  # some are born at the same time
    return instance(id=InstanceId(f"id-{number:03}"), name=f"vm{number % 4}", **{**born, **changes})


def walk(roster: Roster, query: InstanceQuery) -> list[InstanceRecord]:
    """All pages, one after another."""
    found: list[InstanceRecord] = []
    while True:
        page = roster.page(query)
        found.extend(page.items)
        if not page.more:
            return found
        last = page.items[-1]
        query = query.evolve(after=Cursor(created=last.created, id=last.id))


@given(
    numbers=st.lists(st.integers(0, 60), unique=True, max_size=40),
    gone=st.sets(st.integers(0, 60)),
    limit=st.integers(1, 7),
)
def test_pages_show_everything_once_newest_first(
    numbers: list[int], gone: set[int], limit: int
) -> None:
    roster = Roster()
    for number in numbers:
        roster.put(made(number))
        roster.put(made(number, generation=9))
    for number in gone:
        roster.drop(made(number).id)
    left = [number for number in numbers if number not in gone]
    for project in (ProjectId("p1"), None):
        shown = walk(roster, InstanceQuery(project=project, limit=limit))
        assert sorted(record.id for record in shown) == [f"id-{n:03}" for n in sorted(left)]
        assert [r.created for r in shown] == sorted((r.created for r in shown), reverse=True)
    assert len(roster) == len(left) == sum(roster.states.values())


def test_filters() -> None:
    roster = Roster()
    for number in range(12):
        stopped = number % 2 == 0
        roster.put(made(number, vm_state=VmState.STOPPED if stopped else VmState.ACTIVE))
    project = ProjectId("p1")
    named = walk(roster, InstanceQuery(project=project, name="vm1", limit=2))
    assert {record.name for record in named} == {"vm1"}
    assert len(named) == 3
    off = walk(roster, InstanceQuery(project=project, status=Status.SHUTOFF, limit=4))
    assert len(off) == 6
    assert walk(roster, InstanceQuery(project=ProjectId("other"))) == []
    assert walk(roster, InstanceQuery(project=project, host="nowhere")) == []


def test_by_host() -> None:
    roster, other = Roster(), HostId("other")
    roster.put(made(1))
    roster.put(made(2))
    roster.put(made(2, host_id=other))
    assert [record.id for record in roster.on_host(other)] == [made(2).id]
    roster.put(made(2, host_id=None))
    assert roster.on_host(other) == []
