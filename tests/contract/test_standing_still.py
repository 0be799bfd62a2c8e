"""Guests that stand still: paused, and suspended with their memory on disk."""

from collections.abc import Callable

import libvirt
import pytest

from actors.model.errors import Conflict
from actors.model.ids import InstanceId
from actors.model.instance import PowerState
from actors.ports.hypervisor import Hypervisor
from tests.contract import records
from tests.contract.hosts import HostUnderTest, eventually

Call = Callable[[Hypervisor, InstanceId], PowerState]


def pause(hypervisor: Hypervisor, instance: InstanceId) -> PowerState:
    return hypervisor.pause(instance)


def unpause(hypervisor: Hypervisor, instance: InstanceId) -> PowerState:
    return hypervisor.unpause(instance)


def suspend(hypervisor: Hypervisor, instance: InstanceId) -> PowerState:
    return hypervisor.suspend(instance)


def test_a_pause_and_its_end_converge(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    number = host.domain_of(record).ID()
    for call, end in ((pause, PowerState.PAUSED), (unpause, PowerState.RUNNING)):
        for _ in range(2):
            assert call(host.hypervisor, record.id) is end
        assert host.hypervisor.power_state(record.id) is end
    assert host.domain_of(record).ID() == number  # the same run of it
    eventually("the listener hears", lambda: PowerState.PAUSED in host.heard(record))


def test_a_suspended_one_comes_back_as_the_newest_operation_s(host: HostUnderTest) -> None:
    record = records.instance(nics=(records.nic(),))
    host.boot(record)
    for _ in range(2):
        assert suspend(host.hypervisor, record.id) is PowerState.SUSPENDED
    assert not host.domain_of(record).isActive()
    assert [guest.power_state for guest in host.hypervisor.guests()] == [PowerState.SUSPENDED]
    eventually("the listener hears", lambda: PowerState.SUSPENDED in host.heard(record))
    for _ in range(2):
        assert host.run(record, 3) is PowerState.RUNNING
    assert not host.domain_of(record).hasManagedSaveImage(0)
    # Its memory came with the definition it was saved with: what is noted there is noted anew.
    assert [guest.sequence for guest in host.hypervisor.guests()] == [3]
    assert host.hypervisor.runs_since(record.id, 3)


def test_one_that_was_saved_while_it_was_paused_runs_on(host: HostUnderTest) -> None:
    ours, theirs = records.instance(), records.instance()
    for record in (ours, theirs):
        host.boot(record)
        pause(host.hypervisor, record.id)
    assert suspend(host.hypervisor, ours.id) is PowerState.SUSPENDED
    host.domain_of(theirs).managedSave(libvirt.VIR_DOMAIN_SAVE_PAUSED)
    for record in (ours, theirs):
        assert host.run(record, 2) is PowerState.RUNNING


def test_pulling_the_plug_forgets_the_memory(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    suspend(host.hypervisor, record.id)
    host.hypervisor.shut_down(record.id)
    assert host.hypervisor.power_state(record.id) is PowerState.SUSPENDED
    for _ in range(2):
        assert host.hypervisor.force_off(record.id) is PowerState.SHUTDOWN
    assert not host.domain_of(record).hasManagedSaveImage(0)


def test_a_suspended_one_can_be_removed(host: HostUnderTest) -> None:
    record = records.instance()
    host.boot(record)
    suspend(host.hypervisor, record.id)
    host.hypervisor.ensure_absent(record.id)
    host.hypervisor.remove_disk(record.id)
    assert host.hypervisor.guests() == ()
    host.boot(record, 2)  # and nothing of its memory comes back
    assert [guest.sequence for guest in host.hypervisor.guests()] == [2]


def test_a_suspend_that_is_not_under_way_is_aborted_in_vain(host: HostUnderTest) -> None:
    record = records.instance()
    host.hypervisor.abort_suspend(record.id)
    host.boot(record)
    host.hypervisor.abort_suspend(record.id)
    assert host.hypervisor.power_state(record.id) is PowerState.RUNNING


@pytest.mark.parametrize("call", [pause, unpause, suspend])
def test_what_is_off_is_refused(host: HostUnderTest, call: Call) -> None:
    record = records.instance()
    with pytest.raises(Conflict) as refusal:
        call(host.hypervisor, record.id)
    assert (refusal.value.reason, "its guest is gone" in refusal.value.message) == (
        "GUEST_NOT_RUNNING",
        True,
    )
    host.boot(record)
    host.hypervisor.force_off(record.id)
    with pytest.raises(Conflict, match="its guest is shut down"):
        call(host.hypervisor, record.id)


def test_it_is_known_which_operation_started_a_guest(host: HostUnderTest) -> None:
    record = records.instance()
    assert not host.hypervisor.runs_since(record.id, 1)
    host.boot(record)
    assert host.hypervisor.runs_since(record.id, 1)
    assert not host.hypervisor.runs_since(record.id, 2)
    host.hypervisor.force_off(record.id)
    assert not host.hypervisor.runs_since(record.id, 1)
