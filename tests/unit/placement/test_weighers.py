"""Weights: normalised, multiplied, added."""

from actors.placement.fleet import Fleet
from actors.placement.weighers import WEIGHERS, Weigher, weigh
from tests.unit.placement.fleets import host, inventory, needs


def test_hosts_that_are_equal_weigh_nothing() -> None:
    assert weigh(list(Fleet([host("h1"), host("h2")]))) == [0.0, 0.0]


def test_each_value_is_brought_to_zero_to_one_and_multiplied() -> None:
    fleet = Fleet(host(f"h{gib}", inventory=inventory(memory_mb=1024 * gib)) for gib in (1, 2, 5))
    weigher = Weigher("RAMWeigher", lambda view: view.free_memory_mb, 2.0)
    assert weigh(list(fleet), (weigher,)) == [0.0, 0.5, 2.0]


def test_a_multiplier_of_zero_switches_a_weigher_off() -> None:
    fleet = Fleet([host("h1"), host("h2")])
    fleet.take(host("h1").id, needs(0, 0, 0))
    views = list(fleet)
    assert [view.instances for view in views] == [1, 0]
    assert weigh(views) == [0.0, 0.0]
    packing = Weigher("NumInstancesWeigher", lambda view: view.instances, 1.0)
    assert weigh(views, (packing,)) == [1.0, 0.0]


def test_a_failed_build_outweighs_everything() -> None:
    fleet = Fleet(
        [host("big", inventory=inventory(64, 2**20, 10_000), failed_builds=1), host("small")]
    )
    big, small = weigh(list(fleet))
    assert big < small


def test_the_defaults_are_novas() -> None:
    assert {weigher.name: weigher.multiplier for weigher in WEIGHERS} == {
        "RAMWeigher": 1.0,
        "CPUWeigher": 1.0,
        "DiskWeigher": 1.0,
        "NumInstancesWeigher": 0.0,
        "BuildFailureWeigher": -1_000_000.0,
    }
