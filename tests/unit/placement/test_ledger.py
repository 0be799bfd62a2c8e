"""Who may claim and release, and what a host's report changes."""

from dataclasses import replace

import pytest

from actors.model.errors import AlreadyExists, Cancelled, Exhausted, NotFound, NoValidHost
from actors.model.host import Claim, HostRecord, HostState, Part
from actors.model.ids import HostId, InstanceId
from actors.placement import ledger as module
from actors.placement.ledger import ClaimLedger, Heard
from actors.ports.scheduler import ClaimRequest, Release
from tests.unit.placement.fleets import NOW, host, inventory, needs, report, request

DOWN_AFTER = 15.0
AT = 100.0


def ledger_of(*hosts: HostRecord, claims: tuple[Claim, ...] = ()) -> ClaimLedger:
    return ClaimLedger(hosts, claims, Heard(), AT, DOWN_AFTER)


def restarted(ledger: ClaimLedger) -> ClaimLedger:
    hosts = [usage.record for usage in ledger.usages(AT)]
    return ClaimLedger(hosts, ledger.claims, Heard(), AT, DOWN_AFTER)


def release(ledger: ClaimLedger, sequence: int, *, failed: bool = False) -> None:
    ledger.release(Release(InstanceId("i"), sequence, failed), NOW)


def used(ledger: ClaimLedger) -> dict[str, tuple[int, int]]:
    return {u.record.name: (u.instances, u.claimed.memory_mb) for u in ledger.usages(AT)}


# Claims


def test_a_claim_takes_and_the_same_attempt_gets_it_again() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    claim = ledger.claim(request())
    assert ledger.claim(request()) is claim
    assert sorted(used(ledger).values()) == [(0, 0), (1, 1024)]
    assert ledger.take_changes().claims == (claim,)
    assert ledger.take_changes().claims == ()


def test_the_same_attempt_gets_its_claim_though_the_host_is_down_by_now() -> None:
    ledger = ledger_of(host("h1"))
    claim = ledger.claim(request())
    ledger.expire(NOW, AT + 60)
    assert ledger.claim(request()) is claim


def test_a_new_attempt_gives_back_what_the_last_one_took() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    first = ledger.claim(request())
    ledger.take_changes()
    second = ledger.claim(request(attempt=2, exclude=(first.host,)))
    assert second.host != first.host
    assert second.generation == 2
    assert used(ledger) == {first.host: (0, 0), second.host: (1, 1024)}


def test_a_new_attempt_without_a_host_still_gives_back() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request())
    ledger.take_changes()
    with pytest.raises(NoValidHost):
        ledger.claim(request(attempt=2, exclude=("h1",)))
    assert used(ledger) == {"h1": (0, 0)}
    assert ledger.take_changes().released == ("i",)


def test_a_new_operation_without_a_host_keeps_the_place_the_instance_lives_in() -> None:
    ledger = ledger_of(host("h1"))
    claim = ledger.claim(request())
    with pytest.raises(NoValidHost):
        ledger.claim(request(sequence=2, resources=needs(memory_mb=9999)))
    assert ledger.claims == (claim,)
    assert used(ledger) == {"h1": (1, 1024)}


@pytest.mark.parametrize("late", [request(sequence=1, attempt=9), request(sequence=2, attempt=1)])
def test_a_late_claim_changes_nothing(late: module.Claiming) -> None:
    ledger = ledger_of(host("h1"))
    claim = ledger.claim(request(sequence=2, attempt=2))
    with pytest.raises(Cancelled) as raised:
        ledger.claim(late)
    assert raised.value.reason == "SUPERSEDED"
    assert ledger.claims == (claim,)


def test_a_claim_that_comes_after_a_newer_operations_release_is_refused() -> None:
    ledger = ledger_of(host("h1"))
    release(ledger, 2)
    with pytest.raises(Cancelled):
        ledger.claim(request(sequence=1))
    assert ledger.claim(request(sequence=2)).host == "h1"


def resized(ledger: ClaimLedger, **changes: object) -> Claim:
    asked = {"sequence": 2, "resources": needs(memory_mb=2048), "lives_on": "h1"} | changes
    return ledger.claim(request(**asked))  # type: ignore[arg-type]


def test_a_resize_stays_on_its_host_and_holds_both_sizes() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    first = ledger.claim(request(only="h1"))
    claim = resized(ledger)
    assert claim.host == "h1"
    assert claim.former is not None
    assert (claim.former.host, claim.former.resources) == ("h1", first.resources)
    assert used(ledger) == {"h1": (1, 3072), "h2": (0, 0)}
    assert used(restarted(ledger)) == used(ledger)
    assert resized(ledger) is claim


def test_a_resize_moves_where_its_host_has_no_room_for_both() -> None:
    ledger = ledger_of(host("h1", inventory=inventory(memory_mb=2048)), host("h2"))
    ledger.claim(request(only="h1"))
    assert resized(ledger).host == "h2"
    assert used(ledger) == {"h1": (0, 1024), "h2": (1, 2048)}


def test_a_resize_that_must_move_says_so_where_it_cannot() -> None:
    ledger = ledger_of(host("h1"))
    claim = ledger.claim(request())
    with pytest.raises(NoValidHost) as raised:
        resized(ledger, must_move=True)
    assert raised.value.metadata["h1"].startswith("DifferentHostFilter: has the instance now")
    assert ledger.claims == (claim,)
    assert used(ledger) == {"h1": (1, 1024)}


@pytest.mark.parametrize(
    ("part", "left"), [(Part.NEW, {"h1": (1, 1024), "h2": (0, 0)}),
                       (Part.FORMER, {"h1": (0, 0), "h2": (1, 2048)})]
)  # fmt: skip
def test_of_a_resize_either_part_is_given_back_once(
    part: Part, left: dict[str, tuple[int, int]]
) -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    ledger.claim(request(only="h1"))
    resized(ledger, must_move=True)
    ledger.release(Release(InstanceId("i"), 1, part=part), NOW)
    assert used(ledger) == {"h1": (0, 1024), "h2": (1, 2048)}, "an older operation's"
    for _ in range(2):
        ledger.release(Release(InstanceId("i"), 3, part=part), NOW)
        assert used(ledger) == left
    release(ledger, 4)
    assert used(ledger) == {"h1": (0, 0), "h2": (0, 0)}


def test_a_delete_gives_both_parts_back() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    ledger.claim(request(only="h1"))
    resized(ledger, must_move=True)
    release(ledger, 3)
    assert used(ledger) == {"h1": (0, 0), "h2": (0, 0)}


def test_a_host_s_new_name_reaches_what_is_kept_there() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    ledger.claim(request(only="h1"))
    resized(ledger, must_move=True)
    ledger.report(report("renamed", "id-h1"), NOW, AT)
    (claim,) = ledger.claims
    assert [share.host for share in claim.shares] == ["h2", "renamed"]


def test_releases_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_RELEASES", 2)
    heard = Heard()
    ledger = ClaimLedger((), (), heard, AT, DOWN_AFTER)
    for instance in "abac":
        ledger.release(Release(InstanceId(instance), 1), NOW)
    assert list(heard.released) == ["a", "c"]


def test_an_older_release_changes_nothing_and_none_to_give_is_no_error() -> None:
    ledger = ledger_of(host("h1"))
    claim = ledger.claim(request(sequence=2))
    release(ledger, 1, failed=True)
    assert ledger.claims == (claim,)
    release(ledger, 2)
    release(ledger, 2)
    assert used(ledger) == {"h1": (0, 0)}


def test_what_was_never_stored_is_not_removed() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request())
    release(ledger, 1)
    changes = ledger.take_changes()
    assert (changes.claims, changes.released) == ((), ())


def test_released_and_claimed_within_one_batch_is_one_generation_further() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request())
    ledger.take_changes()
    release(ledger, 2)
    claim = ledger.claim(request(sequence=3))
    changes = ledger.take_changes()
    assert changes.claims == (claim,)
    assert changes.released == ()
    assert claim.generation == 2


def test_a_claim_whose_host_is_gone_is_kept_until_released() -> None:
    claim = Claim(
        instance=InstanceId("i"),
        host_id=HostId("gone"),
        host="gone",
        resources=needs(),
        sequence=1,
        attempt=1,
    )
    ledger = ledger_of(host("h1"), claims=(claim,))
    assert ledger.claims == (claim,)
    release(ledger, 2, failed=True)
    assert ledger.take_changes().released == ("i",)


# Failed boots


def test_failed_boots_count_until_one_succeeds() -> None:
    ledger = ledger_of()
    ledger.report(report("h1", boots=3), NOW, AT)
    for attempt in (1, 2):
        ledger.claim(request(attempt=attempt))
        release(ledger, 1, failed=True)
    (usage,) = ledger.usages(AT)
    assert usage.record.failed_builds == 2
    assert ledger.heard(report("h1", boots=3), AT + 1)
    ledger.report(report("h1", boots=4), NOW, AT + 2)
    (usage,) = ledger.usages(AT)
    assert usage.record.failed_builds == 0


def test_the_first_count_of_boots_heard_forgives_nothing() -> None:
    ledger = ledger_of(host("h1", failed_builds=2, epoch=1))
    assert ledger.heard(report("h1", boots=7), AT)
    assert not ledger.heard(report("h1", boots=8), AT)


# Hosts


def test_a_heartbeat_that_says_nothing_new_writes_nothing() -> None:
    ledger = ledger_of()
    ledger.report(report("h1"), NOW, AT)
    (record,) = ledger.take_changes().hosts
    assert (record.name, record.state, record.generation) == ("h1", HostState.UP, 1)
    ledger.report(report("h1"), NOW, AT + 5)
    assert ledger.take_changes().hosts == ()


def test_a_report_of_an_older_process_is_dropped() -> None:
    ledger = ledger_of()
    ledger.report(report("h1", epoch=2), NOW, AT)
    ledger.take_changes()
    ledger.report(report("h1", epoch=1, trouble="old"), NOW, AT + 5)
    assert ledger.take_changes().hosts == ()
    assert ledger.overdue(AT + DOWN_AFTER + 1)


def test_trouble_takes_a_host_down_and_its_end_brings_it_back() -> None:
    ledger = ledger_of()
    ledger.report(report("h1", trouble="libvirt: gone"), NOW, AT)
    with pytest.raises(NoValidHost) as raised:
        ledger.claim(request())
    assert raised.value.metadata == {"h1": "ComputeFilter: is down: libvirt: gone"}
    ledger.report(report("h1"), NOW, AT)
    assert ledger.claim(request()).host == "h1"


def test_a_silent_host_is_down_until_it_reports() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    ledger.report(report("h2"), NOW, AT + 10)
    ledger.take_changes()
    later = AT + DOWN_AFTER + 1
    states = [usage.record.state for usage in ledger.usages(later)]
    assert states == [HostState.DOWN, HostState.UP]
    ledger.expire(NOW, later)
    (record,) = ledger.take_changes().hosts
    assert (record.name, record.state, record.generation) == ("h1", HostState.DOWN, 2)
    assert record.trouble == ledger.usages(later)[0].record.trouble != ""
    ledger.expire(NOW, later)
    assert ledger.take_changes().hosts == ()
    ledger.report(report("h1"), NOW, later)
    (record,) = ledger.take_changes().hosts
    assert (record.state, record.trouble) == (HostState.UP, "")


def test_after_a_restart_hosts_have_time_to_report() -> None:
    ledger = restarted(ledger_of(host("h1"), host("h2", state=HostState.DOWN)))
    assert not ledger.overdue(AT + DOWN_AFTER)
    states = [usage.record.state for usage in ledger.usages(AT + DOWN_AFTER)]
    assert states == [HostState.UP, HostState.DOWN]


def test_a_host_under_another_name_keeps_its_claims() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request())
    ledger.take_changes()
    ledger.report(report("new", "id-h1"), NOW, AT)
    assert used(ledger) == {"new": (1, 1024)}
    assert ledger.claim(request()).host == "new"
    assert [claim.host for claim in ledger.take_changes().claims] == ["new"]
    ledger.report(report("h1", "another"), NOW, AT)  # its old name is free again


def test_a_second_host_of_a_name_is_refused() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    for twin in (report("h1", "another"), report("h1", "id-h2", epoch=2)):
        with pytest.raises(AlreadyExists) as raised:
            ledger.report(twin, NOW, AT)
        assert raised.value.reason == "HOST_NAME_TAKEN"
    assert ledger.take_changes().hosts == ()


def test_a_host_that_shrinks_keeps_its_claims_and_takes_no_more() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request(resources=needs(memory_mb=3000)))
    ledger.report(report("h1", inventory=inventory(memory_mb=2000)), NOW, AT)
    assert used(ledger) == {"h1": (1, 3000)}
    with pytest.raises(NoValidHost):
        ledger.claim(request("j", resources=needs(memory_mb=1)))
    release(ledger, 1)
    assert ledger.claim(request("j", resources=needs(memory_mb=2000))).host == "h1"


@pytest.mark.parametrize("key", ["h1", "id-h1"])
def test_a_disabled_host_takes_nothing_and_is_forgiven_when_enabled(key: str) -> None:
    ledger = ledger_of(host("h1", failed_builds=3))
    usage = ledger.set_enabled(key, False, "new disks", NOW)
    assert (usage.record.enabled, usage.record.disabled_reason) == (False, "new disks")
    with pytest.raises(NoValidHost) as raised:
        ledger.claim(request())
    assert raised.value.metadata == {"h1": "ComputeFilter: is disabled: new disks"}
    usage = ledger.set_enabled(key, True, "ignored", NOW)
    assert (usage.record.disabled_reason, usage.record.failed_builds) == ("", 0)
    ledger.take_changes()
    ledger.set_enabled(key, True, "", NOW)
    assert ledger.take_changes().hosts == ()


def test_a_host_nobody_knows_cannot_be_disabled() -> None:
    with pytest.raises(NotFound):
        ledger_of(host("h1")).set_enabled("h9", False, "", NOW)


def in_place(sequence: int, memory_mb: int, vcpus: int = 1) -> ClaimRequest:
    return replace(request(sequence=sequence, resources=needs(vcpus, memory_mb)), in_place=True)


def test_a_claim_grows_where_it_is_and_shrinks_again() -> None:
    ledger = ledger_of(host("h1"), host("h2"))
    first = ledger.claim(request())
    for sequence, memory_mb in ((2, 3072), (2, 3072), (3, 512)):
        claim = ledger.claim(in_place(sequence, memory_mb))
        assert (claim.host_id, claim.resources.memory_mb) == (first.host_id, memory_mb)
        assert claim.sequence == sequence
        assert sorted(used(ledger).values()) == [(0, 0), (1, memory_mb)]
    assert restarted(ledger).claims == ledger.claims


def test_a_claim_that_has_no_room_to_grow_stays_as_it_is() -> None:
    ledger = ledger_of(host("h1"))
    held = ledger.claim(request())
    with pytest.raises(Exhausted, match="no room for 3073 MiB of memory and 4 vCPUs more") as full:
        ledger.claim(in_place(2, 4097, 5))
    assert full.value.reason == "HOST_HAS_NO_ROOM"
    assert ledger.claims == (held,)
    # What does not grow fits, however little there is.
    assert ledger.claim(in_place(2, 4096)).resources.memory_mb == 4096


def test_what_shrinks_fits_on_a_host_that_has_shrunk() -> None:
    ledger = ledger_of(host("h1"))
    ledger.claim(request(resources=needs(2, 2048)))
    small = report("h1", inventory=inventory(1, 1024))
    ledger.report(small, NOW, AT)
    assert ledger.claim(in_place(2, 1024)).resources == needs(1, 1024)
    with pytest.raises(Exhausted):
        ledger.claim(in_place(3, 1536))


def test_a_late_change_of_a_claim_changes_nothing() -> None:
    ledger = ledger_of(host("h1"))
    with pytest.raises(Cancelled):
        ledger.claim(in_place(2, 1024))
    held = ledger.claim(request(sequence=5))
    with pytest.raises(Cancelled):
        ledger.claim(in_place(4, 2048))
    assert ledger.claims == (held,)
