"""Versions of guest data: what an operation remembers and takes over, and what it leaves."""

from actors.lifecycle.before import remembered
from actors.lifecycle.guest_data import outdated, taken_over
from actors.model.details import Rebuild, Rebuilt, RescueBoot, Unrescue
from actors.model.guest_data import GuestData
from actors.model.ids import OperationId
from actors.model.instance import PowerState, Rescue, VmState
from actors.model.operation import Action, OperationState
from tests.local.records import INSTANCE, SOURCE, instance, operation

FIRST, SECOND = OperationId(f"{INSTANCE}.1"), OperationId(f"{INSTANCE}.2")
OTHER = SOURCE.evolve(image_name="other")
RESCUE = Rescue(source=OTHER, guest_data=SECOND)


def data(key: OperationId, **fields: object) -> GuestData:
    return GuestData(id=key, instance=INSTANCE).evolve(**fields)


def test_a_new_version_takes_over_what_it_is_told() -> None:
    old = data(FIRST, public_key="key", user_data="aGk=", admin_password="first")
    new = data(SECOND, user_data="bm8=", admin_password="second")
    assert taken_over(new, old, frozenset({"public_key"})) == new.evolve(public_key="key")
    assert taken_over(new, None, frozenset({"public_key"})) == new


def test_a_rebuild_leaves_one_version() -> None:
    for state, used, gone in (
        (OperationState.SUCCEEDED, SECOND, FIRST),
        (OperationState.FAILED, FIRST, SECOND),
        (OperationState.CANCELLED, FIRST, SECOND),
    ):
        ended = operation(
            instance(),
            Action.REBUILD,
            state=state,
            guest_data=SECOND,
            guest_data_before=FIRST,
        )
        assert outdated(instance(guest_data=used), [ended]) == {gone}
        assert (
            outdated(instance(guest_data=used), [ended.evolve(state=OperationState.RUNNING)])
            == set()
        )


def test_a_rescue_has_two_versions_until_it_ends() -> None:
    record = instance(guest_data=FIRST, rescue=RESCUE)
    assert (record.told, record.evolve(rescue=None).told) == (SECOND, FIRST)
    rescue = operation(
        record,
        Action.RESCUE,
        state=OperationState.SUCCEEDED,
        guest_data=SECOND,
        guest_data_before=FIRST,
    )
    assert outdated(record, [rescue]) == set()
    assert outdated(record.evolve(rescue=None), [rescue]) == {SECOND}
    unrescue = operation(
        record,
        Action.UNRESCUE,
        state=OperationState.SUCCEEDED,
        details=Unrescue(rescue=RESCUE),
        guest_data_before=FIRST,
    )
    assert outdated(record.evolve(rescue=None), [unrescue]) == {SECOND}
    assert outdated(record, [unrescue.evolve(state=OperationState.FAILED)]) == set()
    assert outdated(record.evolve(vm_state=VmState.DELETED), []) == {FIRST, SECOND}


def test_an_operation_remembers_what_was() -> None:
    record = instance(name="old", metadata={"k": "v"}, key_name="laptop", rescue=RESCUE)
    wanted = Rebuild(to=Rebuilt(source=OTHER, name="new"))
    assert remembered(record, wanted) == wanted.evolve(
        before=Rebuilt(source=SOURCE, name="old", metadata={"k": "v"}, key_name="laptop"), ran=True
    )
    assert remembered(record, Unrescue()) == Unrescue(rescue=RESCUE, ran=True)
    off = record.evolve(power_state=PowerState.SHUTDOWN)
    assert remembered(off, RescueBoot(source=OTHER)) == RescueBoot(source=OTHER)
    assert remembered(record, None) is None
