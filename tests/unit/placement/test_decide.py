"""The decision, and the story of a refusal."""

from collections import Counter

import pytest

from actors.model.errors import NoValidHost
from actors.placement.decide import NAMED_HOSTS, Chosen, Refused, decide, no_valid_host
from actors.placement.fleet import Fleet
from actors.ports.scheduler import ClaimRequest
from tests.unit.placement.fleets import down, host, inventory, needs, request

XLARGE = needs(8, 16384, 160)


def chosen(fleet: Fleet, asked: ClaimRequest) -> str:
    decision = decide(fleet, asked)
    assert isinstance(decision, Chosen)
    return decision.host.name


def refused(fleet: Fleet, asked: ClaimRequest) -> NoValidHost:
    decision = decide(fleet, asked)
    assert isinstance(decision, Refused)
    return no_valid_host(asked, decision)


def test_the_host_with_most_free_wins() -> None:
    fleet = Fleet([host("h1"), host("h2", inventory=inventory(8, 8192, 200)), host("h3")])
    assert chosen(fleet, request()) == "h2"


def test_a_host_where_boots_failed_is_the_last_resort() -> None:
    fleet = Fleet([host("h1"), host("h2", inventory=inventory(8, 8192, 200), failed_builds=1)])
    assert chosen(fleet, request()) == "h1"
    assert chosen(fleet, request(exclude=("h1",))) == "h2"


def test_the_answer_does_not_depend_on_who_joined_first() -> None:
    records = [host(f"h{n}") for n in range(7)]
    one, other = Fleet(records), Fleet(reversed(records))
    asked = [request(f"i{n}") for n in range(20)]
    assert [chosen(one, a) for a in asked] == [chosen(other, a) for a in asked]


def test_a_burst_spreads_over_equal_hosts() -> None:
    fleet = Fleet(host(f"h{n}", inventory=inventory(64, 2**16, 1000)) for n in range(10))
    counts: Counter[str] = Counter()
    for n in range(50):
        decision = decide(fleet, request(f"i{n}"))
        assert isinstance(decision, Chosen)
        fleet.take(decision.host.id, needs())
        counts[decision.host.name] += 1
    assert set(counts.values()) == {5}


def test_a_burst_that_weighs_nothing_spreads_too() -> None:
    fleet = Fleet(host(f"h{n}") for n in range(10))
    names = {chosen(fleet, request(f"i{n}", resources=needs(0, 0, 0))) for n in range(50)}
    assert len(names) > 5


def test_a_refusal_counts_by_filter_and_names_hosts() -> None:
    fleet = Fleet([host("h1"), host("h2"), host("h3"), down("h4")])
    error = refused(fleet, request(resources=needs(4, 16384, 100)))
    assert error.message == (
        "No valid host was found for a flavor of 16384 MiB, 4 vCPUs, 100 GiB: "
        "3 hosts refused by MemoryFilter, 1 by ComputeFilter (down). "
        "Choose a smaller flavor or add a host."
    )
    assert error.metadata == {
        "h1": "MemoryFilter: needs 16384 MiB of memory, 4096 are free",
        "h2": "MemoryFilter: needs 16384 MiB of memory, 4096 are free",
        "h3": "MemoryFilter: needs 16384 MiB of memory, 4096 are free",
        "h4": "ComputeFilter: is down: it has not reported lately",
    }


def test_a_refusal_names_only_so_many_hosts_the_nearest_first() -> None:
    fleet = Fleet([*(down(f"a{n:03}") for n in range(30)), host("z")])
    error = refused(fleet, request(resources=XLARGE))
    assert len(error.metadata) == NAMED_HOSTS + 1
    assert error.metadata["more_hosts"] == "11"
    assert next(iter(error.metadata)) == "z"


@pytest.mark.parametrize(
    ("fleet", "asked", "advice"),
    [
        (Fleet(), request(), "no host has joined the cluster. Add a host."),
        (
            Fleet([down("h1")]),
            request(),
            "1 host refused by ComputeFilter (down). "
            "Wait for a host to come back, enable one or add one.",
        ),
        (
            Fleet([host("h1")]),
            request(only="h9"),
            "1 host refused by RequestedHostFilter. No host is named h9: name another, or none.",
        ),
        (
            Fleet([host("h1")]),
            request(zone="attic"),
            "1 host refused by AvailabilityZoneFilter. "
            "Choose another availability zone or add a host.",
        ),
    ],
)
def test_a_refusal_says_what_to_do(fleet: Fleet, asked: ClaimRequest, advice: str) -> None:
    assert refused(fleet, asked).message == (
        f"No valid host was found for a flavor of 1024 MiB, 1 vCPU, 10 GiB: {advice}"
    )
