"""What may be done to volumes and snapshots, and what becomes of them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from actors.model.errors import (
    Cancelled,
    ComputeError,
    Conflict,
    Invalid,
    NotFound,
    QuotaExceeded,
    Stale,
    Unavailable,
)
from actors.model.ids import HostId, ProjectId, SnapshotId, VolumeId
from actors.model.volume import VOLUME_LIMIT, SnapshotStatus, VolumeChanges, VolumeStatus
from actors.model.volume_hold import Moved
from actors.model.volume_ledger import VolumeLedger
from actors.model.volume_records import CopyVolume, GrowVolume, RemoveSnapshot, RemoveVolume
from tests.local.records import SOURCE
from tests.local.volumes import hold, new_snapshot, new_volume, reserve

NOW = datetime(2026, 1, 5, tzinfo=UTC)
V, S = VolumeId("v"), SnapshotId("s")
OTHER = ProjectId("other")


@pytest.fixture
def ledger() -> VolumeLedger:
    """One volume, of 1 GiB, and no bytes."""
    made = VolumeLedger()
    made.create(new_volume(), NOW)
    made.take_changes()
    return made


def attach(ledger: VolumeLedger, sequence: int = 2, host: str = "h1") -> None:
    ledger.reserve(reserve(hold(sequence=sequence), host), NOW)
    ledger.attached(hold(sequence=sequence))


def with_bytes(ledger: VolumeLedger) -> VolumeLedger:
    """The volume has been attached, and given back."""
    attach(ledger)
    ledger.release(hold(sequence=3))
    ledger.take_changes()
    return ledger


def with_snapshot(ledger: VolumeLedger) -> VolumeLedger:
    with_bytes(ledger).take_snapshot(new_snapshot(), NOW)
    ledger.copied(S)
    ledger.take_changes()
    return ledger


def refused(reason: str, call: Callable[[], object], kind: type[ComputeError] = Conflict) -> str:
    """The words of the refusal."""
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.reason == reason
    return caught.value.message


def test_a_volume_goes_through_its_life(ledger: VolumeLedger) -> None:
    kept = ledger.reserve(reserve(), NOW)
    assert (kept.status, kept.host, kept.host_id) == (VolumeStatus.ATTACHING, "h1", "id-h1")
    assert not kept.made
    ledger.attached(hold())
    assert ledger.volume(V).status is VolumeStatus.IN_USE
    assert ledger.volume(V).made
    ledger.detaching(hold(sequence=3))
    assert ledger.volume(V).status is VolumeStatus.DETACHING
    ledger.release(hold(sequence=3))
    free = ledger.volume(V)
    assert (free.status, free.attachment, free.host) == (VolumeStatus.AVAILABLE, None, "h1")
    ledger.delete(V)
    assert ledger.errand(V) == RemoveVolume(V, HostId("id-h1"))
    ledger.removed(V)
    assert ledger.volumes() == ()


def test_the_same_request_makes_one(ledger: VolumeLedger) -> None:
    assert ledger.create(new_volume(size_gb=5), NOW).size_gb == 1
    assert ledger.take_changes().volumes == ()


def test_other_projects_see_nothing(ledger: VolumeLedger) -> None:
    assert ledger.volumes(OTHER) == ()
    refused("VOLUME_NOT_FOUND", lambda: ledger.volume(V, OTHER), NotFound)
    refused("VOLUME_NOT_FOUND", lambda: ledger.reserve(reserve(project=OTHER), NOW), NotFound)
    taken = new_snapshot(project=OTHER)
    refused("VOLUME_NOT_FOUND", lambda: ledger.take_snapshot(taken, NOW), NotFound)
    with_snapshot(ledger)
    assert ledger.snapshots(OTHER) == ()
    stolen = new_volume("w", project=OTHER, snapshot="s")
    refused("VOLUME_SNAPSHOT_NOT_FOUND", lambda: ledger.create(stolen, NOW), NotFound)


def test_a_volume_that_somebody_has_is_nobody_elses(ledger: VolumeLedger) -> None:
    attach(ledger)
    other = reserve(hold(instance="j"))
    assert "Detach it first." in refused("VOLUME_BUSY", lambda: ledger.reserve(other, NOW))
    refused("VOLUME_BUSY", lambda: ledger.reserve(reserve(hold(sequence=9)), NOW))
    refused("VOLUME_BUSY", lambda: ledger.delete(V))
    assert ledger.change(V, VolumeChanges(name="called")).name == "called"


def test_a_volume_stays_on_its_host(ledger: VolumeLedger) -> None:
    with_bytes(ledger)
    elsewhere = reserve(hold(sequence=4), "h2")
    refused("VOLUME_ELSEWHERE", lambda: ledger.reserve(elsewhere, NOW))


def test_a_shared_volume_goes_where_it_is_wanted() -> None:
    ledger = VolumeLedger(shared=True)
    ledger.create(new_volume(), NOW)
    with_bytes(ledger)
    assert ledger.reserve(reserve(hold(sequence=4), "h2"), NOW).host == "h2"


def test_a_shared_volume_goes_along_with_its_instance() -> None:
    ledger = VolumeLedger(shared=True)
    ledger.create(new_volume(), NOW)
    attach(ledger)
    ledger.take_snapshot(new_snapshot(), NOW)
    word = Moved(hold(sequence=3), HostId("id-h2"), "h2")
    with pytest.raises(Unavailable):
        ledger.moved(word)
    ledger.copied(S)
    ledger.moved(Moved(hold(sequence=1), HostId("id-h3"), "h3"))  # late
    ledger.moved(Moved(hold(instance="j", sequence=9), HostId("id-h3"), "h3"))
    assert ledger.volume(V).host == "h1"
    for _ in range(2):
        ledger.moved(word)
        assert (ledger.volume(V).host_id, ledger.volume(V).host) == ("id-h2", "h2")
    grows = ledger.change(V, VolumeChanges(size_gb=2))
    assert ledger.errand(V) == GrowVolume(grows, HostId("id-h2"))


def test_a_volume_of_one_host_goes_nowhere(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.moved(Moved(hold(sequence=3), HostId("id-h2"), "h2"))
    assert ledger.volume(V).host == "h1"


def test_the_same_word_again_is_the_same(ledger: VolumeLedger) -> None:
    first = ledger.reserve(reserve(), NOW)
    ledger.take_changes()
    assert ledger.reserve(reserve(), NOW) == first
    ledger.attached(hold())
    ledger.take_changes()
    ledger.attached(hold())
    assert ledger.take_changes().volumes == ()
    ledger.release(hold(), delete=True)
    ledger.take_changes()
    ledger.release(hold(), delete=True)
    assert ledger.take_changes().volumes == ()


def test_late_words_change_nothing(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.detaching(hold(sequence=5))
    before = ledger.volume(V)
    ledger.attached(hold(sequence=2))
    ledger.release(hold(sequence=2))
    ledger.detaching(hold(sequence=9, instance="j"))
    ledger.release(hold(sequence=9, instance="j"))
    assert ledger.volume(V) == before
    ledger.release(hold(sequence=5))
    free = ledger.volume(V)
    ledger.attached(hold(sequence=5))
    assert ledger.volume(V) == free


def test_what_was_given_back_is_not_kept_again(ledger: VolumeLedger) -> None:
    ledger.reserve(reserve(), NOW)
    ledger.release(hold())
    for late in (hold(), hold(sequence=1)):
        with pytest.raises(Cancelled):
            ledger.reserve(reserve(late), NOW)
    # The next attempt of a boot, and the next operation, are not late.
    ledger.reserve(reserve(hold(attempt=2)), NOW)
    ledger.release(hold(attempt=1))
    assert ledger.volume(V).attachment is not None
    ledger.release(hold(attempt=2))
    assert ledger.reserve(reserve(hold(sequence=3)), NOW).attachment is not None


def test_a_volume_only_grows(ledger: VolumeLedger) -> None:
    assert ledger.change(V, VolumeChanges(size_gb=3)).size_gb == 3
    refused("VOLUME_TOO_SMALL", lambda: ledger.change(V, VolumeChanges(size_gb=2)), Invalid)


def test_a_volume_grows_where_it_is_attached(ledger: VolumeLedger) -> None:
    attach(ledger)
    grows = ledger.change(V, VolumeChanges(size_gb=3))
    assert (grows.status, grows.shown) == (VolumeStatus.IN_USE, VolumeStatus.EXTENDING)
    assert ledger.errand(V) == GrowVolume(grows, HostId("id-h1"))
    assert ledger.unfinished() == (V,)
    larger = ledger.change(V, VolumeChanges(size_gb=4))
    ledger.grown(V, 3)  # late
    assert ledger.errand(V) == GrowVolume(larger, HostId("id-h1"))
    ledger.grown(V, 4)
    assert (ledger.volume(V).shown, ledger.errand(V)) == (VolumeStatus.IN_USE, None)
    ledger.take_changes()
    ledger.grown(V, 4)
    ledger.change(V, VolumeChanges(size_gb=4))
    assert ledger.take_changes().volumes == ()


def test_what_it_has_not_grown_it_grows_when_it_is_attached_again(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.change(V, VolumeChanges(size_gb=3))
    ledger.detaching(hold(sequence=3))
    assert ledger.volume(V).shown is VolumeStatus.DETACHING
    ledger.release(hold(sequence=3))
    assert ledger.errand(V) is None
    ledger.grown(V, 3)
    assert ledger.reserve(reserve(hold(sequence=4)), NOW).size_gb == 3
    assert not ledger.volume(V).growing


@pytest.mark.parametrize("status", ["attaching", "detaching"])
def test_what_comes_or_goes_stays_as_it_is(ledger: VolumeLedger, status: str) -> None:
    ledger.reserve(reserve(), NOW)
    if status == "detaching":
        ledger.attached(hold())
        ledger.detaching(hold(sequence=3))
    for call in (
        lambda: ledger.take_snapshot(new_snapshot(), NOW),
        lambda: ledger.change(V, VolumeChanges(size_gb=2)),
    ):
        assert refused("VOLUME_BUSY", call).endswith("Try again in a moment.")


def test_a_volume_is_kept_while_it_is_attached(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.take_snapshot(new_snapshot(), NOW)
    assert ledger.errand(S) == CopyVolume(ledger.volume(V), S, HostId("id-h1"))
    refused("VOLUME_BUSY", lambda: ledger.change(V, VolumeChanges(size_gb=2)))
    # It goes back meanwhile, and stays as it is until it is copied.
    ledger.release(hold(sequence=3), delete=True)
    assert ledger.errand(S) == CopyVolume(ledger.volume(V), S, HostId("id-h1"))
    refused("VOLUME_BUSY", lambda: ledger.reserve(reserve(hold(sequence=4)), NOW))
    ledger.copied(S)
    assert ledger.volume(V).status is VolumeStatus.AVAILABLE


def test_who_saw_another_volume_changes_nothing(ledger: VolumeLedger) -> None:
    changed = ledger.change(V, VolumeChanges(name="one"), generation=1)
    assert changed.generation == 2
    ledger.take_changes()
    stale = VolumeChanges(name="two")
    refused("ETAG_MISMATCH", lambda: ledger.change(V, stale, generation=1), Stale)


def test_a_volume_without_bytes_goes_at_once(ledger: VolumeLedger) -> None:
    ledger.delete(V)
    assert ledger.volumes() == ()
    assert ledger.take_changes().gone_volumes == (V,)
    ledger.delete(V)
    assert ledger.take_changes().gone_volumes == ()


def test_a_volume_goes_with_its_instance(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.release(hold(sequence=3), delete=True)
    assert ledger.volume(V).status is VolumeStatus.DELETING
    (put,) = ledger.take_changes().volumes
    assert put.generation == 2


def test_a_volume_with_snapshots_outlives_its_instance(ledger: VolumeLedger) -> None:
    with_snapshot(ledger)
    attach(ledger, 4)
    ledger.release(hold(sequence=5), delete=True)
    assert ledger.volume(V).status is VolumeStatus.AVAILABLE
    assert "snapshots" in refused("VOLUME_HAS_SNAPSHOTS", lambda: ledger.delete(V))


def test_a_snapshot_is_copied_and_removed(ledger: VolumeLedger) -> None:
    with_bytes(ledger)
    made = ledger.take_snapshot(new_snapshot(), NOW)
    assert (made.status, made.host) == (SnapshotStatus.CREATING, "h1")
    assert ledger.errand(S) == CopyVolume(ledger.volume(V), S, HostId("id-h1"))
    # Its bytes must not change, nor grow, meanwhile.
    refused("VOLUME_BUSY", lambda: ledger.reserve(reserve(hold(sequence=4)), NOW))
    refused("VOLUME_BUSY", lambda: ledger.change(V, VolumeChanges(size_gb=2)))
    early = new_volume("w", snapshot="s")
    refused("VOLUME_SNAPSHOT_BUSY", lambda: ledger.create(early, NOW))
    ledger.copied(S)
    assert ledger.errand(S) is None
    ledger.delete_snapshot(S)
    assert ledger.errand(S) == RemoveSnapshot(S, HostId("id-h1"))
    ledger.copied(S)  # late
    refused("VOLUME_SNAPSHOT_BUSY", lambda: ledger.create(early, NOW))
    ledger.removed_snapshot(S)
    assert ledger.snapshots() == ()
    ledger.delete(V)


def test_a_volume_begins_as_a_snapshot_where_that_is(ledger: VolumeLedger) -> None:
    with_snapshot(ledger)
    ledger.change(V, VolumeChanges(size_gb=4))
    ledger.take_snapshot(new_snapshot("s4"), NOW)
    ledger.copied(SnapshotId("s4"))
    small = new_volume("w", 3, snapshot="s4")
    refused("VOLUME_TOO_SMALL", lambda: ledger.create(small, NOW), Invalid)
    made = ledger.create(new_volume("w", 4, snapshot="s4"), NOW)
    assert (made.host, made.snapshot, made.made) == ("h1", "s4", False)


def test_a_snapshot_stays_until_what_begins_as_it_is_made(ledger: VolumeLedger) -> None:
    with_snapshot(ledger).create(new_volume("w", snapshot="s"), NOW)
    refused("VOLUME_SNAPSHOT_IN_USE", lambda: ledger.delete_snapshot(S))
    ledger.reserve(reserve(hold("w")), NOW)
    refused("VOLUME_SNAPSHOT_IN_USE", lambda: ledger.delete_snapshot(S))
    ledger.attached(hold("w"))
    ledger.delete_snapshot(S)
    assert ledger.snapshot(S).status is SnapshotStatus.DELETING


def test_a_copy_makes_what_it_copies(ledger: VolumeLedger) -> None:
    """What a volume begins as is needed no more once a host has copied it."""
    with_snapshot(ledger).create(new_volume("w", snapshot="s"), NOW)
    ledger.take_snapshot(new_snapshot("t", "w"), NOW)
    refused("VOLUME_SNAPSHOT_IN_USE", lambda: ledger.delete_snapshot(S))
    ledger.copied(SnapshotId("t"))
    ledger.delete_snapshot(S)


def test_a_snapshot_of_nothing_is_there_at_once(ledger: VolumeLedger) -> None:
    ledger.create(new_volume("b", source=SOURCE), NOW)
    made = ledger.take_snapshot(new_snapshot("t", "b"), NOW)
    assert made.status is SnapshotStatus.AVAILABLE
    again = ledger.create(new_volume("c", snapshot="t"), NOW)
    assert (again.host_id, again.source) == (None, SOURCE)
    ledger.delete_snapshot(SnapshotId("t"))
    assert ledger.snapshots() == ()


def test_one_batch_raises_a_generation_once(ledger: VolumeLedger) -> None:
    attach(ledger)
    ledger.release(hold(sequence=3))
    assert [one.generation for one in ledger.take_changes().volumes] == [2]
    ledger.take_snapshot(new_snapshot(), NOW)
    ledger.copied(S)
    assert [one.generation for one in ledger.take_changes().snapshots] == [1]
    ledger.delete_snapshot(S)
    assert [one.generation for one in ledger.take_changes().snapshots] == [2]


def test_a_project_has_so_many_and_no_more(ledger: VolumeLedger) -> None:
    with_bytes(ledger)
    for number in range(VOLUME_LIMIT - 1):
        ledger.create(new_volume(f"v{number}"), NOW)
    more = new_volume("more")
    refused("VOLUME_QUOTA_EXCEEDED", lambda: ledger.create(more, NOW), QuotaExceeded)
    assert ledger.create(new_volume("theirs", project=OTHER), NOW).project == OTHER
    for number in range(VOLUME_LIMIT):
        ledger.take_snapshot(new_snapshot(f"s{number}"), NOW)
    last = new_snapshot("last")
    refused("VOLUME_QUOTA_EXCEEDED", lambda: ledger.take_snapshot(last, NOW), QuotaExceeded)


def test_what_is_left_to_do_is_found_again(ledger: VolumeLedger) -> None:
    with_bytes(ledger).create(new_volume("w"), NOW)
    ledger.reserve(reserve(hold("w")), NOW)
    ledger.take_snapshot(new_snapshot(), NOW)
    ledger.release(hold("w"), delete=True)
    again = VolumeLedger(ledger.volumes(), ledger.snapshots())
    assert set(again.unfinished()) == {S, VolumeId("w")}
    refused("VOLUME_HAS_SNAPSHOTS", lambda: again.delete(V))
