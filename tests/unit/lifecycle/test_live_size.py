"""What a guest that runs may have, and what it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.lifecycle import machine
from actors.lifecycle.events import Begin, Requested
from actors.lifecycle.live_size import BLOCK_MB, SLOTS_LIMIT, range_of
from actors.model.details import ChangeSize
from actors.model.errors import ComputeError, Conflict, Invalid
from actors.model.flavor import DEFAULT_FLAVORS, Flavor, Size
from actors.model.instance import Former, InstanceRecord, VmState
from actors.model.operation import Action, OperationRecord
from tests.local.records import HOST, NOW, command, instance

TINY = DEFAULT_FLAVORS[0]
GROWS = TINY.evolve(extra_specs={"novaray:max_memory_mb": "1200", "novaray:max_vcpus": "4"})


def asked(record: InstanceRecord, **details: int) -> OperationRecord:
    """The operation that becomes of it."""
    change = command(record, Action.CHANGE_SIZE).evolve(details=ChangeSize(**details))
    _, effects = machine.step(record, Requested(change, NOW))
    (begin,) = effects
    assert isinstance(begin, Begin)
    return begin.operation


def test_a_flavor_without_a_maximum_has_one_size() -> None:
    allowed = range_of(TINY)
    assert (allowed.least, allowed.most, allowed.slots) == (TINY.size, TINY.size, 0)
    assert allowed.modules(TINY.memory_mb) == 0


@given(own=st.integers(1, 1 << 20), spare=st.integers(0, 1 << 24))
def test_modules_reach_as_far_as_the_maximum_allows(own: int, spare: int) -> None:
    flavor = TINY.evolve(memory_mb=own, extra_specs={"novaray:max_memory_mb": str(own + spare)})
    allowed = range_of(flavor)
    assert allowed.slots <= SLOTS_LIMIT
    assert allowed.module_mb % BLOCK_MB == 0
    left = own + spare - allowed.most.memory_mb
    assert 0 <= left < max(allowed.module_mb, BLOCK_MB)
    assert allowed.modules(allowed.most.memory_mb) == allowed.slots
    # They are no larger than need be.
    assert allowed.module_mb in (0, BLOCK_MB) or spare // (allowed.module_mb // 2) > SLOTS_LIMIT


def test_what_is_asked_for_and_what_there_was() -> None:
    record = instance(flavor=GROWS)
    grown = asked(record, memory_mb=1152)
    assert grown.details == ChangeSize(memory_mb=1152, before=TINY.size)
    record = record.evolve(size=Size(vcpus=2, memory_mb=1152))
    again = asked(record, vcpus=1)
    assert again.details == ChangeSize(vcpus=1, before=record.size)


@pytest.mark.parametrize(
    ("flavor", "details", "kind", "reason", "says"),
    [
        (TINY, {"memory_mb": 1024}, Conflict, "SIZE_FIXED", "has 512 MiB of memory and no max"),
        (TINY, {"vcpus": 2}, Conflict, "SIZE_FIXED", "novaray:max_vcpus"),
        (GROWS, {"memory_mb": 1280}, Invalid, "SIZE_INVALID", "1280 MiB of memory are not 512 to"),
        (GROWS, {"memory_mb": 384}, Invalid, "SIZE_INVALID", "are not 512 to 1152"),
        (GROWS, {"memory_mb": 700}, Invalid, "SIZE_INVALID", "between 640 and 768"),
        (GROWS, {"vcpus": 5}, Invalid, "SIZE_INVALID", "5 vCPUs are not 1 to 4"),
        (GROWS, {}, Invalid, "SIZE_INVALID", "neither"),
    ],
)
def test_what_it_cannot_have(
    flavor: Flavor, details: dict[str, int], kind: type[ComputeError], reason: str, says: str
) -> None:
    with pytest.raises(kind) as refusal:
        asked(instance(flavor=flavor), **details)
    assert refusal.value.reason == reason
    assert says in refusal.value.message


def test_the_size_it_has_may_be_asked_for() -> None:
    """So a guest whose change was cut off by a reset can be made to agree with its record."""
    assert asked(instance(flavor=TINY), memory_mb=512, vcpus=1).action is Action.CHANGE_SIZE


@pytest.mark.parametrize("state", sorted(set(VmState) - {VmState.ACTIVE}))
def test_only_what_runs_changes(state: VmState) -> None:
    with pytest.raises(Conflict, match=f"Cannot change the size of .* {state.value}") as refusal:
        asked(instance(flavor=GROWS, vm_state=state), memory_mb=640)
    assert refusal.value.reason == "INVALID_STATE"
    assert refusal.value.metadata["action"] == "changeSize"


def test_what_is_between_two_flavors_does_not() -> None:
    former = Former(sequence=2, flavor=TINY, host_id=HOST, host="h1", vm_state=VmState.ACTIVE)
    with pytest.raises(Conflict) as refusal:
        asked(instance(flavor=GROWS, former=former), memory_mb=640)
    assert refusal.value.reason == "RESIZE_UNSETTLED"


def test_a_resize_remembers_the_size_there_was() -> None:
    record = instance(flavor=GROWS, size=Size(vcpus=1, memory_mb=640))
    assert record.resources == GROWS.resources.evolve(memory_mb=640)
    resize = command(record, Action.RESIZE)
    _, effects = machine.step(record, Requested(resize, NOW))
    (begin,) = effects
    assert isinstance(begin, Begin)
    assert begin.operation.former is not None
    assert begin.operation.former.size == record.size
