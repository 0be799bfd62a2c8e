"""Lists: newest first, page by page, without looking at what is not asked for."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.lifecycle.roster import Roster
from actors.model.ids import HostId, InstanceId, ProjectId
from actors.model.instance import InstanceRecord, Lock, Status, VmState
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


@given(names=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=30))
def test_names_may_change(names: list[tuple[int, str]]) -> None:
    """By its new name it is found, by the old one no more; its place in lists stays."""
    roster, model = Roster(), dict[str, str]()
    for number, name in names:
        record = made(number).evolve(name=name)
        roster.put(record)
        model[record.id] = name
    project = ProjectId("p1")
    for name in "abc":
        found = walk(roster, InstanceQuery(project=project, name=name, limit=2))
        assert {record.id for record in found} == {i for i, held in model.items() if held == name}
    order = walk(roster, InstanceQuery(project=project, limit=2))
    assert [r.created for r in order] == sorted((r.created for r in order), reverse=True)
    for number, _ in names:
        roster.drop(made(number).id)
    for name in "abc":
        assert roster.page(InstanceQuery(project=project, name=name)).items == ()


def test_what_is_soft_deleted_is_shown_where_it_is_asked_for() -> None:
    roster, project = Roster(), ProjectId("p1")
    roster.put(made(1))
    roster.put(made(2, vm_state=VmState.SOFT_DELETED))
    assert [record.id for record in walk(roster, InstanceQuery(project=project))] == [made(1).id]
    asked = InstanceQuery(project=project, status=Status.SOFT_DELETED)
    assert [record.id for record in walk(roster, asked)] == [made(2).id]


def test_by_tags_and_lock() -> None:
    roster, project = Roster(), ProjectId("p1")
    roster.put(made(1, tags=("blue", "web")))
    roster.put(made(2, tags=("web",), lock=Lock(user=made(2).user)))

    def ids(**conditions: object) -> list[str]:
        query = InstanceQuery(project=project).evolve(**conditions)
        return [record.id for record in walk(roster, query)]

    assert ids(tags=("web",)) == [made(1).id, made(2).id]
    assert ids(tags=("web", "blue")) == [made(1).id]
    assert ids(locked=True) == [made(2).id]
    assert ids(locked=False) == [made(1).id]


def test_by_host() -> None:
    roster, other = Roster(), HostId("other")
    roster.put(made(1))
    roster.put(made(2))
    roster.put(made(2, host_id=other))
    assert [record.id for record in roster.on_host(other)] == [made(2).id]
    roster.put(made(2, host_id=None))
    assert roster.on_host(other) == []
